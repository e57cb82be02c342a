// SPDX-License-Identifier: Apache-2.0
// The loss of one row of a tile for each kind of value, whoever works on it: a CPU thread or sixteen lanes of CUDA.
#pragma once

#include "agents/dqn_steps.h"

namespace stampede {

// What all kinds do around their own loss.
struct TileRow {
  const DqnLoss& loss;
  const DqnTile& tile;
  int r;

  HD std::size_t offset() const { return static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.output_stride); }
  HD const float* outputs() const { return tile.outputs + offset(); }
  HD const float* target_outputs() const { return tile.target_outputs + offset(); }
  HD float* d_outputs() const { return tile.d_outputs + offset(); }
  HD NextPolicy next_policy() const {
    const float* const q = tile.next_q + static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.next_stride);
    return {q, loss.heads.actions, loss.temperature};
  }
  HD float weight() const { return tile.importance ? loss.weight * tile.importance[r] : loss.weight; }

  template <class Lanes>
  HD void clear(const Lanes& lanes) const {
    float* const d_row = d_outputs();
    for (int j = lanes.from(0); j < tile.output_stride; j += Lanes::kStep) d_row[j] = 0.0f;
  }
  // d_outputs from the derivatives d [atoms] of the taken action.
  template <class Lanes>
  HD void spread(const Lanes& lanes, const float* d) const {
    clear(lanes);
    lanes.wait();
    loss.heads.spread(d, tile.actions[r], weight(), d_outputs(), lanes);
  }
  // metrics: those of every method; what prioritised replay adds follows them.
  template <class Lanes>
  HD void finish(const Lanes& lanes, const float* metrics, float priority) const {
    if (lanes.from(0) != 0) return;
    for (int k = 0; k < DqnRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
    if (!tile.priorities) return;
    const float importance = tile.importance[r];
    tile.priorities[r] = priority;
    tile.metrics[PriorityRowMetrics::kPriority * tile.rows + r] = priority;
    tile.metrics[PriorityRowMetrics::kImportance * tile.rows + r] = importance;
    tile.metrics[PriorityRowMetrics::kImportanceSquared * tile.rows + r] = importance * importance;
  }
};

// How many arrays [padded_atoms()] of scratch a row with a distribution takes.
inline constexpr int kAtomScratch = 4;

// scratch [kAtomScratch, lanes.scratch_stride()]
template <class Lanes>
HD void categorical_row_loss(const Lanes& lanes, const TileRow& row, float* scratch) {
  const ValueHeads& heads = row.loss.heads;
  const int padded = padded_atoms(heads.atoms()), stride = lanes.scratch_stride(padded);
  float *const m = scratch, *const z = m + stride, *const below = z + stride, *const above = below + stride;
  const NextPolicy policy = row.next_policy();
  const float reward = row.tile.rewards[row.r], discount = row.tile.discounts[row.r];
  fill_atoms(lanes, m, 0, padded, 0.0f);
  for (int i = 0; i < policy.choices(); ++i) {
    const int a = policy.choice(i);
    heads.load(lanes, row.target_outputs(), a, padded, ValueHeads::kFarBelow, z);
    softmax_of_atoms(lanes, z, heads.atoms(), padded, z);
    const float shifted = fused(discount, policy.entropy_bonus(a), reward);
    add_projection(lanes, heads.support, z, padded, shifted, discount, policy.probability(a), below, above, m);
  }
  heads.load(lanes, row.outputs(), row.tile.actions[row.r], padded, ValueHeads::kFarBelow, z);
  float *const d = below, metrics[DqnRowMetrics::kSize];
  const float divergence = categorical_gradient(lanes, heads.support, z, m, padded, d, metrics);
  row.spread(lanes, d);
  row.finish(lanes, metrics, divergence);
}

// scratch [kAtomScratch, lanes.scratch_stride()]
template <class Lanes>
HD void quantile_row_loss(const Lanes& lanes, const TileRow& row, float* scratch) {
  const ValueHeads& heads = row.loss.heads;
  const int atoms = heads.atoms(), padded = padded_atoms(atoms), stride = lanes.scratch_stride(padded);
  float *const theta = scratch, *const next = theta + stride, *const losses = next + stride, *const d = losses + stride;
  const NextPolicy policy = row.next_policy();
  const float reward = row.tile.rewards[row.r], discount = row.tile.discounts[row.r];
  heads.load(lanes, row.outputs(), row.tile.actions[row.r], padded, 0.0f, theta);
  fill_atoms(lanes, losses, 0, padded, 0.0f);
  fill_atoms(lanes, d, 0, padded, 0.0f);
  const QuantileRegression regression(atoms, row.loss.kappa);
  const float share = 1.0f / static_cast<float>(atoms);
  float target = 0.0f;
  for (int i = 0; i < policy.choices(); ++i) {
    const int a = policy.choice(i);
    const float probability = policy.probability(a), shifted = fused(discount, policy.entropy_bonus(a), reward);
    lanes.wait();
    heads.load(lanes, row.target_outputs(), a, padded, 0.0f, next);
    target += probability * fused(discount, mean_of_quantiles(lanes, next, atoms, padded), shifted);
    add_quantile_gradients(lanes, regression, theta, next, atoms, padded, shifted, discount, probability * share,
                           losses, d);
  }
  fill_atoms(lanes, losses, atoms, padded, 0.0f);
  const float q = mean_of_quantiles(lanes, theta, atoms, padded);
  float metrics[DqnRowMetrics::kSize];
  set_row_metrics(sum_of_atoms(lanes, losses, padded), q, target, metrics);
  row.spread(lanes, d);
  row.finish(lanes, metrics, metrics[DqnRowMetrics::kAbsoluteError]);
}

}  // namespace stampede
