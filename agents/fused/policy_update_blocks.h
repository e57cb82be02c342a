// SPDX-License-Identifier: Apache-2.0
// A policy-gradient update as three CUDA kernels: the gradient of a batch straight from the ring, its combination, and
// the optimiser's step; before the first one the moments of all batches.
#pragma once

#include "agents/fused/bf16_tower_gradient_blocks.h"
#include "agents/fused/combine_blocks.h"
#include "agents/fused/tile_metrics_blocks.h"
#include "agents/fused/tower_gradient_blocks.h"
#include "agents/losses/any_policy_loss.h"
#include "agents/normalizer.h"
#include "agents/policy_layout.h"
#include "agents/policy_metrics.h"
#include "agents/rollout_batch.h"

namespace stampede {

// Rows of a rollout: slices of permutations of all T * N rows, one permutation per epoch, or all rows in order.
struct RolloutRows {
  RandomKey first_epoch = {};  // keys the permutation of the first epoch; the next ones follow
  bool permuted = false;
  int rows = 0;  // T * N

  Permutation permutation(int epoch) const {
    RandomKey key = first_epoch;
    key.row += static_cast<std::uint64_t>(epoch);
    return Permutation(key, static_cast<std::uint32_t>(rows));
  }
};

// The tower's part in a policy: columns in the tower's own outputs, -1 where it has no such head.
struct PolicyTower {
  FusedTower tower;
  int policy_column = -1, value_column = -1;
  int columns = 0;  // outputs and log sigmas
};
inline constexpr int kMostPolicyTowers = 2;
inline constexpr int kMostActionFields = 3;  // floats of a continuous action

// What does not change from batch to batch.
struct PolicyUpdateSetup {
  PolicyTower towers[kMostPolicyTowers];
  int tower_count = 1;
  PolicyLayout layout;
  std::size_t log_sigma = 0;  // its place in the parameter block
  const float* parameters = nullptr;
  const float *mean = nullptr, *inverse = nullptr;  // of the observations; null without normalisation
  LearnerState* state = nullptr;
  BatchPartials partials;
};

// One batch.
struct PolicyUpdateBatch {
  RingView ring;
  Permutation permutation;
  bool permuted;
  int begin, size;
  const MomentPart* parts;  // [kMomentParts]
  AdvantageScaling scaling;
  AnyPolicyLoss loss;
};

struct PolicyMetricsFinish {
  double* totals;  // [PolicyRowMetrics::kSize]
  float target_kl;
  HD void operator()(const double* sums, LearnerState* state) const {
    add_minibatch_metrics(sums, target_kl, totals, state);
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Parts of the moments of every minibatch of every epoch; block (epoch, minibatch, part) of kThreads threads. Being the
// first launch of an iteration that knows the learner, it also clears its stop flag.
struct MomentPartsKernel {
  static constexpr unsigned kThreads = 64;

  RingView ring;
  RolloutRows rows;
  int minibatches;
  MomentPart* parts;             // [epochs, minibatches, kMomentParts]
  std::int32_t* stop = nullptr;  // set to 0, unless null

  DEVICE void operator()() const {
    SHARED_ARRAY(MomentPart, sums, kThreads);
    if (stop != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *stop = 0;
    const int block = static_cast<int>(blockIdx.x), part = block % kMomentParts;
    const int minibatch = block / kMomentParts % minibatches, epoch = block / kMomentParts / minibatches;
    const std::int64_t all = rows.rows;
    const auto begin = static_cast<int>(minibatch * all / minibatches);
    const std::int64_t size = static_cast<int>((minibatch + 1) * all / minibatches) - begin;
    RandomKey key = rows.first_epoch;
    key.row += static_cast<std::uint64_t>(epoch);
    const Permutation permutation(key, static_cast<std::uint32_t>(rows.rows));
    MomentPart m{0.0, 0.0, 0.0};
    const int end = static_cast<int>((part + 1) * size / kMomentParts);
    for (int k = static_cast<int>(part * size / kMomentParts + threadIdx.x); k < end; k += kThreads) {
      const auto place = static_cast<std::uint32_t>(begin + k);
      const std::size_t index = rows.permuted ? permutation(place) : place;
      if (!(ring.flags(index) & kValid)) continue;
      const auto extra = index * static_cast<std::size_t>(ring.shape.extra_size);
      const double a = static_cast<double>(ring.extra[extra + RolloutExtra::kAdvantage]);
      m.count += 1.0;
      m.sum += a;
      m.squares += a * a;
    }
    sums[threadIdx.x] = m;
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) add(sums[threadIdx.x + half], sums[threadIdx.x]);
    }
    if (threadIdx.x == 0) parts[block] = sums[0];
  }

  static DEVICE void add(const MomentPart& other, MomentPart& m) {
    m.count += other.count;
    m.sum += other.sum;
    m.squares += other.squares;
  }
};

// Partial gradients of one batch. The first `slots` blocks work on the first tower, the next ones on the
// second; each takes every slots-th tile.
template <class TileShape>
struct PolicyGradientKernel {
  using Shape = TileShape;

