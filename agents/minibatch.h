// SPDX-License-Identifier: Apache-2.0
// A minibatch of a rollout: a slice of a permutation of the ring's rows, and the gather that lays its rows side by
// side.
#pragma once

#include "agents/permutation.h"
#include "kernels/prefetch.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Slice [begin, begin + size) of a permutation of all T * N rows.
struct Minibatch {
  Permutation permutation;
  int begin, size;
};

// Minibatch `number` of the `count` that all rows of a rollout are cut into, as equal as whole rows allow.
inline Minibatch cut_minibatch(const Permutation& permutation, std::int64_t rows, int number, int count) {
  const auto begin = static_cast<int>(number * rows / count);
  return {permutation, begin, static_cast<int>((number + 1) * rows / count) - begin};
}
// Rows of the largest of them.
inline int largest_minibatch(std::int64_t rows, int count) { return static_cast<int>((rows + count - 1) / count); }
// Throws UsageError, which names `key`, for more minibatches than rows, or none.
void check_minibatches(const char* key, int count, std::int64_t rows);

// Rows per round of prefetching.
#ifdef __CUDA_ARCH__
inline constexpr int kGatherRound = 1;
#else
inline constexpr int kGatherRound = 64;
#endif

// Calls copy_row(ring, m, index) for row m of the minibatch at flat ring index `index`: random reads of the ring happen
// once and prefetched. For for_each_chunk.
template <class CopyRow>
struct GatherMinibatch {
  RingView ring;
  Minibatch minibatch;
  CopyRow copy_row;

  HD void operator()(int begin, int end) const {
    for (int from = begin; from < end; from += kGatherRound) {
      const int count = end - from < kGatherRound ? end - from : kGatherRound;
      std::uint32_t index[kGatherRound];
      find_rows(from, count, index);
      for (int k = 0; k < count; ++k) copy_row(ring, from + k, index[k]);
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
};

// The observation of one row, in 32-bit words, to row m of obs [M, D].
HD void copy_observation(const RingView& ring, std::size_t index, int m, std::uint32_t* obs) {
  const auto size = static_cast<std::size_t>(ring.shape.obs_size);
  const auto* from = reinterpret_cast<const std::uint32_t*>(ring.obs) + index * size;
  std::uint32_t* const to = obs + static_cast<std::size_t>(m) * size;
  for (std::size_t d = 0; d < size; ++d) to[d] = from[d];
}

}  // namespace stampede
