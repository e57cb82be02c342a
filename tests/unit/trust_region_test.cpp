// SPDX-License-Identifier: Apache-2.0
// The trust region on batches made by hand: divergences, Fisher products against second differences, the line search.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/buffer.h"
#include "tests/unit/trust_region_rig.h"

namespace stampede {
namespace {

TEST(Divergence, CategoricalByHand) {
  const float same[] = {1.0f, 1.0f, 1.0f}, shifted[] = {-7.0f, -7.0f, -7.0f};
  EXPECT_NEAR(categorical_kl(same, shifted, 3), 0.0, 1e-6);
  // p = (1/2, 1/2), q = (3/4, 1/4): 0.5 log(2/3) + 0.5 log 2.
  const float half[] = {0.0f, 0.0f}, skewed[] = {std::log(3.0f), 0.0f};
  EXPECT_NEAR(categorical_kl(half, skewed, 2), 0.5 * std::log(4.0 / 3.0), 1e-6);
  // KL(q || p) is another number: 0.75 log(3/2) + 0.25 log(1/2).
  EXPECT_NEAR(categorical_kl(skewed, half, 2), 0.75 * std::log(1.5) - 0.25 * std::log(2.0), 1e-6);
}

TEST(Divergence, GaussianByHand) {
  EXPECT_NEAR(gaussian_kl(0.3f, -0.5f, 0.3f, -0.5f), 0.0, 1e-6);
  // KL(N(0,1) || N(1,1)) = 1/2; KL(N(0,1) || N(0,2)) = log 2 + 1/8 - 1/2; the other way log(1/2) + 2 - 1/2.
  EXPECT_NEAR(gaussian_kl(0.0f, 0.0f, 1.0f, 0.0f), 0.5, 1e-6);
  EXPECT_NEAR(gaussian_kl(0.0f, 0.0f, 0.0f, std::log(2.0f)), std::log(2.0) + 0.125 - 0.5, 1e-6);
  EXPECT_NEAR(gaussian_kl(0.0f, std::log(2.0f), 0.0f, 0.0f), -std::log(2.0) + 2.0 - 0.5, 1e-6);
}

std::vector<float> product(TrustRegionRig& r, const std::vector<double>& v) {
  std::vector<float> in(v.begin(), v.end());
  Buffer<float> from(Device{}, in.size()), to(Device{}, in.size());
  std::copy(in.begin(), in.end(), from.data());
  r.region().fisher_product(r.stream(), from.data(), to.data());
  return {to.data(), to.data() + to.size()};
}

double dot(const std::vector<float>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < b.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(TrustRegion, DivergenceAtTheOldPolicyIsZeroAndFlat) {
  for (const bool discrete : {true, false}) {
    TrustRegionRig r(discrete, 33);
    r.begin();
    const std::vector<double> old = r.theta_in_double();
    EXPECT_NEAR(r.measure(old, old).kl, 0.0, 1e-12);
    for (std::uint64_t seed = 40; seed < 50; ++seed) {
      const std::vector<double> v = r.random_direction(seed);
      const double above = r.measure(old, TrustRegionRig::moved(old, v, 1e-5)).kl;
      const double below = r.measure(old, TrustRegionRig::moved(old, v, -1e-5)).kl;
      EXPECT_NEAR((above - below) / 2e-5, 0.0, 1e-7);
      EXPECT_GT(above, 0.0);
    }
  }
}

// w^T F v = d^2 KL / dv dw, element by element and along random directions, with tiles and groups of odd sizes.
TEST(TrustRegion, FisherProductsEqualSecondDifferencesOfTheDivergence) {
  const double h = 1e-4;
  for (const bool discrete : {true, false}) {
    for (const int rows : {1, 33, 130}) {
      TrustRegionRig r(discrete, rows, {.damping = 0.0f});
      r.begin();
      const std::vector<double> old = r.theta_in_double(), v = r.random_direction(21);
      const std::vector<float> fv = product(r, v);
      const auto second = [&](const std::vector<double>& w) {
        const auto kl = [&](double a, double b) {
          return r.measure(old, TrustRegionRig::moved(TrustRegionRig::moved(old, v, a), w, b)).kl;
        };
        return (kl(h, h) - kl(h, -h) - kl(-h, h) + kl(-h, -h)) / (4.0 * h * h);
      };
      double error = 0.0, size = 0.0;
      for (const TensorLayout& t : r.spec().tensors()) {
        TrustRegionRig::for_each_element(t, [&](std::size_t i) {
          std::vector<double> unit(old.size());
          unit[i] = 1.0;
          const double expected = second(unit);
          error += std::pow(static_cast<double>(fv[i]) - expected, 2);
          size += expected * expected;
        });
      }
      EXPECT_LT(std::sqrt(error), 1e-3 * std::sqrt(size)) << discrete << rows;
      EXPECT_GT(size, 0.0);
      EXPECT_NEAR(dot(fv, v), second(v), 1e-3 * second(v));
    }
  }
}

TEST(TrustRegion, DampingAddsTheIdentityAndTheMatrixIsSymmetric) {
  for (const bool discrete : {true, false}) {
    TrustRegionRig plain(discrete, 33, {.damping = 0.0f}), damped(discrete, 33, {.damping = 0.5f});
    plain.begin();
    damped.begin();
    const std::vector<double> v = plain.random_direction(21), w = plain.random_direction(22);
    const std::vector<float> fv = product(plain, v), fw = product(plain, w), dv = product(damped, v);
    for (std::size_t i = 0; i < fv.size(); ++i) ASSERT_NEAR(dv[i], static_cast<double>(fv[i]) + 0.5 * v[i], 1e-5);
    EXPECT_NEAR(dot(fv, w), dot(fw, v), 1e-5 * (1.0 + std::fabs(dot(fv, w))));
  }
}

TEST(TrustRegion, GradientEqualsDifferencesOfTheSurrogate) {
  for (const bool discrete : {true, false}) {
    for (const int rows : {33, 130}) {
      TrustRegionRig r(discrete, rows);
      r.begin();
      const std::vector<double> old = r.theta_in_double();
      const std::vector<float> gradient(r.region().gradient(), r.region().gradient() + old.size());
      for (std::uint64_t seed = 60; seed < 66; ++seed) {
        const std::vector<double> v = r.random_direction(seed);
        const double expected = (r.measure(old, TrustRegionRig::moved(old, v, 1e-5)).surrogate -
                                 r.measure(old, TrustRegionRig::moved(old, v, -1e-5)).surrogate) /
                                2e-5;
        EXPECT_NEAR(dot(gradient, v), expected, 1e-4 * (1.0 + std::fabs(expected)));
      }
    }
  }
}

TEST(TrustRegion, AStepImprovesTheSurrogateInsideTheRegion) {
  for (const bool discrete : {true, false}) {
    for (const float max_kl : {0.001f, 0.01f, 0.1f}) {
      TrustRegionRig r(discrete, 130, {.damping = 0.01f});
      r.begin();
      const std::vector<double> old = r.theta_in_double();
      const TrustRegionRig::Measured before = r.measure(old, old);
      const LineSearchState state = r.improve(max_kl);
      const TrustRegionRig::Measured after = r.measure(old, r.theta_in_double());
      ASSERT_GT(state.fraction, 0.0f);
      EXPECT_GT(after.surrogate, before.surrogate);
      EXPECT_LE(after.kl, 1.001 * max_kl);
      EXPECT_GT(after.kl, 0.2 * max_kl) << "a step as long as the region allows";
      EXPECT_NEAR(state.new_kl, after.kl, 1e-3 * max_kl + 1e-6);
      EXPECT_NEAR(state.objective, before.surrogate, 1e-5);
      EXPECT_NEAR(state.new_objective, after.surrogate, 1e-4);
      EXPECT_EQ(r.learner.failed, 0);
    }
  }
}

// A region far beyond the quadratic model: the full step leaves it, and no other candidate may be tried.
TEST(TrustRegion, AFailedSearchLeavesEveryBit) {
  TrustRegionRig r(false, 130, {.damping = 1e-4f, .backtrack_steps = 1});
  r.begin();
  const std::vector<float> before = r.theta();
  const LineSearchState state = r.improve(20.0f);
  EXPECT_GT(state.scale, 0.0f);
  EXPECT_EQ(state.fraction, 0.0f);
  const std::vector<float> after = r.theta();
  EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)), 0);
  EXPECT_EQ(r.region().totals().data->failures, 1.0);
  EXPECT_EQ(r.learner.failed, 0);
}

