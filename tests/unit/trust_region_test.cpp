// SPDX-License-Identifier: Apache-2.0
// The trust region on batches made by hand: divergences, Fisher products against second differences, the line search.
#include "agents/trust_region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "kernels/buffer.h"

namespace stampede {
namespace {

float random_value(std::uint64_t seed, std::size_t i) {
  return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

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

// A batch of random observations, actions of the policy's own distribution and random advantages, for a trust region
// around a small network. Every fifth row is invalid.
class Region {
 public:
  Region(bool discrete, int rows, TrustRegionConfig config = {}, int threads = 1)
      : rows_(rows),
        stream_(Stream::cpu(threads)),
        arena_(Device{}),
        action_(discrete ? Space::discrete(3) : Space::box(kLow, kHigh)) {
    make(config);
    arena_.allocate("test");
    make(config);
    observations_->initialize(stream_);
    float* const theta = region_->parameters().data;
    spec().initialize(3, theta);
    for (const TensorLayout& t : spec().tensors()) {  // no zero biases, no tiny heads
      for_each_element(t, [&](std::size_t i) { theta[i] += 0.4f * random_value(11, i); });
    }
    fill_batch();
  }

  const NetworkSpec& spec() const { return region_->policy().spec(); }
  TrustRegion& region() { return *region_; }
  const Stream& stream() const { return stream_; }
  std::vector<float> theta() const {
    return {region_->parameters().data, region_->parameters().data + region_->parameters().size()};
  }
  void begin(float entropy_weight = 0.0f) {
    measure_minibatch(stream_, batch_, rows_, true, parts_.data, moments_.data);
    region_->begin(stream_, *observations_, batch_, moments_.data, entropy_weight);
  }
  TrustRegionState improve(float max_kl) {
    region_->improve(stream_, max_kl, &learner);
    return *region_->state();
  }

  template <class F>
  static void for_each_element(const TensorLayout& t, const F& f) {
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < std::max(t.columns, 1); ++c) {
        f(t.offset + static_cast<std::size_t>(r) * t.row_stride + static_cast<std::size_t>(c) * t.column_stride);
      }
    }
  }
  std::vector<double> random_direction(std::uint64_t seed) const {
    std::vector<double> v(spec().parameter_count());
    for (const TensorLayout& t : spec().tensors()) {
      for_each_element(t, [&](std::size_t i) { v[i] = static_cast<double>(random_value(seed, i)); });
    }
    return v;
  }

  // In double: the mean over valid rows of the surrogate's ratio times the normalised advantage, and of KL(old || new).
  struct Measured {
    double surrogate = 0.0, kl = 0.0;
  };
  Measured measure(const std::vector<double>& old_theta, const std::vector<double>& theta) const {
    Measured sum;
    double count = 0.0;
    const MinibatchMoments& m = *moments_.data;
    for (int r = 0; r < rows_; ++r) {
      if (!batch_.valid[r]) continue;
      const std::vector<double> p = outputs(old_theta, r), q = outputs(theta, r);
      const double advantage = static_cast<double>((batch_.advantage[r] - m.advantage_mean) * m.advantage_inverse);
      sum.kl += kl(old_theta, p, theta, q);
      sum.surrogate += advantage * std::exp(log_prob(theta, q, r) - static_cast<double>(batch_.old_log_prob[r]));
      count += 1.0;
    }
    return {sum.surrogate / count, sum.kl / count};
  }
  static std::vector<double> moved(const std::vector<double>& from, const std::vector<double>& v, double step) {
    std::vector<double> to = from;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += step * v[i];
    return to;
  }
  std::vector<double> theta_in_double() const {
    const std::vector<float> f = theta();
    return {f.begin(), f.end()};
  }

  LearnerState learner;
  RolloutBatch batch_;

 private:
  static constexpr float kLow[2] = {-1.0f, -1.0f}, kHigh[2] = {1.0f, 1.0f};

  void make(const TrustRegionConfig& config) {
    std::vector<VectorSpec> vectors;
    if (!action_.is_discrete()) vectors = {{"log_sigma", 2, -0.3f}};
    auto network = std::make_shared<MlpNetwork>(NetworkSpec(
        3, false, {{"actor", {8, 5}, Activation::kTanh, {{"policy", action_.is_discrete() ? 3 : 2, 1.0f}}}}, vectors));
    const RingShape shape{rows_, 1, 3, ObsType::kFloat32, RecordLayout::for_action_size(action_.size), 8};
    observations_ = std::make_unique<ObservationNormalizer>(false, shape, arena_);
    region_ = std::make_unique<TrustRegion>(config, action_, network, rows_, stream_, arena_);
    batch_ = RolloutBatch::take(shape, action_, rows_, arena_);
    parts_ = arena_.take<MomentPart>(kMomentParts);
    moments_ = arena_.take<MinibatchMoments>(1);
  }

