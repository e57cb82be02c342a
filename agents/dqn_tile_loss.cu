// SPDX-License-Identifier: Apache-2.0
// The loss of a tile for each kind of value: a scalar, a categorical distribution, quantiles.
#include "agents/dqn_steps.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

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

  // metrics: those of every method; what prioritised replay adds follows them.
  HD void finish(const float* metrics, float priority) const {
    for (int k = 0; k < DqnRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
    if (!tile.priorities) return;
    const float importance = tile.importance[r];
    tile.priorities[r] = priority;
    tile.metrics[PriorityRowMetrics::kPriority * tile.rows + r] = priority;
    tile.metrics[PriorityRowMetrics::kImportance * tile.rows + r] = importance;
    tile.metrics[PriorityRowMetrics::kImportanceSquared * tile.rows + r] = importance * importance;
  }
};

HD void clear_row(float* row, int stride) {
  for (int j = 0; j < stride; ++j) row[j] = 0.0f;
}

struct ScalarLossOp {
  DqnLoss loss;
  DqnTile tile;

  HD void operator()(int r) const {
    const TileRow row{loss, tile, r};
    const int action = tile.actions[r];
    const float next = next_state_value(loss.heads, row.next_policy(), row.target_outputs());
    const float target = fused(tile.discounts[r], next, tile.rewards[r]);
    float metrics[DqnRowMetrics::kSize];
    const float d = td_gradient(loss.td, loss.heads.value(row.outputs(), action), target, metrics);
    clear_row(row.d_outputs(), tile.output_stride);
    loss.heads.spread(&d, action, row.weight(), row.d_outputs());
    row.finish(metrics, metrics[DqnRowMetrics::kAbsoluteError]);
  }
};

struct CategoricalLossOp {
  DqnLoss loss;
  DqnTile tile;

  HD void project_target(const TileRow& row, int padded, float* m) const {
    const ValueHeads& heads = loss.heads;
    const NextPolicy policy = row.next_policy();
    const float reward = tile.rewards[row.r], discount = tile.discounts[row.r];
    fill_atoms(m, 0, padded, 0.0f);
    for (int a = 0; a < heads.actions; ++a) {
      const float probability = policy.probability(a);
      if (probability == 0.0f) continue;
      float z[kMaxAtoms], p[kMaxAtoms];
      heads.load(row.target_outputs(), a, padded, ValueHeads::kFarBelow, z);
      softmax_of_atoms(z, heads.atoms(), padded, p);
      const float shifted = fused(discount, policy.entropy_bonus(a), reward);
      add_projection(heads.support, p, padded, shifted, discount, probability, m);
    }
  }

  HD void operator()(int r) const {
    const TileRow row{loss, tile, r};
    const int padded = padded_atoms(loss.heads.atoms()), action = tile.actions[r];
    float m[kMaxAtoms], z[kMaxAtoms], d[kMaxAtoms], metrics[DqnRowMetrics::kSize];
    project_target(row, padded, m);
    loss.heads.load(row.outputs(), action, padded, ValueHeads::kFarBelow, z);
    const float divergence = categorical_gradient(loss.heads.support, z, m, padded, d, metrics);
    clear_row(row.d_outputs(), tile.output_stride);
    loss.heads.spread(d, action, row.weight(), row.d_outputs());
    row.finish(metrics, divergence);
  }
};

struct QuantileLossOp {
  DqnLoss loss;
  DqnTile tile;

  // Sums of the loss and its derivatives over all target samples; returns the targets' mean.
  HD float regress(const TileRow& row, const float* theta, int padded, float* losses, float* d) const {
    const ValueHeads& heads = loss.heads;
    const NextPolicy policy = row.next_policy();
    const float reward = tile.rewards[row.r], discount = tile.discounts[row.r];
    const float share = 1.0f / static_cast<float>(heads.atoms());
    float mean = 0.0f;
    for (int a = 0; a < heads.actions; ++a) {
      const float probability = policy.probability(a);
      if (probability == 0.0f) continue;
      float next[kMaxAtoms];
      heads.load(row.target_outputs(), a, padded, 0.0f, next);
      const float shifted = fused(discount, policy.entropy_bonus(a), reward);
      mean += probability * fused(discount, mean_of_quantiles(next, heads.atoms(), padded), shifted);
      for (int j = 0; j < heads.atoms(); ++j) {
        add_quantile_gradient(theta, heads.atoms(), padded, fused(discount, next[j], shifted), probability * share,
                              loss.kappa, losses, d);
      }
    }
    return mean;
  }

  HD void operator()(int r) const {
    const TileRow row{loss, tile, r};
    const int atoms = loss.heads.atoms(), padded = padded_atoms(atoms), action = tile.actions[r];
    float theta[kMaxAtoms], losses[kMaxAtoms], d[kMaxAtoms], metrics[DqnRowMetrics::kSize];
    loss.heads.load(row.outputs(), action, padded, 0.0f, theta);
    fill_atoms(losses, 0, padded, 0.0f);
    fill_atoms(d, 0, padded, 0.0f);
    const float target = regress(row, theta, padded, losses, d);
    const float q = mean_of_quantiles(theta, atoms, padded);
    fill_atoms(losses, atoms, padded, 0.0f);
    set_row_metrics(sum_of_atoms(losses, padded), q, target, metrics);
    clear_row(row.d_outputs(), tile.output_stride);
    loss.heads.spread(d, action, row.weight(), row.d_outputs());
    row.finish(metrics, metrics[DqnRowMetrics::kAbsoluteError]);
  }
};

}  // namespace

void dqn_tile_loss(const Stream& stream, const DqnLoss& loss, const DqnTile& tile) {
  constexpr int kGrain = 64;  // rows with atoms are heavy
  switch (loss.heads.distribution) {
    case ValueDistribution::kNone:
      return for_each_index(stream, tile.rows, ScalarLossOp{loss, tile});
    case ValueDistribution::kCategorical:
      return for_each_index(stream, tile.rows, CategoricalLossOp{loss, tile}, kGrain);
    case ValueDistribution::kQuantile:
      return for_each_index(stream, tile.rows, QuantileLossOp{loss, tile}, kGrain);
  }
}

}  // namespace stampede
