// SPDX-License-Identifier: Apache-2.0
#include "agents/rollout_batch.h"

#include "agents/moment_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// Below this, a second thread's help costs more than it saves.
constexpr int kManyRows = 4096;

// Everything but the observation.
struct RowFields {
  RingView ring;
  RolloutBatch batch;
  int actions;  // floats of a continuous action, 0 when discrete

  HD void copy(int m, std::size_t index) const {
    const float* const e = ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
    if (actions == 0) batch.action[m] = static_cast<std::int32_t>(ring.record(index)[0]);
    for (int a = 0; a < actions; ++a) batch.raw_action[a * batch.stride + m] = e[RolloutExtra::kAction + a];
    batch.old_log_prob[m] = e[RolloutExtra::kLogProb];
    batch.old_value[m] = e[RolloutExtra::kValue];
    batch.advantage[m] = e[RolloutExtra::kAdvantage];
    batch.target[m] = e[RolloutExtra::kReturn];
    batch.valid[m] = (ring.flags(index) & kValid) != 0;
  }
};

struct CopyFieldsOp {
  RowFields fields;
  HD void operator()(int m) const { fields.copy(m, static_cast<std::size_t>(m)); }
};

struct CopyRolloutRow {
  RowFields fields;
  HD void operator()(const RingView& ring, int m, std::size_t index) const {
    copy_observation(ring, index, m, fields.batch.obs);
    fields.copy(m, index);
  }
};

RowFields row_fields(const RingView& ring, const Space& action, const RolloutBatch& batch) {
  return {ring, batch, action.is_discrete() ? 0 : action.size};
}

}  // namespace

RolloutBatch RolloutBatch::take(const RingShape& shape, const Space& action, int rows, Arena& arena) {
  RolloutBatch batch = take_fields(action, rows, arena);
  batch.obs = arena.take<std::uint32_t>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(shape.obs_size)).data;
  return batch;
}

RolloutBatch RolloutBatch::take_fields(const Space& action, int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  RolloutBatch batch;
  if (action.is_discrete()) batch.action = arena.take<std::int32_t>(n).data;
  if (!action.is_discrete()) batch.raw_action = arena.take<float>(n * static_cast<std::size_t>(action.size)).data;
  batch.old_log_prob = arena.take<float>(n).data;
  batch.old_value = arena.take<float>(n).data;
  batch.advantage = arena.take<float>(n).data;
  batch.target = arena.take<float>(n).data;
  batch.valid = arena.take<std::int32_t>(n).data;
  batch.stride = rows;
  return batch;
}

void gather_minibatch(const Stream& stream, const RingView& ring, const Space& action, const Minibatch& minibatch,
                      const RolloutBatch& batch) {
  const CopyRolloutRow copy_row{row_fields(ring, action, batch)};
  for_each_chunk(stream, minibatch.size, GatherMinibatch<CopyRolloutRow>{ring, minibatch, copy_row});
}

void copy_rollout(const Stream& stream, const RingView& ring, const Space& action, const RolloutBatch& batch) {
  const int rows = ring.shape.rows * ring.shape.environments;
  for_each_index(stream, rows, CopyFieldsOp{row_fields(ring, action, batch)});
}

void measure_minibatch(const Stream& stream, const RolloutBatch& batch, int size, AdvantageScaling scaling,
                       MomentPart* parts, MinibatchMoments* moments) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_blocks(stream, kMomentParts, MomentPartKernel::kThreads, 0, MomentPartKernel{batch, size, parts});
    launch_blocks(stream, 1, kMomentParts, 0, MomentFinishKernel{parts, moments, scaling});
    return;
  }
#endif
  const int grain = size < kManyRows ? kMomentParts : kMomentParts / 2;
  for_each_index_on_cpu(stream, kMomentParts, MomentPartOp{batch, size, parts}, grain);
  *moments = sum_of_parts(parts, scaling);
}

}  // namespace stampede
