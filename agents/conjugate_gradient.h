// SPDX-License-Identifier: Apache-2.0
// Conjugate gradients (Hestenes & Stiefel 1952) for A x = b, with A symmetric, positive definite and known by products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/arena.h"
#include "kernels/stream.h"

namespace stampede {

// In device memory: what the next step needs and what a caller reads at last.
struct ConjugateGradientState {
  float curvature;       // p . A p of the latest direction p
  float next_residual;   // r . r after the latest step
  float residual;        // r . r before it
  float first_residual;  // b . b
  float alpha, beta;     // of the latest step
  std::int32_t done;     // 1: later steps change nothing
  std::int32_t steps;    // that changed the solution
};

// Sums have a fixed shape: the bits of the solution do not depend on threads. Everything is stream-ordered, and nothing
// is read by the host that a stream has not finished.
class ConjugateGradient {
 public:
  // Vectors of `count` floats, a multiple of 16.
  ConjugateGradient(std::size_t count, Arena& arena);

  // At most `iterations` steps from x = 0, ending early once |b - A x|^2 <= tolerance * |b|^2 or where A is not
  // positive along a direction. product(direction, result) enqueues result = A direction.
  template <class Product>
  void solve(const Stream& stream, const float* b, int iterations, float tolerance, const Product& product) {
    start(stream, b);
    for (int i = 0; i < iterations; ++i) {
      // On CUDA the remaining steps are enqueued as no-ops; a CPU can see the flag and save the work.
      if (!stream.is_cuda() && state_.data->done) break;
      product(direction_.data, product_.data);
      step(stream, tolerance);
    }
  }

  float* solution() const { return solution_.data; }        // x
  const float* residual() const { return residual_.data; }  // b - A x
  const ConjugateGradientState* state() const { return state_.data; }

 private:
  void start(const Stream& stream, const float* b);
  void step(const Stream& stream, float tolerance);

  View<float> solution_, residual_, direction_, product_, scratch_;
  View<ConjugateGradientState> state_;  // [1]
};

}  // namespace stampede