  PolicyUpdateSetup setup;
  PolicyUpdateBatch batch;
  std::size_t parameter_count;

  static constexpr int kMetrics = PolicyRowMetrics::kSize;
  using Metrics = TileMetrics<Shape, kMetrics>;
  static constexpr std::size_t kSharedBytes = (TowerMemory<Shape>::kFloats + kMetrics * Shape::kRows) * sizeof(float);
  // Of sm_90, which keeps 1 KiB of each block; two more are enough for what is static here.
  static_assert((kSharedBytes + 3 * 1024) * Shape::kBlocksPerProcessor <= 228 * 1024);

  // What a narrow row carries behind its columns: of the inputs kValid and the action, of the outputs a PolicySample.
  static constexpr int kValidField = 0, kActionField = 1;

  DEVICE void operator()() const {
    if (setup.state->stop != 0 || setup.state->failed != 0) return;
    DYNAMIC_SHARED(float, shared);
    SHARED_ARRAY(MinibatchMoments, moments, 1);
    SHARED_ARRAY(double, sums, Metrics::kSumThreads);
    const TowerMemory<Shape> memory(shared);
    const Metrics metrics{shared + TowerMemory<Shape>::kFloats, sums};
    const int slots = setup.partials.slots, block = static_cast<int>(blockIdx.x);
    const PolicyTower& part = setup.towers[block < slots ? 0 : 1];
    load_weights(part.tower, setup.parameters, memory);
    sum_moments(moments);
    TowerGradient<Shape> gradient(memory);
    metrics.clear();
    int tile = block < slots ? block : block - slots;
    for (; tile * Shape::kRows < batch.size; tile += slots) {
      load_row(tile * Shape::kRows, part.tower.inputs, memory);
      __syncthreads();
      forward_tower(part.tower, memory);
      differentiate_row(part, moments[0], memory, metrics.rows);
      __syncthreads();
      metrics.add_tile();
      gradient.add_tile(part.tower, part.columns, memory);
    }
    const auto slot = static_cast<std::size_t>(tile % slots);
    gradient.store(part.tower, part.columns, setup.log_sigma, memory,
                   setup.partials.gradients + slot * parameter_count);
    metrics.store(setup.partials.metrics + static_cast<int>(blockIdx.x) * kMetrics);
  }

 private:
  // A tree over the parts, by the first warp; the caller's barrier follows.
  DEVICE void sum_moments(MinibatchMoments* moments) const {
    static_assert(kMomentParts == 64);
    if (threadIdx.x >= 32) return;
    MomentPart m = batch.parts[threadIdx.x];
    MomentPartsKernel::add(batch.parts[threadIdx.x + 32], m);
    for (unsigned half = 16; half > 0; half /= 2) {
      const MomentPart other{__shfl_down_sync(0xffffffffu, m.count, half), __shfl_down_sync(0xffffffffu, m.sum, half),
                             __shfl_down_sync(0xffffffffu, m.squares, half)};
      MomentPartsKernel::add(other, m);
    }
    if (threadIdx.x == 0) moments[0] = finish_moments(m, batch.scaling);
  }

