// SPDX-License-Identifier: Apache-2.0
// Gradient descent on flat parameter blocks: Adam (Kingma & Ba 2015, algorithm 1), AdamW, RAdam, RMSProp, clipping,
// Polyak.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/stream.h"

namespace stampede {

// RAdam: Liu et al. 2020 (arXiv:1908.03265), algorithm 2: Adam whose first steps, whose second moment rests on too few
// gradients, are not adaptive, and whose next ones are shorter.
enum class OptimizerKind : std::uint8_t { kAdam, kAdamW, kRmsProp, kSgd, kRAdam };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdam;
  float beta1 = 0.9f;
  float beta2 = 0.999f;              // RMSProp's decay alpha
  float epsilon = 1e-8f;             // Adam adds it outside the root
  bool epsilon_inside_root = false;  // RMSProp: sqrt(v + eps), as Mnih et al. 2016, instead of sqrt(v) + eps
  float weight_decay = 0.0f;         // AdamW's decoupled decay; L2 in the gradient for the others
  float max_norm = 0.0f;             // global-norm clip; 0 = off
  float max_value = 0.0f;            // elementwise clip; 0 = off
};

// Lives in device memory and changes every update: a stopped learner leaves parameters, moments and step untouched.
struct LearnerState {
  std::int64_t step = 0;       // optimiser steps taken
  float gradient_norm = 0.0f;  // before clipping, of the last update
  std::int32_t stop = 0;       // 1: the updates until the next reset of this flag are no-ops (target KL)
  std::int32_t failed = 0;     // 1: a loss or gradient was not finite; parameters are the last good ones
};

// All blocks are aligned to 64 bytes.
struct OptimizerBlocks {
  float* parameters;     // [count]
  float* gradients;      // [groups, count], summed by a fixed tree into group 0
  float* first_moment;   // [count]; Adam, AdamW and RAdam only
  float* second_moment;  // [count]; all but SGD
  float* scratch;        // [optimizer_scratch_size(count)]
  std::size_t count;     // a multiple of 16
};

std::size_t optimizer_scratch_size(std::size_t count);

inline constexpr int kMaxGradientGroups = 16;

// One update: sums the groups' gradients by a fixed tree, multiplies them by `scale`, measures the norm, clips by norm
// and then by value, steps. A no-op when state->stop or state->failed is set; sets state->failed (and changes neither
// parameters, moments nor step) when the norm is not finite. The result does not depend on the stream's threads.
// Stream-ordered. Throws RuntimeError unless groups is in [1, kMaxGradientGroups].
void optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                    float learning_rate, float scale, LearnerState* state);

// target = target + tau (online - target); tau = 1 copies.
void polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau);

}  // namespace stampede
