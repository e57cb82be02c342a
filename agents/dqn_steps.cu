// SPDX-License-Identifier: Apache-2.0
#include "agents/dqn_steps.h"

#include "agents/epsilon_greedy.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct EpsilonGreedyOp {
  EpsilonGreedyRows rows;
  RandomKey key;
  float epsilon;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const float* const q = rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(rows.output_stride);
    const int action = epsilon_greedy(argmax(q, rows.actions), rows.actions, epsilon, key, i);
    rows.records[static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words)] =
        static_cast<std::uint32_t>(action);
  }
};

struct SampleOp {
  UniformSampler sampler;
  float gamma;
  int begin;
  TransitionTile tile;

  HD void operator()(int r) const {
    const SampledRow sampled = sampler(begin + r);
    const RingView& ring = sampler.ring;
    const std::size_t index = ring.index(sampled.slot, sampled.environment);
    const NStepTarget target = fold_n_step(ring, sampled.slot, sampled.environment, sampler.n_step, gamma);
    tile.indices[r] = static_cast<std::int32_t>(index);
    tile.next_indices[r] = static_cast<std::int32_t>(ring.index(target.bootstrap_slot, sampled.environment));
    tile.actions[r] = static_cast<std::int32_t>(ring.record(index)[0]);
    tile.rewards[r] = target.reward;
    tile.discounts[r] = target.discount;
  }
};

struct DqnLossOp {
  TdLoss loss;
  float weight;
  DqnTile tile;

  HD void operator()(int r) const {
    const std::size_t offset = static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.output_stride);
    float* const d_out = tile.d_outputs + offset;
    for (int j = 0; j < tile.output_stride; ++j) d_out[j] = 0.0f;
    const int action = tile.transitions.actions[r];
    const float target = q_learning_target(tile.target_outputs + offset, tile.actions, tile.transitions.rewards[r],
                                           tile.transitions.discounts[r]);
    float metrics[DqnRowMetrics::kSize];
    d_out[action] =
        weight * td_gradient(loss, tile.outputs[offset + static_cast<std::size_t>(action)], target, metrics);
    for (int k = 0; k < DqnRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
  }
};

}  // namespace

void choose_epsilon_greedy(const Stream& stream, const EpsilonGreedyRows& rows, const RandomKey& key, float epsilon) {
  for_each_index(stream, rows.rows, EpsilonGreedyOp{rows, key, epsilon});
}

void sample_transitions(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                        const TransitionTile& tile) {
  for_each_index(stream, rows, SampleOp{sampler, gamma, begin, tile});
}

void dqn_tile_loss(const Stream& stream, TdLoss loss, float weight, const DqnTile& tile) {
  for_each_index(stream, tile.rows, DqnLossOp{loss, weight, tile});
}

}  // namespace stampede