  // A thread fetches a row; rows beyond the batch are invalid zeros.
  DEVICE void load_row(int first, int inputs, const TowerMemory<Shape>& memory) const {
    const int r = thread_index();
    if (r >= Shape::kRows) return;
    const bool inside = first + r < batch.size;
    const auto place = static_cast<std::uint32_t>(inside ? batch.begin + first + r : batch.begin);
    const std::size_t index = batch.permuted ? batch.permutation(place) : place;
    const RingView& ring = batch.ring;
    const float* const obs = reinterpret_cast<const float*>(ring.obs) + index * static_cast<std::size_t>(inputs);
    float x[kNarrowColumns] = {};
    UNROLL
    for (int k = 0; k < kNarrowColumns; ++k) {
      if (k >= inputs || !inside) continue;
      x[k] = setup.mean ? normalized_observation(obs[k], setup.mean[k], setup.inverse[k]) : obs[k];
    }
    memory.store_inputs(r, x);
    const float* const extra = ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
    store4(memory.output_fields(r), {{extra[RolloutExtra::kLogProb], extra[RolloutExtra::kValue],
                                      extra[RolloutExtra::kAdvantage], extra[RolloutExtra::kReturn]}});
    float* const fields = memory.input_fields(r);
    fields[kValidField] = inside && (ring.flags(index) & kValid) ? 1.0f : 0.0f;
    if (setup.layout.action.is_discrete()) {
      fields[kActionField] = static_cast<float>(static_cast<std::int32_t>(ring.record(index)[0]));
      return;
    }
    for (int a = 0; a < setup.layout.action.size; ++a) fields[kActionField + a] = extra[RolloutExtra::kAction + a];
  }

  // The loss of a row: its outputs become their derivatives, in place.
  DEVICE void differentiate_row(const PolicyTower& part, const MinibatchMoments& moments,
                                const TowerMemory<Shape>& memory, float* all_metrics) const {
    const int r = thread_index();
    if (r >= Shape::kRows) return;
    const Pack4 fields = load4(memory.output_fields(r));
    const PolicySample sample{fields.value[0], fields.value[1],
                              (fields.value[2] - moments.advantage_mean) * moments.advantage_inverse, fields.value[3]};
    const bool valid = memory.input_fields(r)[kValidField] != 0.0f;
    float* const y = memory.y + r * Shape::kNarrowPitch;
    float metrics[kMetrics] = {};
    if (part.policy_column >= 0) {
      policy_gradient(part, sample, memory.input_fields(r) + kActionField, moments.divisor, y, metrics);
    }
    if (part.value_column >= 0) {
      const float gradient = value_gradient(batch.loss, sample, y[part.value_column], metrics);
      y[part.value_column] = moments.divisor * batch.loss.value_weight * gradient;
      measure_target(sample, metrics);
    }
    for (int c = 0; c < part.columns; ++c) y[c] = valid ? y[c] : 0.0f;
    for (int k = 0; k < kMetrics; ++k) all_metrics[k * Shape::kRows + r] = valid ? metrics[k] : 0.0f;
  }

  DEVICE void policy_gradient(const PolicyTower& part, const PolicySample& sample, const float* action, float weight,
                              float* y, float* metrics) const {
    float* const head = y + part.policy_column;
    const Space& space = setup.layout.action;
    if (space.is_discrete()) {
      categorical_policy_gradient(batch.loss, sample, head, space.count, static_cast<int>(action[0]), weight, head,
                                  metrics);
    } else {
      gaussian_policy_gradient(batch.loss, sample, head, setup.parameters + setup.log_sigma, action, space.size, weight,
                               head, y + part.tower.outputs, metrics);
    }
  }
};

// The launches of one update. `launch` has blocks<kThreads, kBlocksPerProcessor>(grid, shared bytes, kernel) and
// each(count, functor).
template <class Shape, class Launch>
void launch_policy_update(const PolicyUpdateSetup& setup, const PolicyUpdateBatch& batch, const OptimizerBlocks& blocks,
                          const OptimizerConfig& config, float learning_rate, const PolicyMetricsFinish& finish,
                          const Launch& launch) {
  PolicyUpdateSetup sized = setup;
  sized.partials.slots = fused_slots<Shape>(batch.size, setup.partials.slots);
  sized.partials.rows = sized.partials.slots * setup.tower_count;
  using Gradient = PolicyGradientKernel<Shape>;
  launch.template blocks<Shape::kThreads, Shape::kBlocksPerProcessor>(
      static_cast<unsigned>(sized.partials.rows), Gradient::kSharedBytes, Gradient{sized, batch, blocks.count});
  launch.template blocks<kCombineThreads, 1>(
      combine_chunks(blocks.count), 0,
      CombinePartials<PolicyMetricsFinish>{sized.partials, blocks.gradients, blocks.count, config, learning_rate,
                                           setup.state, finish});
  launch.each(static_cast<int>(blocks.count),
              ApplyUpdate{config.kind, config.epsilon_inside_root, blocks, sized.partials.scalars});
}
#endif

}  // namespace stampede
