// SPDX-License-Identifier: Apache-2.0
#include "agents/temperature.h"

#include <cmath>

#include "kernels/buffer.h"
#include "kernels/launch.h"
#include "kernels/math.h"

namespace stampede {
namespace {

constexpr std::size_t kPadded = 16;

struct TemperatureGradientOp {
  const double* log_prob_sums;
  int stride, groups, rows;
  float target_entropy;
  float* gradient;

  HD void operator()(int) const {
    double sum = 0.0;
    for (int g = 0; g < groups; ++g) sum += log_prob_sums[g * stride];
    *gradient = temperature_gradient(static_cast<float>(sum / rows), target_entropy);
  }
};

struct ExponentialOp {
  const float* log_alpha;
  float* alpha;

  HD void operator()(int) const { *alpha = exp_of(*log_alpha); }
};

}  // namespace

Temperature::Temperature(const TemperatureConfig& config, const OptimizerConfig& optimizer, Arena& arena)
    : config_(config),
      optimizer_(optimizer),
      log_alpha_(arena.take<float>(kPadded)),
      first_moment_(arena.take<float>(kPadded)),
      second_moment_(arena.take<float>(kPadded)),
      gradient_(arena.take<float>(kPadded)),
      scratch_(arena.take<float>(optimizer_scratch_size(kPadded))),
      alpha_(arena.take<float>(1)),
      state_(arena.take<LearnerState>(1)) {
  optimizer_.max_norm = optimizer_.max_value = optimizer_.weight_decay = 0.0f;
}

void Temperature::initialize(const Stream& stream) {
  const float log_alpha = std::log(config_.initial);
  copy_to_device(stream, log_alpha_.data, &log_alpha, sizeof log_alpha);
  copy_to_device(stream, alpha_.data, &config_.initial, sizeof config_.initial);
  refresh(stream);
}

void Temperature::refresh(const Stream& stream) {
  if (!config_.automatic) return;
  for_each_index(stream, 1, ExponentialOp{log_alpha_.data, alpha_.data});
}

void Temperature::update(const Stream& stream, const double* log_prob_sums, int stride, int groups, int rows,
                         float learning_rate) {
  if (!config_.automatic) return;
  for_each_index(stream, 1,
                 TemperatureGradientOp{log_prob_sums, stride, groups, rows, config_.target_entropy, gradient_.data});
  optimizer_step(stream, optimizer_,
                 {log_alpha_.data, gradient_.data, first_moment_.data, second_moment_.data, scratch_.data, kPadded}, 1,
                 learning_rate, 1.0f, state_.data);
  refresh(stream);
}

}  // namespace stampede
