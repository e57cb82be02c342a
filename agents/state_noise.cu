// SPDX-License-Identifier: Apache-2.0
#include "agents/state_noise.h"

#include <cmath>

#include "agents/distributions.h"
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/gemm.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

constexpr int kLanes = StateNoise::kStride;

// Features of rows of outputs, by sixteen of them.
struct FeatureRows {
  const float* features;  // [rows, output_stride], first feature in column 0
  int output_stride, stride;

  HD const float* row(int r) const { return features + static_cast<std::ptrdiff_t>(r) * output_stride; }
  HD const float* lanes(int index) const {
    const int groups = stride / kLanes, r = index / groups;
    return row(r) + (index - r * groups) * kLanes;
  }
};

struct SquareFeaturesOp {
  FeatureRows rows;
  float* squares;  // [rows, stride]

  HD void operator()(int index) const {
    const float* const z = rows.lanes(index);
    for (int k = 0; k < kLanes; ++k) squares[static_cast<std::ptrdiff_t>(index) * kLanes + k] = z[k] * z[k];
  }
};

// sigma^2 as the weights of a linear layer [features, 16] with kSmallest as its biases behind them, and sigma to some
// power by actions [16, stride]; padding of both zero.
struct DeviationsOp {
  const float* log_sigma;  // [features, 16]
  int features, actions, stride;
  float *variance_weights, *by_action;
  float power;

  HD void operator()(int k) const {
    for (int j = 0; j < kLanes; ++j) {
      const bool used = (k < features) & (j < actions);
      const float log_s = used ? log_sigma[k * kLanes + j] : 0.0f;
      if (k < features) variance_weights[k * kLanes + j] = used ? exp_of(2.0f * log_s) : 0.0f;
      if (k == features) variance_weights[k * kLanes + j] = StateNoise::kSmallest;
      if (k < stride) by_action[j * stride + k] = used ? exp_of(power * log_s) : 0.0f;
    }
  }
};

struct LogDeviationOp {
  float* values;  // variances on entry
  HD void operator()(int index) const {
    float* const v = values + static_cast<std::ptrdiff_t>(index) * kLanes;
    for (int j = 0; j < kLanes; ++j) v[j] = 0.5f * log_of(v[j]);
  }
};

// From d(log sigma) to d(variance), in place.
struct VarianceGradientOp {
  const float* log_sigma;
  float* d;
  HD void operator()(int index) const {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(index) * kLanes;
    for (int j = 0; j < kLanes; ++j) d[at + j] *= 0.5f * exp_of(-2.0f * log_sigma[at + j]);
  }
};

// sigma^2 = exp(2 log sigma).
struct AddParameterGradientOp {
  const float *variance_weights, *d_weights;
  float* gradients;
  HD void operator()(int k) const {
    for (int j = 0; j < kLanes; ++j) {
      const int at = k * kLanes + j;
      gradients[at] = fused(2.0f * variance_weights[at], d_weights[at], gradients[at]);
    }
  }
};

struct AddFeatureGradientOp {
  FeatureRows rows;
  const float* d_squares;  // [rows, stride]
  float* d_outputs;        // as FeatureRows::features

  HD void operator()(int index) const {
    const float* const z = rows.lanes(index);
    float* const d = d_outputs + (z - rows.features);
    for (int k = 0; k < kLanes; ++k) {
      d[k] = fused(2.0f * z[k], d_squares[static_cast<std::ptrdiff_t>(index) * kLanes + k], d[k]);
    }
  }
};

// theta^T z of one environment and action. A Philox block has the normals of four features; four blocks side by side.
struct DrawStateNoiseOp {
  FeatureRows rows;
  const float* sigma;  // [16, stride]
  int begin, actions;
  RandomKey key;
  float* noise;  // [rows, 16]

  HD void operator()(int index) const {
    const int r = index / actions, j = index - r * actions, blocks = rows.stride / 4;
    const float *const z = rows.row(r), *const s = sigma + j * rows.stride;
    float sums[4] = {};
    for (int first = 0; first < blocks; first += 4) {
      for (int lane = 0; lane < 4; ++lane) {
        const int block = first + lane, k = 4 * block;
        const PhiloxBlock words =
            key.block(static_cast<std::uint32_t>(begin + r), static_cast<std::uint32_t>(j * blocks + block));
        const NormalPair a = standard_normals(words.word[0], words.word[1]);
        const NormalPair b = standard_normals(words.word[2], words.word[3]);
        float sum = sums[lane];
        sum = fused(z[k] * s[k], a.first, sum);
        sum = fused(z[k + 1] * s[k + 1], a.second, sum);
        sum = fused(z[k + 2] * s[k + 2], b.first, sum);
        sums[lane] = fused(z[k + 3] * s[k + 3], b.second, sum);
      }
    }
    noise[r * kLanes + j] = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
};

}  // namespace

