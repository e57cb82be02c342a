// SPDX-License-Identifier: Apache-2.0
// Deep Q-learning in few CUDA launches: acting in one, and an update in three, of which the first samples, reads the
// ring, and takes both networks forward and the online one back.
#pragma once

#include "agents/dqn_steps.h"
#include "agents/fused/combine_blocks.h"
#include "agents/fused/tile_metrics_blocks.h"
#include "agents/fused/tower_gradient_blocks.h"
#include "replay/uniform_sampler.h"

namespace stampede {

// What does not change from update to update.
struct DqnUpdateSetup {
  FusedTower tower;
  ValueHeads heads;  // without a distribution
  TdLoss td = TdLoss::kHuber;
  bool double_q = false;
  float gamma = 0.99f;
  const float* online = nullptr;  // parameter blocks
  float* target = nullptr;
  LearnerState* state = nullptr;
  BatchPartials partials;
};

// One update. Where indices is null the rows are drawn here, uniformly.
struct DqnUpdateBatch {
  UniformSampler sampler;
  const std::int32_t* indices = nullptr;  // [size], flat ring indices
  const float* importance = nullptr;      // [size], with indices
  float* priorities = nullptr;            // [size], with indices
  int size = 0;
  float temperature = 0.0f;  // above 0: soft targets
  float weight = 1.0f;       // multiplies every derivative
  float target_tau = 0.0f;   // the target network's step towards the updated one; 0: it stays
};

// Actions for rows [begin, begin + rows) of observations [N, D].
struct DqnActs {
  FusedTower tower = {};
  ValueHeads heads = {};
  const float* parameters;
  const float* obs;
  std::uint32_t* records;  // [N, record words]
  RecordLayout record;
  int begin, rows;
  RandomKey key;
  Exploration exploration;
};

struct DqnMetricsFinish {
  double* totals;  // [PriorityRowMetrics::kSize]
  HD void operator()(const double* sums, LearnerState*) const {
    for (int k = 0; k < PriorityRowMetrics::kSize; ++k) totals[k] += sums[k];
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Expected values in the first columns of an output row, in place.
DEVICE void values_in_place(const ValueHeads& heads, float* row) {
  if (!heads.dueling) return;
  const float shift = heads.shift(row, 0);
  for (int a = 0; a < heads.actions; ++a) row[a] = row[heads.column(a)] + shift;
}

// Partial gradients of one batch; block b takes every slots-th tile from tile b on.
template <class Shape>
struct DqnGradientKernel {
  DqnUpdateSetup setup;
  DqnUpdateBatch batch;
  std::size_t parameter_count;

  static constexpr int kMetrics = PriorityRowMetrics::kSize;
  using Metrics = TileMetrics<Shape, kMetrics>;
  static constexpr int kTargetRows = TowerMemory<Shape>::kFloats + kMetrics * Shape::kRows;
  static constexpr std::size_t kSharedBytes = (kTargetRows + Shape::kRows * Shape::kNarrowPitch) * sizeof(float);

  // What an input row carries behind its columns. kReward becomes the target.
  static constexpr int kIndex = 0, kAction = 1, kReward = 2, kDiscount = 3;

  DEVICE void operator()() const {
    if (setup.state->failed != 0) return;
    DYNAMIC_SHARED(float, shared);
    SHARED_ARRAY(double, sums, Metrics::kSumThreads);
    const TowerMemory<Shape> memory(shared);
    const Metrics metrics{shared + TowerMemory<Shape>::kFloats, sums};
    float* const target_outputs = shared + kTargetRows;  // [kRows, kNarrowPitch]
    clear_unused_inputs<Shape>(setup.tower, memory);
    TowerGradient<Shape> gradient(memory);
    metrics.clear();
    int tile = static_cast<int>(blockIdx.x);
    for (; tile * Shape::kRows < batch.size; tile += setup.partials.slots) {
      sample_row(tile * Shape::kRows, memory);
      find_targets(memory, target_outputs);
      load_row(memory);
      __syncthreads();
      forward_tower<Shape>(setup.tower, memory);
      differentiate_row(tile * Shape::kRows, memory, metrics.rows);
      __syncthreads();
      metrics.add_tile();
      gradient.add_tile(setup.tower, setup.tower.outputs, memory);
    }
    const auto slot = static_cast<std::size_t>(tile % setup.partials.slots);
    gradient.store(setup.tower, setup.tower.outputs, 0, memory, setup.partials.gradients + slot * parameter_count);
    metrics.store(setup.partials.metrics + slot * kMetrics);
  }

 private:
  // A thread draws a row, or takes one that was drawn before, and fetches the observation that follows it. Rows beyond
  // the batch repeat its first one.
  DEVICE void sample_row(int first, const TowerMemory<Shape>& memory) const {
    const int r = thread_index();
    if (r >= Shape::kRows) return;
    const RingView& ring = batch.sampler.ring;
    const int m = first + r < batch.size ? first + r : 0;
    SampledRow row;
    if (batch.indices) {
      row.slot = batch.indices[m] / ring.shape.environments;
      row.environment = batch.indices[m] - row.slot * ring.shape.environments;
    } else {
      row = batch.sampler(m);
    }
    const NStepTarget target = fold_n_step(ring, row.slot, row.environment, batch.sampler.n_step, setup.gamma);
    const std::size_t index = ring.index(row.slot, row.environment);
    copy_observation(ring.index(target.bootstrap_slot, row.environment), memory.x + r * Shape::kNarrowPitch);
    float* const fields = memory.input_fields(r);
    fields[kIndex] = bits_float(static_cast<std::uint32_t>(index));
    fields[kAction] = static_cast<float>(static_cast<std::int32_t>(ring.record(index)[0]));
    fields[kReward] = target.reward;
    fields[kDiscount] = target.discount;
  }

  DEVICE void copy_observation(std::size_t index, float* x) const {
    const int size = setup.tower.inputs;
    const float* const obs =
        reinterpret_cast<const float*>(batch.sampler.ring.obs) + index * static_cast<std::size_t>(size);
    for (int k = 0; k < size; ++k) x[k] = obs[k];
  }

  // Both networks' values at s', from which each row's target follows. Leaves the online weights in place.
  DEVICE void find_targets(const TowerMemory<Shape>& memory, float* target_outputs) const {
    load_weights<Shape>(setup.tower, setup.target, memory);
    __syncthreads();
    forward_tower<Shape>(setup.tower, memory);
    const int r = thread_index();
    float* const next = memory.y + r * Shape::kNarrowPitch;
    float* const target = target_outputs + r * Shape::kNarrowPitch;
    for (int c = 0; r < Shape::kRows && c < setup.tower.outputs; ++c) target[c] = next[c];
    load_weights<Shape>(setup.tower, setup.online, memory);
    __syncthreads();
    if (setup.double_q) forward_tower<Shape>(setup.tower, memory);
    if (r >= Shape::kRows) return;
    values_in_place(setup.heads, next);
    const float value = next_state_value(setup.heads, NextPolicy(next, setup.heads.actions, batch.temperature), target);
    float* const fields = memory.input_fields(r);
    fields[kReward] = fused(fields[kDiscount], value, fields[kReward]);
  }

  DEVICE void load_row(const TowerMemory<Shape>& memory) const {
    const int r = thread_index();
    if (r >= Shape::kRows) return;
    copy_observation(float_bits(memory.input_fields(r)[kIndex]), memory.x + r * Shape::kNarrowPitch);
  }

  // The loss of a row: its outputs become their derivatives, in place.
  DEVICE void differentiate_row(int first, const TowerMemory<Shape>& memory, float* all_metrics) const {
    const int r = thread_index();
    if (r >= Shape::kRows) return;
    const bool inside = first + r < batch.size;
    const int m = inside ? first + r : 0, action = static_cast<int>(memory.input_fields(r)[kAction]);
    float* const y = memory.y + r * Shape::kNarrowPitch;
    const float importance = batch.importance ? batch.importance[m] : 0.0f;
    const float weight = batch.importance ? batch.weight * importance : batch.weight;
    ValueHeads heads = setup.heads;
    heads.support.atoms = 1;  // as it is: known here, its loops vanish
    float metrics[kMetrics] = {};
    const float d = td_gradient(setup.td, heads.value(y, action), memory.input_fields(r)[kReward], metrics);
    for (int c = 0; c < setup.tower.outputs; ++c) y[c] = 0.0f;
    heads.spread(&d, action, inside ? weight : 0.0f, y);
    if (batch.priorities) {
      const float priority = metrics[DqnRowMetrics::kAbsoluteError];
      if (inside) batch.priorities[m] = priority;
      metrics[PriorityRowMetrics::kPriority] = priority;
      metrics[PriorityRowMetrics::kImportance] = importance;
      metrics[PriorityRowMetrics::kImportanceSquared] = importance * importance;
    }
    for (int k = 0; k < kMetrics; ++k) all_metrics[k * Shape::kRows + r] = inside ? metrics[k] : 0.0f;
  }
};

// Chooses actions; a block takes kRows environments.
template <class Shape>
struct DqnActKernel {
  DqnActs acts;

  static constexpr std::size_t kSharedBytes = TowerMemory<Shape>::kFloats * sizeof(float);

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    const TowerMemory<Shape> memory(shared);
    load_weights<Shape>(acts.tower, acts.parameters, memory);
    const int r = thread_index(), row = static_cast<int>(blockIdx.x) * Shape::kRows + r;
    const bool inside = r < Shape::kRows && row < acts.rows;
    const int environment = acts.begin + row, size = acts.tower.inputs;
    const float* const obs = acts.obs + static_cast<std::ptrdiff_t>(inside ? environment : acts.begin) * size;
    if (r < Shape::kRows) {
      for (int k = 0; k < size; ++k) memory.x[r * Shape::kNarrowPitch + k] = obs[k];
    }
    __syncthreads();
    forward_tower<Shape>(acts.tower, memory);
    if (!inside) return;
    float* const q = memory.y + r * Shape::kNarrowPitch;
    values_in_place(acts.heads, q);
    acts.records[static_cast<std::ptrdiff_t>(environment) * acts.record.words] =
        static_cast<std::uint32_t>(explore(q, acts.heads.actions, acts.exploration, acts.key, environment));
  }
};

// The launches of one update; `launch` as for launch_policy_update().
template <class Shape, class Launch>
void launch_dqn_update(const DqnUpdateSetup& setup, const DqnUpdateBatch& batch, const OptimizerBlocks& blocks,
                       const OptimizerConfig& config, float learning_rate, const DqnMetricsFinish& finish,
                       const Launch& launch) {
  DqnUpdateSetup sized = setup;
  sized.partials.slots = sized.partials.rows = fused_slots<Shape>(batch.size, setup.partials.slots);
  using Gradient = DqnGradientKernel<Shape>;
  launch.template blocks<Shape::kThreads, 1>(static_cast<unsigned>(sized.partials.slots), Gradient::kSharedBytes,
                                             Gradient{sized, batch, blocks.count});
  launch.template blocks<kCombineThreads, 1>(
      combine_chunks(blocks.count), 0,
      CombinePartials<DqnMetricsFinish>{sized.partials, blocks.gradients, blocks.count, config, learning_rate,
                                        setup.state, finish});
  launch.each(static_cast<int>(blocks.count),
              ApplyAndFollow{{config.kind, config.epsilon_inside_root, blocks, sized.partials.scalars},
                             {setup.online, setup.target, batch.target_tau}});
}

template <class Shape, class Launch>
void launch_dqn_acts(const DqnActs& acts, const Launch& launch) {
  const int grid = (acts.rows + Shape::kRows - 1) / Shape::kRows;
  launch.template blocks<Shape::kThreads, 1>(static_cast<unsigned>(grid), DqnActKernel<Shape>::kSharedBytes,
                                             DqnActKernel<Shape>{acts});
}
#endif

}  // namespace stampede
