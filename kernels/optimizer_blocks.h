// SPDX-License-Identifier: Apache-2.0
// An optimiser update as three CUDA kernels: combine and measure, decide, apply; the arithmetic of the CPU version.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/block.h"
#include "kernels/math.h"
#include "kernels/optimizer.h"

namespace stampede {

// The norm's sum of squares has a fixed shape: sixteen interleaved partial sums per chunk, joined by a tree; then the
// chunks' sums in ascending order, in double.
inline constexpr unsigned kOptimizerChunk = 1024;
inline constexpr unsigned kOptimizerThreads = 256;
inline constexpr unsigned kNormLanes = 16;

inline std::size_t optimizer_chunks(std::size_t count) { return (count + kOptimizerChunk - 1) / kOptimizerChunk; }

// What every element's step needs; decided once per update in double, on CUDA by the device.
struct UpdateScalars {
  std::int32_t active;  // 0: this update is a no-op
  float clip;           // factor of the norm clip
  float max_value;      // infinity = off
  float decay;          // parameters are multiplied by it first (AdamW)
  float l2;             // times the parameter, added to the gradient
  float rate;           // learning rate, for Adam divided by the first bias correction
  float inverse_root;   // of the second bias correction
  float beta2, one_minus_beta1, one_minus_beta2, epsilon;
};

// The factor of RAdam's step after `step` gradients, 0 where the second moment is not to be trusted yet.
HD double radam_rectification(double beta2, std::int64_t step) {
  const double longest = 2.0 / (1.0 - beta2) - 1.0, power = pow(beta2, static_cast<double>(step));
  const double length = longest - 2.0 * static_cast<double>(step) * power / (1.0 - power);
  if (!(length > 5.0)) return 0.0;
  return sqrt((length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length));
}

// The scalars lie in the scratch block behind the chunks' sums.
inline UpdateScalars* update_scalars(const OptimizerBlocks& blocks) {
  return reinterpret_cast<UpdateScalars*>(blocks.scratch + (optimizer_chunks(blocks.count) + 15) / 16 * 16);
}

// What the first and second moment after `step` gradients are divided by.
struct BiasCorrections {
  double first, second;
};

// One of them; the power takes a CUDA thread longer than all else that an update has to decide.
HD double bias_correction(const OptimizerConfig& config, float beta, std::int64_t step) {
  const bool adam = config.kind != OptimizerKind::kRmsProp && config.kind != OptimizerKind::kSgd;
  return adam ? 1.0 - pow(static_cast<double>(beta), static_cast<double>(step)) : 1.0;
}

HD UpdateScalars decide_scalars(const OptimizerConfig& config, float learning_rate, float norm, std::int64_t step,
                                const BiasCorrections& corrections) {
  const bool decoupled = config.kind == OptimizerKind::kAdamW;
  const double rate = learning_rate, beta1 = config.beta1, beta2 = config.beta2;
  const double correction1 = corrections.first, correction2 = corrections.second;
  const double clip = config.max_norm > 0.0f ? config.max_norm / (static_cast<double>(norm) + 1e-6) : 1.0;
  UpdateScalars scalars;
  scalars.active = 1;
  scalars.clip = static_cast<float>(clip < 1.0 ? clip : 1.0);
  scalars.max_value = config.max_value > 0.0f ? config.max_value : INFINITY;
  scalars.decay = static_cast<float>(decoupled ? 1.0 - rate * static_cast<double>(config.weight_decay) : 1.0);
  scalars.l2 = decoupled ? 0.0f : config.weight_decay;
  scalars.rate = static_cast<float>(rate / correction1);
  scalars.inverse_root = static_cast<float>(1.0 / sqrt(correction2));
  scalars.beta2 = config.beta2;
  scalars.one_minus_beta1 = static_cast<float>(1.0 - beta1);
  scalars.one_minus_beta2 = static_cast<float>(1.0 - beta2);
  scalars.epsilon = config.epsilon;
  if (config.kind == OptimizerKind::kRAdam) {
    const double factor = radam_rectification(beta2, step);
    if (factor > 0.0) {
      scalars.rate = static_cast<float>(rate / correction1 * factor);
    } else {  // the mean gradient alone: divided by 0 * sqrt(v) + 1
      scalars.inverse_root = 0.0f;
      scalars.epsilon = 1.0f;
    }
  }
  return scalars;
}

// Moves the learner's state on after a gradient of this norm and decides the scalars; what a stopped learner or a norm
// that is not finite does to them included. corrections: of the state's next step.
HD void decide_update(const OptimizerConfig& config, float learning_rate, float norm,
                      const BiasCorrections& corrections, LearnerState* state, UpdateScalars* scalars) {
  scalars->active = 0;
  if (state->stop != 0 || state->failed != 0) return;
  state->gradient_norm = norm;
  if (!(norm < INFINITY)) {  // NaN as well
    state->failed = 1;
    return;
  }
  state->step += 1;
  *scalars = decide_scalars(config, learning_rate, norm, state->step, corrections);
}

HD void decide_update(const OptimizerConfig& config, float learning_rate, float norm, LearnerState* state,
                      UpdateScalars* scalars) {
  const std::int64_t step = state->step + 1;
  const BiasCorrections corrections{bias_correction(config, config.beta1, step),
                                    bias_correction(config, config.beta2, step)};
  decide_update(config, learning_rate, norm, corrections, state, scalars);
}

// The sum of gradient[g * stride] over the groups: neighbours first, then neighbours of those.
HD float sum_gradient_groups(const float* gradient, std::size_t stride, int groups) {
  float sums[kMaxGradientGroups];
#ifdef __CUDACC__
#pragma unroll
#endif
  for (int g = 0; g < kMaxGradientGroups; ++g)
    sums[g] = g < groups ? gradient[static_cast<std::size_t>(g) * stride] : 0.0f;
#ifdef __CUDACC__
#pragma unroll
#endif
  for (int width = 1; width < kMaxGradientGroups; width *= 2) {
#ifdef __CUDACC__
#pragma unroll
#endif
    for (int g = 0; g + width < kMaxGradientGroups; g += 2 * width) {
      sums[g] = g + width < groups ? sums[g] + sums[g + width] : sums[g];
    }
  }
  return sums[0];
}

// Zero instead of a subnormal number, which a CPU would be slow with.
HD float flush_subnormal(float x) { return x < 0x1p-126f && x > -0x1p-126f ? 0.0f : x; }

// One element of the update; a no-op unless the scalars are active.
struct ApplyUpdate {
  OptimizerKind kind;
  bool epsilon_inside_root;
  OptimizerBlocks blocks;
  const UpdateScalars* scalars;  // [1]