  void fill_batch() {
    const std::vector<double> now = theta_in_double();
    for (int r = 0; r < rows_; ++r) {
      const auto i = static_cast<std::size_t>(r);
      for (std::size_t d = 0; d < 3; ++d) batch_.obs[i * 3 + d] = float_bits(2.0f * random_value(5, i * 3 + d));
      batch_.valid[r] = r % 5 != 4;
      batch_.advantage[r] = batch_.valid[r] ? random_value(7, i) + 0.2f : 1e6f;
      const std::vector<double> y = outputs(now, r);
      if (action_.is_discrete()) {
        batch_.action[r] = static_cast<std::int32_t>((r * 7) % 3);
      } else {
        for (int j = 0; j < 2; ++j) {
          batch_.raw_action[j * batch_.stride + r] =
              static_cast<float>(y[static_cast<std::size_t>(j)]) + random_value(9, i * 2 + static_cast<std::size_t>(j));
        }
      }
      batch_.old_log_prob[r] = static_cast<float>(log_prob(now, y, r));
    }
  }

  std::vector<double> outputs(const std::vector<double>& theta, int row) const {
    std::vector<double> x;
    for (std::size_t d = 0; d < 3; ++d) {
      x.push_back(static_cast<double>(bits_float(batch_.obs[static_cast<std::size_t>(row) * 3 + d])));
    }
    for (const LayerLayout& layer : spec().layers()) {
      std::vector<double> y(static_cast<std::size_t>(layer.out));
      for (std::size_t o = 0; o < y.size(); ++o) {
        y[o] = theta[layer.bias + o];
        for (std::size_t k = 0; k < x.size(); ++k) {
          y[o] += x[k] * theta[layer.weight + k * static_cast<std::size_t>(layer.out_stride) + o];
        }
        if (layer.activation == Activation::kTanh) y[o] = std::tanh(y[o]);
      }
      x = y;
    }
    return x;
  }
  static std::vector<double> log_softmax(std::vector<double> x) {
    double sum = 0.0;
    for (const double value : x) sum += std::exp(value);
    for (double& value : x) value -= std::log(sum);
    return x;
  }
  double log_sigma(const std::vector<double>& theta, std::size_t j) const {
    return theta[spec().vector_offset("log_sigma") + j];
  }
  double log_prob(const std::vector<double>& theta, const std::vector<double>& y, int row) const {
    if (action_.is_discrete()) return log_softmax(y)[static_cast<std::size_t>(batch_.action[row])];
    double sum = 0.0;
    for (std::size_t j = 0; j < 2; ++j) {
      const double a = static_cast<double>(batch_.raw_action[static_cast<int>(j) * batch_.stride + row]);
      const double z = (a - y[j]) / std::exp(log_sigma(theta, j));
      sum += -0.5 * z * z - log_sigma(theta, j) - 0.5 * std::log(2.0 * 3.14159265358979323846);
    }
    return sum;
  }
  double kl(const std::vector<double>& old_theta, const std::vector<double>& old_y, const std::vector<double>& theta,
            const std::vector<double>& y) const {
    double sum = 0.0;
    if (action_.is_discrete()) {
      const std::vector<double> p = log_softmax(old_y), q = log_softmax(y);
      for (std::size_t j = 0; j < p.size(); ++j) sum += std::exp(p[j]) * (p[j] - q[j]);
      return sum;
    }
    for (std::size_t j = 0; j < 2; ++j) {
      const double s0 = std::exp(log_sigma(old_theta, j)), s1 = std::exp(log_sigma(theta, j));
      sum += std::log(s1 / s0) + (s0 * s0 + (old_y[j] - y[j]) * (old_y[j] - y[j])) / (2.0 * s1 * s1) - 0.5;
    }
    return sum;
  }

