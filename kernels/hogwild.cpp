// SPDX-License-Identifier: Apache-2.0
// Reads and writes here race by design. Each is a whole aligned 32-bit word, so no value is torn; one update may hide
// another's, which is what the method accepts for not locking. The C++ memory model has no name for that short of
// std::atomic_ref, which compilers do not vectorise: on a block of 5520 floats relaxed atomics took 8.4 us instead of
// 0.8 us, more than a rollout's whole backward pass. So the loops are plain, stay in this file (nothing here is
// inlined elsewhere, so no other code is compiled as if the values could not change), and ThreadSanitizer is told to
// leave them out; it sees everything else.
#include "kernels/hogwild.h"

#include "kernels/math.h"
#include "kernels/simd.h"

namespace stampede {
namespace {

// Lines that another core wrote last arrive late: asked for this many floats ahead, for writing, they overlap.
constexpr std::size_t kAhead = 512;

// The arithmetic of kernels/optimizer_blocks.h. The blocks are arguments because gcc believes `__restrict` only there.
template <bool EpsilonInside>
[[gnu::no_sanitize("thread"), gnu::noinline]] void step(const RmsPropConfig config, float* __restrict parameters,
                                                        float* __restrict squares, const float* __restrict gradients,
                                                        float* __restrict snapshot, std::size_t count, float scale,
                                                        float rate) {
  for (std::size_t line = 0; line < count; line += kRowPadding) {
    __builtin_prefetch(parameters + line + kAhead, 1);
    __builtin_prefetch(squares + line + kAhead, 1);
    for (std::size_t i = line; i < line + kRowPadding; ++i) {
      const float gradient = gradients[i] * scale;
      const float square = fused((1.0f - config.decay) * gradient, gradient, config.decay * squares[i]);
      // Statistics of an element without gradients end at zero, not among slow subnormals.
      const float kept = square < kSmallestNormal ? 0.0f : square;
      const float root = EpsilonInside ? square_root(kept + config.epsilon) : square_root(kept) + config.epsilon;
      const float parameter = fused(-rate, gradient / root, parameters[i]);
      squares[i] = kept;
      parameters[i] = parameter;
      snapshot[i] = parameter;
    }
  }
}

}  // namespace

[[gnu::no_sanitize("thread")]] void hogwild_copy(const float* from, float* to, std::size_t count) {
  for (std::size_t line = 0; line < count; line += kRowPadding) {
    __builtin_prefetch(from + line + kAhead);
    for (std::size_t i = line; i < line + kRowPadding; ++i) to[i] = from[i];
  }
}

void hogwild_rmsprop(const RmsPropConfig& config, const HogwildBlocks& shared, const float* gradients, float scale,
                     float rate, float* snapshot) {
  const auto apply = config.epsilon_inside_root ? &step<true> : &step<false>;
  apply(config, shared.parameters, shared.squares, gradients, snapshot, shared.count, scale, rate);
}

}  // namespace stampede
