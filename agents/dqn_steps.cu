// SPDX-License-Identifier: Apache-2.0
#include "agents/dqn_steps.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

HD void fold(const RingView& ring, int slot, int environment, int n_step, float gamma, const TransitionTile& tile,
             int r) {
  const std::size_t index = ring.index(slot, environment);
  const NStepTarget target = fold_n_step(ring, slot, environment, n_step, gamma);
  tile.indices[r] = static_cast<std::int32_t>(index);
  tile.next_indices[r] = static_cast<std::int32_t>(ring.index(target.bootstrap_slot, environment));
  tile.actions[r] = static_cast<std::int32_t>(ring.record(index)[0]);
  tile.rewards[r] = target.reward;
  tile.discounts[r] = target.discount;
}

struct SampleOp {
  UniformSampler sampler;
  float gamma;
  int begin;
  TransitionTile tile;

  HD void operator()(int r) const {
    const SampledRow sampled = sampler(begin + r);
    fold(sampler.ring, sampled.slot, sampled.environment, sampler.n_step, gamma, tile, r);
  }
};

struct FoldOp {
  RingView ring;
  const std::int32_t* indices;
  int n_step;
  float gamma;
  TransitionTile tile;

  HD void operator()(int r) const {
    const int slot = indices[r] / ring.shape.environments;
    fold(ring, slot, indices[r] - slot * ring.shape.environments, n_step, gamma, tile, r);
  }
};

struct ActionValuesOp {
  ValueHeads heads;
  const float* outputs;
  int output_stride;
  float* q;
  int stride;

  HD void operator()(int r) const {
    const float* const row = outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(output_stride);
    float* const values = q + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride);
    for (int a = 0; a < heads.actions; ++a) values[a] = heads.mean(row, a);
  }
};

struct AddGroupsOp {
  double* groups;
  int count;
  double* totals;
  HD void operator()(int k) const {
    for (int g = 0; g < count; ++g) {
      totals[k] += groups[g * DqnRowMetrics::kSize + k];
      groups[g * DqnRowMetrics::kSize + k] = 0.0;
    }
  }
};

}  // namespace

void sample_transitions(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                        const TransitionTile& tile) {
  for_each_index(stream, rows, SampleOp{sampler, gamma, begin, tile});
}

void fold_transitions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int n_step, float gamma,
                      int rows, const TransitionTile& tile) {
  for_each_index(stream, rows, FoldOp{ring, indices, n_step, gamma, tile});
}

void action_values(const Stream& stream, const ValueHeads& heads, const float* outputs, int output_stride, int rows,
                   float* q, int stride) {
  for_each_index(stream, rows, ActionValuesOp{heads, outputs, output_stride, q, stride}, 64);
}

void add_group_metrics(const Stream& stream, double* groups, int count, double* totals) {
  for_each_index(stream, DqnRowMetrics::kSize, AddGroupsOp{groups, count, totals});
}

}  // namespace stampede