  int rows_;
  Stream stream_;
  Arena arena_;
  Space action_;
  std::unique_ptr<ObservationNormalizer> observations_;
  std::unique_ptr<TrustRegion> region_;
  View<MomentPart> parts_;
  View<MinibatchMoments> moments_;
};

std::vector<float> product(Region& r, const std::vector<double>& v) {
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
    Region r(discrete, 33);
    r.begin();
    const std::vector<double> old = r.theta_in_double();
    EXPECT_NEAR(r.measure(old, old).kl, 0.0, 1e-12);
    for (std::uint64_t seed = 40; seed < 50; ++seed) {
      const std::vector<double> v = r.random_direction(seed);
      const double above = r.measure(old, Region::moved(old, v, 1e-5)).kl;
      const double below = r.measure(old, Region::moved(old, v, -1e-5)).kl;
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
      Region r(discrete, rows, {.damping = 0.0f});
      r.begin();
      const std::vector<double> old = r.theta_in_double(), v = r.random_direction(21);
      const std::vector<float> fv = product(r, v);
      const auto second = [&](const std::vector<double>& w) {
        const auto kl = [&](double a, double b) {
          return r.measure(old, Region::moved(Region::moved(old, v, a), w, b)).kl;
        };
        return (kl(h, h) - kl(h, -h) - kl(-h, h) + kl(-h, -h)) / (4.0 * h * h);
      };
      double error = 0.0, size = 0.0;
      for (const TensorLayout& t : r.spec().tensors()) {
        Region::for_each_element(t, [&](std::size_t i) {
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
    Region plain(discrete, 33, {.damping = 0.0f}), damped(discrete, 33, {.damping = 0.5f});
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
      Region r(discrete, rows);
      r.begin();
      const std::vector<double> old = r.theta_in_double();
      const std::vector<float> gradient(r.region().gradient(), r.region().gradient() + old.size());
      for (std::uint64_t seed = 60; seed < 66; ++seed) {
        const std::vector<double> v = r.random_direction(seed);
        const double expected = (r.measure(old, Region::moved(old, v, 1e-5)).surrogate -
                                 r.measure(old, Region::moved(old, v, -1e-5)).surrogate) /
                                2e-5;
        EXPECT_NEAR(dot(gradient, v), expected, 1e-4 * (1.0 + std::fabs(expected)));
      }
    }
  }
}

TEST(TrustRegion, AStepImprovesTheSurrogateInsideTheRegion) {
  for (const bool discrete : {true, false}) {
    for (const float max_kl : {0.001f, 0.01f, 0.1f}) {
      Region r(discrete, 130, {.damping = 0.01f});
      r.begin();
      const std::vector<double> old = r.theta_in_double();
      const Region::Measured before = r.measure(old, old);
      const TrustRegionState state = r.improve(max_kl);
      const Region::Measured after = r.measure(old, r.theta_in_double());
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
  Region r(false, 130, {.damping = 1e-4f, .backtrack_steps = 1});
  r.begin();
  const std::vector<float> before = r.theta();
  const TrustRegionState state = r.improve(20.0f);
  EXPECT_GT(state.scale, 0.0f);
  EXPECT_EQ(state.fraction, 0.0f);
  const std::vector<float> after = r.theta();
  EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)), 0);
  EXPECT_EQ(r.region().totals().data->failures, 1.0);
  EXPECT_EQ(r.learner.failed, 0);
}

TEST(TrustRegion, BacktrackingFindsAShorterStep) {
  Region r(false, 130, {.damping = 1e-4f, .backtrack_steps = 40});
  r.begin();
  const TrustRegionState state = r.improve(20.0f);
  EXPECT_GT(state.fraction, 0.0f);
  EXPECT_LT(state.fraction, 1.0f);
  const int backtracks = static_cast<int>(std::lround(std::log(state.fraction) / std::log(0.8)));
  EXPECT_NEAR(state.fraction, std::pow(0.8, backtracks), 1e-5);
}

TEST(TrustRegion, AGradientThatIsNotFiniteStopsTheLearner) {
  Region r(true, 33);
  r.batch_.advantage[3] = std::numeric_limits<float>::quiet_NaN();
  r.begin();
  const std::vector<float> before = r.theta();
  EXPECT_EQ(r.improve(0.01f).fraction, 0.0f);
  EXPECT_EQ(r.learner.failed, 1);
  const std::vector<float> after = r.theta();
  EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)), 0);
}

TEST(TrustRegion, InvalidRowsChangeNothing) {
  Region one(true, 33), two(true, 33);
  for (int r = 4; r < 33; r += 5) {
    two.batch_.advantage[r] = -3e5f;
    two.batch_.obs[r * 3] = float_bits(9.0f);
  }
  for (Region* r : {&one, &two}) {
    r->begin();
    r->improve(0.01f);
  }
  const std::vector<float> a = one.theta(), b = two.theta();
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST(TrustRegion, ThreadsChangeNoBit) {
  for (const bool discrete : {true, false}) {
    Region one(discrete, 257), three(discrete, 257, {}, 3);
    for (Region* r : {&one, &three}) {
      r->begin(0.01f);
      r->improve(0.01f);
    }
    const std::vector<float> a = one.theta(), b = three.theta();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace stampede
