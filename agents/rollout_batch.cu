// SPDX-License-Identifier: Apache-2.0
#include "agents/rollout_batch.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

// Rows per round of prefetching.
#ifdef __CUDA_ARCH__
constexpr int kGatherRound = 1;
#else
constexpr int kGatherRound = 64;
#endif

HD void prefetch(const void* address) {
#ifndef __CUDA_ARCH__
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

struct GatherOp {
  RingView ring;
  Minibatch minibatch;
  RolloutBatch batch;
  int actions;  // floats of a continuous action, 0 when discrete

  HD void operator()(int begin, int end) const {
    for (int from = begin; from < end; from += kGatherRound) {
      const int count = end - from < kGatherRound ? end - from : kGatherRound;
      std::uint32_t index[kGatherRound];
      find_rows(from, count, index);
      for (int k = 0; k < count; ++k) copy_row(from + k, index[k]);
    }
  }

 private:
  HD void find_rows(int from, int count, std::uint32_t* index) const {
    const Permutation permutation = minibatch.permutation;
    const auto first = static_cast<std::uint32_t>(minibatch.begin + from);
    for (int k = 0; k < count; ++k) index[k] = permutation.once(first + static_cast<std::uint32_t>(k));
    for (int k = 0; k < count; ++k) {
      index[k] = permutation.walk(index[k]);
      prefetch(ring.record(index[k]));
      prefetch(ring.extra + static_cast<std::size_t>(index[k]) * static_cast<std::size_t>(ring.shape.extra_size));
      prefetch(ring.obs + static_cast<std::size_t>(index[k]) * static_cast<std::size_t>(ring.shape.obs_size) * 4);
    }
  }

  HD void copy_row(int m, std::size_t index) const {
    const auto size = static_cast<std::size_t>(ring.shape.obs_size);
    const auto* obs = reinterpret_cast<const std::uint32_t*>(ring.obs) + index * size;
    std::uint32_t* const to = batch.obs + static_cast<std::size_t>(m) * size;
    for (std::size_t d = 0; d < size; ++d) to[d] = obs[d];
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

struct MomentPartOp {
  RolloutBatch batch;
  int size;
  MomentPart* parts;

  HD void operator()(int part) const {
    MomentPart m{0.0, 0.0, 0.0};
    const std::int64_t rows = size;
    for (auto k = static_cast<int>(part * rows / kMomentParts); k < static_cast<int>((part + 1) * rows / kMomentParts);
         ++k) {
      const double a = batch.valid[k] ? static_cast<double>(batch.advantage[k]) : 0.0;
      m.count += batch.valid[k];
      m.sum += a;
      m.squares += a * a;
    }
    parts[part] = m;
  }
};

struct MomentFinishOp {
  const MomentPart* parts;
  MinibatchMoments* moments;
  bool normalize;

  HD void operator()(int) const {
    MomentPart m{0.0, 0.0, 0.0};
    for (int p = 0; p < kMomentParts; ++p) {
      m.count += parts[p].count;
      m.sum += parts[p].sum;
      m.squares += parts[p].squares;
    }
    const double count = m.count > 1.0 ? m.count : 1.0;
    const double mean = m.sum / count;
    // Unbiased, as in most published implementations; a single valid row has no spread to divide by.
    const double variance = m.count > 1.0 ? (m.squares - m.sum * mean) / (m.count - 1.0) : 0.0;
    const float deviation = square_root(variance > 0.0 ? static_cast<float>(variance) : 0.0f);
    const bool apply = normalize && m.count > 1.0;
    *moments = {apply ? static_cast<float>(mean) : 0.0f, apply ? 1.0f / (deviation + 1e-8f) : 1.0f,
                static_cast<float>(1.0 / count)};
  }
};

}  // namespace

RolloutBatch RolloutBatch::take(const RingShape& shape, const Space& action, int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  RolloutBatch batch;
  batch.obs = arena.take<std::uint32_t>(n * static_cast<std::size_t>(shape.obs_size)).data;
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
  for_each_chunk(stream, minibatch.size, GatherOp{ring, minibatch, batch, action.is_discrete() ? 0 : action.size});
}

void measure_minibatch(const Stream& stream, const RolloutBatch& batch, int size, bool normalize, MomentPart* parts,
                       MinibatchMoments* moments) {
  for_each_index(stream, kMomentParts, MomentPartOp{batch, size, parts}, kMomentParts / 2);
  for_each_index(stream, 1, MomentFinishOp{parts, moments, normalize});
}

}  // namespace stampede
