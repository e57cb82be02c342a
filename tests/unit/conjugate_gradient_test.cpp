// SPDX-License-Identifier: Apache-2.0
// Conjugate gradients on systems whose solution is known.
#include "agents/conjugate_gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

double random_value(std::size_t i) {
  return 2.0 * static_cast<double>(uniform_float(RandomKey{31, i, Purpose::kPermutation}.lane_word(0))) - 1.0;
}

// A = B B^T / n + 0.1, symmetric and positive definite, with its solver.
class System {
 public:
  explicit System(int size) : size_(size), arena_(Device{}), matrix_(static_cast<std::size_t>(size * size)) {
    ConjugateGradient(padded(), arena_);
    arena_.allocate("test");
    solver_ = std::make_unique<ConjugateGradient>(padded(), arena_);
    std::vector<double> factor(matrix_.size());
    for (std::size_t i = 0; i < factor.size(); ++i) factor[i] = random_value(i);
    const auto n = static_cast<std::size_t>(size);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        double sum = i == j ? 0.1 : 0.0;
        for (std::size_t k = 0; k < n; ++k) sum += factor[i * n + k] * factor[j * n + k] / size;
        matrix_[i * n + j] = sum;
      }
    }
  }

  std::size_t padded() const { return static_cast<std::size_t>((size_ + 15) / 16 * 16); }
  void multiply(const float* x, float* y, double sign = 1.0) const {
    for (int i = 0; i < size_; ++i) {
      double sum = 0.0;
      for (int j = 0; j < size_; ++j)
        sum += matrix_[static_cast<std::size_t>(i * size_ + j)] * static_cast<double>(x[j]);
      y[i] = static_cast<float>(sign * sum);
    }
  }
  void solve(const std::vector<float>& b, int iterations, float tolerance = 0.0f, int threads = 1, double sign = 1.0) {
    products = 0;
    solver_->solve(Stream::cpu(threads), b.data(), iterations, tolerance, [&](const float* v, float* product) {
      ++products;
      multiply(v, product, sign);
    });
  }
  std::vector<float> solution() const { return {solver_->solution(), solver_->solution() + padded()}; }
  const ConjugateGradient& solver() const { return *solver_; }

  int products = 0;

 private:
  int size_;
  Arena arena_;
  std::vector<double> matrix_;
  std::unique_ptr<ConjugateGradient> solver_;
};

std::vector<float> right_side(const System& system, int size, std::vector<float>* known = nullptr) {
  std::vector<float> x(system.padded()), b(system.padded());
  for (int i = 0; i < size; ++i)
    x[static_cast<std::size_t>(i)] = static_cast<float>(random_value(100'000 + static_cast<std::size_t>(i)));
  system.multiply(x.data(), b.data());
  if (known) *known = x;
  return b;
}

TEST(ConjugateGradient, SolvesRandomSystems) {
  for (const int size : {1, 5, 31, 33, 257}) {
    System system(size);
    std::vector<float> known;
    const std::vector<float> b = right_side(system, size, &known);
    system.solve(b, 2 * size + 10, 1e-13f);
    for (std::size_t i = 0; i < known.size(); ++i) ASSERT_NEAR(system.solution()[i], known[i], 2e-5) << size;
    EXPECT_TRUE(system.solver().state()->done) << size;
    EXPECT_EQ(system.products, system.solver().state()->steps);
  }
}

// In exact arithmetic n steps solve n equations: two unknowns, two steps.
TEST(ConjugateGradient, TwoStepsByHand) {
  Arena arena(Device{});
  ConjugateGradient(16, arena);
  arena.allocate("test");
  ConjugateGradient solver(16, arena);
  std::vector<float> b(16);
  b[0] = 1.0f, b[1] = 2.0f;
  std::vector<float> first;
  solver.solve(Stream::cpu(), b.data(), 1, 0.0f, [&](const float* v, float* product) {
    product[0] = 4.0f * v[0] + v[1];
    product[1] = v[0] + 3.0f * v[1];
  });
  // alpha = 5 / 20.
  EXPECT_FLOAT_EQ(solver.solution()[0], 0.25f);
  EXPECT_FLOAT_EQ(solver.solution()[1], 0.5f);
  EXPECT_FLOAT_EQ(solver.residual()[0], -0.5f);
  EXPECT_FLOAT_EQ(solver.residual()[1], 0.25f);
  EXPECT_FLOAT_EQ(solver.state()->beta, 0.0625f);
  solver.solve(Stream::cpu(), b.data(), 2, 0.0f, [&](const float* v, float* product) {
    product[0] = 4.0f * v[0] + v[1];
    product[1] = v[0] + 3.0f * v[1];
  });
  EXPECT_NEAR(solver.solution()[0], 1.0 / 11.0, 1e-6);
  EXPECT_NEAR(solver.solution()[1], 7.0 / 11.0, 1e-6);
}

TEST(ConjugateGradient, ThreadsChangeNoBit) {
  System one(257), three(257);
  const std::vector<float> b = right_side(one, 257);
  one.solve(b, 12);
  three.solve(b, 12, 0.0f, 3);
  EXPECT_EQ(std::memcmp(one.solution().data(), three.solution().data(), one.padded() * 4), 0);
}

TEST(ConjugateGradient, NothingToSolveNeedsNoProduct) {
  System system(31);
  system.solve(std::vector<float>(system.padded()), 10);
  EXPECT_EQ(system.products, 0);
  for (const float x : system.solution()) EXPECT_EQ(x, 0.0f);
}

// What is not positive definite, or not a number, leaves the solution found so far.
TEST(ConjugateGradient, NegativeCurvatureAndNanEndTheSolution) {
  System system(31);
  std::vector<float> b = right_side(system, 31);
  system.solve(b, 10, 0.0f, 1, -1.0);
  EXPECT_EQ(system.products, 1);
  for (const float x : system.solution()) EXPECT_EQ(x, 0.0f);
  b[3] = NAN;
  system.solve(b, 10);
  EXPECT_EQ(system.products, 0);
  for (const float x : system.solution()) EXPECT_EQ(x, 0.0f);
}

TEST(ConjugateGradient, TheToleranceEndsEarly) {
  System system(257);
  const std::vector<float> b = right_side(system, 257);
  system.solve(b, 500, 1e-2f);
  const ConjugateGradientState& state = *system.solver().state();
  EXPECT_LE(state.residual, 1e-2f * state.first_residual);
  EXPECT_LT(state.steps, 100);
  EXPECT_GT(state.steps, 1);
}

}  // namespace
}  // namespace stampede
