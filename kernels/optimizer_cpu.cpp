// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer_cpu.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "kernels/optimizer_blocks.h"
#include "kernels/simd.h"

namespace stampede {
namespace {

// The unit of reduction and of parallel work: fixed, so that sums keep their shape.
constexpr std::size_t kChunk = 1024;
// Below this, waking threads costs more than they save.
constexpr std::size_t kParallelCount = 64 * kChunk;

// function(begin, end, chunk index) over all chunks of [0, count).
template <class F>
void for_each_parameter_chunk(const Stream& stream, std::size_t count, const F& function) {
  const int chunks = static_cast<int>((count + kChunk - 1) / kChunk);
  const auto run = [&](int c) {
    const std::size_t begin = static_cast<std::size_t>(c) * kChunk;
    function(begin, std::min(begin + kChunk, count), c);
  };
  if (stream.threads() == 1 || count < kParallelCount) {
    for (int c = 0; c < chunks; ++c) run(c);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(stream.threads())
  for (int c = 0; c < chunks; ++c) run(c);
}

// The sum of Count groups, halving at the largest power of two below Count.
template <int Count>
Vector sum_groups(const float* gradient, std::size_t stride) {
  if constexpr (Count == 1) {
    return Vector::load(gradient);
  } else {
    constexpr int kLeft = static_cast<int>(std::bit_floor(static_cast<unsigned>(Count - 1)));
    return sum_groups<kLeft>(gradient, stride) + sum_groups<Count - kLeft>(gradient + kLeft * stride, stride);
  }
}

// Sums and scales the groups of one chunk into group 0; returns the chunk's sum of squares.
template <int Groups>
float combine_chunk(float* gradient, std::size_t stride, std::size_t begin, std::size_t end, float scale) {
  constexpr int kVectors = kRowPadding / Vector::kLanes;
  Vector square[kVectors];
  for (int j = 0; j < kVectors; ++j) square[j] = Vector(0.0f);
  for (std::size_t i = begin; i < end; i += kRowPadding) {
    for (int j = 0; j < kVectors; ++j) {
      float* element = gradient + i + static_cast<std::size_t>(j * Vector::kLanes);
      const Vector sum = sum_groups<Groups>(element, stride) * Vector(scale);
      sum.store(element);
      square[j] = fused(sum, sum, square[j]);
    }
  }
  return sum_lanes(square);
}

using CombineFunction = float (*)(float*, std::size_t, std::size_t, std::size_t, float);
constexpr auto kCombine = []<int... Groups>(std::integer_sequence<int, Groups...>) {
  return std::array<CombineFunction, sizeof...(Groups)>{&combine_chunk<Groups + 1>...};
}
(std::make_integer_sequence<int, kMaxGradientGroups>{});

enum class StepRule { kAdam, kRmsProp, kRmsPropInside, kSgd };

StepRule step_rule(const OptimizerConfig& config) {
  if (config.kind == OptimizerKind::kSgd) return StepRule::kSgd;
  if (config.kind != OptimizerKind::kRmsProp) return StepRule::kAdam;
  return config.epsilon_inside_root ? StepRule::kRmsPropInside : StepRule::kRmsProp;
}

// The direction to descend along, after moving the moments on.
template <StepRule Rule>
Vector descent(const UpdateScalars& s, Vector gradient, float* first, float* second) {
  if constexpr (Rule == StepRule::kSgd) {
    return gradient;
  } else {
    const Vector old = Vector::load(second);
    // Moments of an element without gradients decay for ever; they end at zero, not among slow subnormals.
    const Vector v = flush_subnormal(fused(Vector(s.one_minus_beta2) * gradient, gradient, Vector(s.beta2) * old));
    v.store(second);
    if constexpr (Rule == StepRule::kRmsProp) return gradient / (square_root(v) + Vector(s.epsilon));
    if constexpr (Rule == StepRule::kRmsPropInside) return gradient / square_root(v + Vector(s.epsilon));
    if constexpr (Rule == StepRule::kAdam) {
      const Vector mean = Vector::load(first);
      const Vector m = flush_subnormal(fused(Vector(s.one_minus_beta1), gradient - mean, mean));
      m.store(first);
      return m / fused(square_root(v), Vector(s.inverse_root), Vector(s.epsilon));
    }
  }
}

template <StepRule Rule>
void step_chunk(const OptimizerBlocks& blocks, const UpdateScalars& scalars, std::size_t begin, std::size_t end) {
  const UpdateScalars s = scalars;
  float* const parameters = blocks.parameters;
  const float* const gradients = blocks.gradients;
  float* const first = blocks.first_moment;
  float* const second = blocks.second_moment;
  for (std::size_t i = begin; i < end; i += Vector::kLanes) {
    const Vector parameter = Vector::load(parameters + i);
    Vector gradient = Vector::load(gradients + i) * Vector(s.clip);
    gradient = clamp(gradient, Vector(-s.max_value), Vector(s.max_value));
    gradient = fused(Vector(s.l2), parameter, gradient);
    const Vector direction = descent<Rule>(s, gradient, first + i, second + i);
    fused(Vector(-s.rate), direction, parameter * Vector(s.decay)).store(parameters + i);
  }
}

template <StepRule Rule>
void step_all(const Stream& stream, const OptimizerBlocks& blocks, const UpdateScalars& scalars) {
  for_each_parameter_chunk(stream, blocks.count, [&](std::size_t begin, std::size_t end, int) {
    step_chunk<Rule>(blocks, scalars, begin, end);
  });
}

}  // namespace

float cpu_combine_gradients(const Stream& stream, const OptimizerBlocks& blocks, int groups, float scale) {
  const CombineFunction combine = kCombine[static_cast<std::size_t>(groups - 1)];
  for_each_parameter_chunk(stream, blocks.count, [&](std::size_t begin, std::size_t end, int chunk) {
    blocks.scratch[chunk] = combine(blocks.gradients, blocks.count, begin, end, scale);
  });
  double total = 0.0;
  for (std::size_t c = 0; c < (blocks.count + kChunk - 1) / kChunk; ++c)
    total += static_cast<double>(blocks.scratch[c]);
  return static_cast<float>(std::sqrt(total));
}

void cpu_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                        float learning_rate, float scale, LearnerState* state) {
  if (state->stop != 0 || state->failed != 0) return;
  const float norm = cpu_combine_gradients(stream, blocks, groups, scale);
  UpdateScalars scalars;
  decide_update(config, learning_rate, norm, state, &scalars);
  if (scalars.active == 0) return;
  switch (step_rule(config)) {
    case StepRule::kAdam:
      return step_all<StepRule::kAdam>(stream, blocks, scalars);
    case StepRule::kRmsProp:
      return step_all<StepRule::kRmsProp>(stream, blocks, scalars);
    case StepRule::kRmsPropInside:
      return step_all<StepRule::kRmsPropInside>(stream, blocks, scalars);
    case StepRule::kSgd:
      return step_all<StepRule::kSgd>(stream, blocks, scalars);
  }
}

void cpu_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau) {
  for_each_parameter_chunk(stream, count, [&](std::size_t begin, std::size_t end, int) {
    if (tau == 1.0f) {
      std::copy(online + begin, online + end, target + begin);
      return;
    }
    for (std::size_t i = begin; i < end; i += Vector::kLanes) {
      const Vector old = Vector::load(target + i);
      fused(Vector(tau), Vector::load(online + i) - old, old).store(target + i);
    }
  });
}

}  // namespace stampede
