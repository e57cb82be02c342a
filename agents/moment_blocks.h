// SPDX-License-Identifier: Apache-2.0
// The moments of a gathered minibatch: the plain loops of a CPU and the blocks of CUDA threads with the same bits.
#pragma once

#include "agents/rollout_batch.h"
#include "kernels/block.h"

namespace stampede {

HD void add_advantage(float advantage, std::int32_t valid, MomentPart& m) {
  const double a = valid ? static_cast<double>(advantage) : 0.0;
  m.count += valid;
  m.sum += a;
  m.squares += a * a;
}

HD void add_part(const MomentPart& part, MomentPart& m) {
  m.count += part.count;
  m.sum += part.sum;
  m.squares += part.squares;
}

// The rows of a part: [first_of_part(part), first_of_part(part + 1)).
HD int first_of_part(int part, int size) {
  return static_cast<int>(part * static_cast<std::int64_t>(size) / kMomentParts);
}

// One part in ascending order.
struct MomentPartOp {
  RolloutBatch batch;
  int size;
  MomentPart* parts;  // [kMomentParts]

  void operator()(int part) const {
    MomentPart m{0.0, 0.0, 0.0};
    for (int k = first_of_part(part, size); k < first_of_part(part + 1, size); ++k) {
      add_advantage(batch.advantage[k], batch.valid[k], m);
    }
    parts[part] = m;
  }
};

inline MinibatchMoments sum_of_parts(const MomentPart* parts, AdvantageScaling scaling) {
  MomentPart m{0.0, 0.0, 0.0};
  for (int p = 0; p < kMomentParts; ++p) add_part(parts[p], m);
  return finish_moments(m, scaling);
}

#ifdef STAMPEDE_BLOCK_KERNELS
// Block p of kThreads: part p. One thread adds, in ascending order; the others fetch what it adds, which memory answers
// at once instead of one after the other.
struct MomentPartKernel {
  static constexpr unsigned kThreads = 128;

  RolloutBatch batch;
  int size;
  MomentPart* parts;  // [kMomentParts]

  DEVICE void operator()() const {
    SHARED_ARRAY(float, advantage, kThreads);
    SHARED_ARRAY(std::int32_t, valid, kThreads);
    const int part = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    const int end = first_of_part(part + 1, size);
    MomentPart m{0.0, 0.0, 0.0};
    for (int first = first_of_part(part, size); first < end; first += kThreads) {
      const int left = end - first, count = left < static_cast<int>(kThreads) ? left : static_cast<int>(kThreads);
      if (thread < count) {
        advantage[thread] = batch.advantage[first + thread];
        valid[thread] = batch.valid[first + thread];
      }
      __syncthreads();
      for (int k = 0; thread == 0 && k < count; ++k) add_advantage(advantage[k], valid[k], m);
      __syncthreads();
    }
    if (thread == 0) parts[part] = m;
  }
};

// One block of kMomentParts threads.
struct MomentFinishKernel {
  const MomentPart* parts;    // [kMomentParts]
  MinibatchMoments* moments;  // [1]
  AdvantageScaling scaling;

  DEVICE void operator()() const {
    SHARED_ARRAY(MomentPart, fetched, kMomentParts);
    fetched[threadIdx.x] = parts[threadIdx.x];
    __syncthreads();
    if (threadIdx.x != 0) return;
    MomentPart m{0.0, 0.0, 0.0};
    for (int p = 0; p < kMomentParts; ++p) add_part(fetched[p], m);
    *moments = finish_moments(m, scaling);
  }
};
#endif

}  // namespace stampede