  HD void operator()(int i) const {
    const UpdateScalars s = *scalars;
    if (s.active == 0) return;
    const float parameter = blocks.parameters[i];
    float gradient = clamp(blocks.gradients[i] * s.clip, -s.max_value, s.max_value);
    gradient = fused(s.l2, parameter, gradient);
    blocks.parameters[i] = fused(-s.rate, descent(s, gradient, i), parameter * s.decay);
  }

  // The direction to descend along, after moving the moments on.
  HD float descent(const UpdateScalars& s, float gradient, int i) const {
    if (kind == OptimizerKind::kSgd) return gradient;
    const float v = flush_subnormal(fused(s.one_minus_beta2 * gradient, gradient, s.beta2 * blocks.second_moment[i]));
    blocks.second_moment[i] = v;
    if (kind == OptimizerKind::kRmsProp) {
      return gradient / (epsilon_inside_root ? square_root(v + s.epsilon) : square_root(v) + s.epsilon);
    }
    const float mean = blocks.first_moment[i];
    const float m = flush_subnormal(fused(s.one_minus_beta1, gradient - mean, mean));
    blocks.first_moment[i] = m;
    return m / fused(square_root(v), s.inverse_root, s.epsilon);
  }
};

struct PolyakElement {
  const float* online;  // [count]
  float* target;        // [count]
  float tau;

  HD void operator()(int i) const {
    target[i] = tau == 1.0f ? online[i] : fused(tau, online[i] - target[i], target[i]);
  }
};

// An update that its target follows, stopped or not: what two launches would leave. tau 0: the target stays.
struct ApplyAndFollow {
  ApplyUpdate apply;
  PolyakElement follow;

  HD void operator()(int i) const {
    apply(i);
    if (follow.tau != 0.0f) follow(i);
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Sums and scales the groups of one chunk into group 0 and leaves the chunk's sum of squares in the scratch block. One
// block of kOptimizerThreads threads per chunk.
struct CombineGradients {
  OptimizerBlocks blocks;
  int groups;
  float scale;
  const LearnerState* state;  // [1]

  DEVICE void operator()() const {
    SHARED_ARRAY(float, sums, kOptimizerChunk);
    if (state->stop != 0 || state->failed != 0) return;
    const std::size_t begin = std::size_t{blockIdx.x} * kOptimizerChunk;
    const unsigned size =
        blocks.count - begin < kOptimizerChunk ? static_cast<unsigned>(blocks.count - begin) : kOptimizerChunk;
    for (unsigned i = threadIdx.x; i < size; i += kOptimizerThreads) {
      sums[i] = sum_gradient_groups(blocks.gradients + begin + i, blocks.count, groups) * scale;
      blocks.gradients[begin + i] = sums[i];
    }
    __syncthreads();
    if (threadIdx.x >= 32) return;
    float square = 0.0f;
    if (threadIdx.x < kNormLanes) {
      for (unsigned i = threadIdx.x; i < size; i += kNormLanes) square = fused(sums[i], sums[i], square);
    }
    for (unsigned half = kNormLanes / 2; half > 0; half /= 2) square += __shfl_down_sync(0xffffffffu, square, half);
    if (threadIdx.x == 0) blocks.scratch[blockIdx.x] = square;
  }
};

// Measures the norm, moves the learner's state on and decides the scalars. One block of kThreads.
struct DecideUpdate {
  static constexpr unsigned kThreads = 128;

  OptimizerConfig config;
  const float* chunk_sums;  // [chunks]
  unsigned chunks;          // at least 1
  float learning_rate;
  LearnerState* state;     // [1]
  UpdateScalars* scalars;  // [1]

  DEVICE void operator()() const {
    SHARED_ARRAY(float, sums, kThreads);
    SHARED_ARRAY(double, corrections, 2);
    if (threadIdx.x == 32) corrections[0] = bias_correction(config, config.beta1, state->step + 1);
    if (threadIdx.x == 64) corrections[1] = bias_correction(config, config.beta2, state->step + 1);
    double total = 0.0;
    for (unsigned first = 0; first < chunks; first += kThreads) {
      const unsigned left = chunks - first, size = left < kThreads ? left : kThreads;
      if (threadIdx.x < size) sums[threadIdx.x] = chunk_sums[first + threadIdx.x];
      __syncthreads();
      // In ascending order, by one thread: memory answers all of them at once, not one after the other.
      for (unsigned c = 0; threadIdx.x == 0 && c < size; ++c) total += static_cast<double>(sums[c]);
      __syncthreads();
    }
    if (threadIdx.x != 0) return;
    decide_update(config, learning_rate, static_cast<float>(sqrt(total)), {corrections[0], corrections[1]}, state,
                  scalars);
  }
};
#endif

}  // namespace stampede