TEST(TrustRegion, BacktrackingFindsAShorterStep) {
  TrustRegionRig r(false, 130, {.damping = 1e-4f, .backtrack_steps = 40});
  r.begin();
  const LineSearchState state = r.improve(20.0f);
  EXPECT_GT(state.fraction, 0.0f);
  EXPECT_LT(state.fraction, 1.0f);
  const int backtracks = static_cast<int>(std::lround(std::log(state.fraction) / std::log(0.8)));
  EXPECT_NEAR(state.fraction, std::pow(0.8, backtracks), 1e-5);
}

TEST(TrustRegion, AGradientThatIsNotFiniteStopsTheLearner) {
  TrustRegionRig r(true, 33);
  r.batch_.advantage[3] = std::numeric_limits<float>::quiet_NaN();
  r.begin();
  const std::vector<float> before = r.theta();
  EXPECT_EQ(r.improve(0.01f).fraction, 0.0f);
  EXPECT_EQ(r.learner.failed, 1);
  const std::vector<float> after = r.theta();
  EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)), 0);
}

TEST(TrustRegion, InvalidRowsChangeNothing) {
  TrustRegionRig one(true, 33), two(true, 33);
  for (int r = 4; r < 33; r += 5) {
    two.batch_.advantage[r] = -3e5f;
    two.batch_.obs[r * 3] = float_bits(9.0f);
  }
  for (TrustRegionRig* r : {&one, &two}) {
    r->begin();
    r->improve(0.01f);
  }
  const std::vector<float> a = one.theta(), b = two.theta();
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST(TrustRegion, ThreadsChangeNoBit) {
  for (const bool discrete : {true, false}) {
    TrustRegionRig one(discrete, 257), three(discrete, 257, {}, 3);
    for (TrustRegionRig* r : {&one, &three}) {
      r->begin(0.01f);
      r->improve(0.01f);
    }
    const std::vector<float> a = one.theta(), b = three.theta();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace stampede