VectorSpec StateNoise::parameters(const NetworkShape& shape, const Space& action, float initial) {
  if (action.is_discrete()) throw UsageError("sde: explores continuous actions only; discrete ones need sde=false");
  if (shape.hidden.empty())
    throw UsageError("sde: needs a hidden layer whose outputs its noise depends on; see hidden");
  const int features = shape.hidden.back();
  return {kName, features, initial - 0.5f * std::log(static_cast<float>(features)), action.size};
}

StateNoise::StateNoise(const StateNoiseConfig& config, const NetworkSpec& spec, int actions)
    : config_(config),
      actions_(actions),
      features_(spec.features().size),
      stride_((features_ + kLanes - 1) / kLanes * kLanes),
      column_(spec.features().column),
      output_stride_(spec.output_stride()),
      offset_(spec.vector_offset(kName)) {}

StateNoise::Scratch StateNoise::take(int rows, Arena& arena) const {
  const auto n = static_cast<std::size_t>(rows), stride = static_cast<std::size_t>(stride_);
  Scratch s;
  s.squares = arena.take<float>(n * stride).data;
  s.variance_weights = arena.take<float>((stride + 1) * kLanes).data;
  s.by_action = arena.take<float>(stride * kLanes).data;
  s.log_sigma = arena.take<float>(n * kLanes).data;
  return s;
}

StateNoise::Scratch StateNoise::take_acting(int rows, Arena& arena) const {
  Scratch s = take(rows, arena);
  s.noise = arena.take<float>(static_cast<std::size_t>(rows) * kLanes).data;
  return s;
}

StateNoise::Scratch StateNoise::take_learning(int rows, Arena& arena) const {
  Scratch s = take(rows, arena);
  const auto sums = static_cast<std::size_t>(features_ + 1) * kLanes;
  s.d_log_sigma = arena.take<float>(static_cast<std::size_t>(rows) * kLanes).data;
  s.d_weights = arena.take<float>(sums).data;
  s.parts = arena.take<float>(sums * static_cast<std::size_t>(gradient_parts(rows))).data;
  return s;
}

void StateNoise::measure(const Stream& stream, const float* network, const float* outputs, int rows,
                         const Scratch& s) const {
  const float power = s.noise ? 1.0f : 2.0f;  // acting needs sigma, the gradient of features its square
  for_each_index(stream, stride_ + 1,
                 DeviationsOp{network + offset_, features_, actions_, stride_, s.variance_weights, s.by_action, power});
  for_each_index(stream, rows * (stride_ / kLanes),
                 SquareFeaturesOp{{outputs + column_, output_stride_, stride_}, s.squares});
  linear_forward(stream, {s.squares, stride_, s.variance_weights, s.variance_weights + features_ * kLanes, s.log_sigma,
                          kLanes, rows, features_, kLanes, GemmActivation::kLinear});
  for_each_index(stream, rows, LogDeviationOp{s.log_sigma});
}

void StateNoise::draw(const Stream& stream, const float* outputs, int begin, int rows, std::uint64_t seed,
                      std::uint64_t row, const Scratch& s) const {
  const RandomKey key{seed, row / static_cast<std::uint64_t>(config_.interval), Purpose::kStateNoise};
  for_each_index(
      stream, rows * actions_,
      DrawStateNoiseOp{{outputs + column_, output_stride_, stride_}, s.by_action, begin, actions_, key, s.noise}, 64);
}

void StateNoise::backward(const Stream& stream, const float* outputs, int rows, const Scratch& s, float* d_outputs,
                          float* gradients) const {
  for_each_index(stream, rows, VarianceGradientOp{s.log_sigma, s.d_log_sigma});
  const std::size_t weights = static_cast<std::size_t>(features_) * kLanes;
  fill_zero(stream, s.d_weights, (weights + kLanes) * sizeof(float));
  linear_backward_weights(stream, {s.squares, stride_, s.d_log_sigma, kLanes, s.d_weights, s.d_weights + weights, rows,
                                   features_, kLanes, actions_, s.parts});
  for_each_index(stream, features_, AddParameterGradientOp{s.variance_weights, s.d_weights, gradients + offset_});
  if (!config_.learn_features) return;
  linear_backward_data(stream, {.dy = s.d_log_sigma,
                                .dy_stride = kLanes,
                                .wt = s.by_action,
                                .in_stride = stride_,
                                .x = nullptr,
                                .x_stride = 0,
                                .dx = s.squares,
                                .dx_stride = stride_,
                                .rows = rows,
                                .out = actions_,
                                .activation = GemmActivation::kLinear});
  for_each_index(stream, rows * (stride_ / kLanes),
                 AddFeatureGradientOp{{outputs + column_, output_stride_, stride_}, s.squares, d_outputs + column_});
}

}  // namespace stampede
