// SPDX-License-Identifier: Apache-2.0
// The element-wise steps of prioritised replay.
#pragma once

#include <cstdint>

#include "kernels/hd.h"
#include "kernels/math.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Rank-based priorities sort rows into buckets by the upper 16 bits of |delta|, the largest first: 0.4 % apart.
inline constexpr int kErrorBuckets = 1 << 16;
HD int error_bucket(float error) { return kErrorBuckets - 1 - static_cast<int>(float_bits(error) >> 15); }

// The magnitude of an error; 0 when it is not finite.
HD float error_magnitude(float error) {
  const float magnitude = bits_float(float_bits(error) & 0x7FFFFFFFu);
  return magnitude < INFINITY ? magnitude : 0.0f;
}

// x^y for x > 0.
HD float power(float x, float y) { return exp_of(y * log_of(x)); }

HD void raise_to(float* place, float value) {
#ifdef __CUDA_ARCH__
  atomicMax(reinterpret_cast<unsigned*>(place), __float_as_uint(value));  // the same order for values >= 0
#else
  *place = *place < value ? value : *place;
#endif
}

#ifdef __CUDA_ARCH__
// Lowers to a value and returns what was there; values >= 0. Several threads may lower the same place.
HD float lower_to(float* place, float value) {
  return __uint_as_float(atomicMin(reinterpret_cast<unsigned*>(place), __float_as_uint(value)));
}
#endif

struct SetValue {
  float* place;
  float value;
  HD void operator()(int) const { *place = value; }
};

struct RaiseValue {
  float* place;
  const float* value;
  HD void operator()(int) const { *place = *place < *value ? *value : *place; }
};

// One environment's leaves after the step that wrote `slot`: rows become sampleable that are now n rows long, or that
// this step ended. The next slot's row is gone: its observation was overwritten.
struct OpenRows {
  RingView ring;
  float* leaves;         // [(T + 1) N]
  float* errors;         // the same for ranks, or null
  const float* maximum;  // [1]
  int slot, next_slot;
  int older;  // rows before this one that are still stored, at most n_step - 1
  int n_step;

  HD void operator()(int environment) const {
    leaves[ring.index(next_slot, environment)] = 0.0f;
    const bool ended = ring.flags(ring.index(slot, environment)) & kEpisodeEnd;
    int s = slot;
    for (int k = 0; k <= older; ++k) {
      const std::size_t index = ring.index(s, environment);
      if ((ring.flags(index) & kValid) == 0) return;  // what lies before it is of an earlier episode
      if (ended | (k == n_step - 1)) open(index);
      s = s == 0 ? ring.slots() - 1 : s - 1;
    }
  }

  HD void open(std::size_t index) const {
    leaves[index] = *maximum;
    if (errors != nullptr) errors[index] = INFINITY;
  }
};

// (N P)^-beta relative to the batch's rarest row.
struct ImportanceWeight {
  const float* priorities;  // [batch]
  const float* smallest;    // [1]
  float beta;
  float* weights;  // [batch]

  HD static float of(float priority, float smallest, float beta) {
    return exp_of(beta * (log_of(smallest) - log_of(priority)));
  }
  HD void operator()(int k) const { weights[k] = of(priorities[k], *smallest, beta); }
};

// New priorities of a batch. A leaf that is not 0 is lowered to the smallest positive number before it is raised, so
// that the largest of a row's new priorities can be found in any order. Rows that must not be drawn any more get 0.
struct NewPriorities {
  static constexpr float kLowest = 0x1p-126f;

  float alpha, epsilon;
  const float* rank_table;      // [kErrorBuckets], null for proportional priorities
  const std::int32_t* indices;  // [batch]
  float* leaves;                // [(T + 1) N]
  float* row_errors;            // [(T + 1) N] for ranks
  const float* errors;          // [batch]
  float* priorities;            // [batch]

  // Another thread may have the same row: a device lowers atomically, a CPU leaves it to one thread (LowerLeaves).
  HD void operator()(int k) const {
    const float magnitude = error_magnitude(errors[k]);
    const float priority = rank_table ? rank_table[error_bucket(magnitude)] : power(magnitude + epsilon, alpha);
#ifdef __CUDA_ARCH__
    const bool is_open = lower_to(leaves + indices[k], kLowest) > 0.0f;
    if (is_open && row_errors != nullptr) row_errors[indices[k]] = 0.0f;
#else
    const bool is_open = leaves[indices[k]] > 0.0f;
#endif
    priorities[k] = select_uniform(is_open, priority, 0.0f);
  }

  HD void lower(int k) const {
    if (!(priorities[k] > 0.0f)) return;
    leaves[indices[k]] = kLowest;
    if (row_errors != nullptr) row_errors[indices[k]] = 0.0f;
  }
};

struct StorePriorities {
  NewPriorities fresh;

  HD void operator()(int begin, int end) const {
    for (int k = begin; k < end; ++k) {
      if (!(fresh.priorities[k] > 0.0f)) continue;
      raise_to(fresh.leaves + fresh.indices[k], fresh.priorities[k]);
      if (fresh.row_errors != nullptr) raise_to(fresh.row_errors + fresh.indices[k], error_magnitude(fresh.errors[k]));
    }
  }
};

// What a device does while it computes priorities; all rows before any is raised.
struct LowerLeaves {
  NewPriorities fresh;
  HD void operator()(int begin, int end) const {
    for (int k = begin; k < end; ++k) fresh.lower(k);
  }
};

struct CountErrors {
  const float *leaves, *errors;  // [(T + 1) N]
  std::int32_t* counts;          // [kErrorBuckets]

  HD void operator()(int begin, int end) const {
    for (int i = begin; i < end; ++i) {
      if (!(leaves[i] > 0.0f)) continue;
#ifdef __CUDA_ARCH__
      atomicAdd(counts + error_bucket(errors[i]), 1);
#else
      ++counts[error_bucket(errors[i])];
#endif
    }
  }
};

// rank^-alpha with the mean rank of the bucket, or the rank a row would have that came to an empty one.
struct RankPriority {
  const std::int32_t *counts, *above;  // [kErrorBuckets]
  float alpha;
  float* table;  // [kErrorBuckets]

  HD void operator()(int bucket) const {
    const int tied = counts[bucket] > 1 ? counts[bucket] : 1;
    const float rank = static_cast<float>(above[bucket]) + 0.5f * static_cast<float>(tied + 1);
    table[bucket] = power(rank, -alpha);
  }
};

struct ApplyRank {
  const float* table;   // [kErrorBuckets]
  const float* errors;  // [(T + 1) N]
  float* leaves;        // [(T + 1) N]

  HD void operator()(int i) const {
    if (leaves[i] > 0.0f) leaves[i] = table[error_bucket(errors[i])];
  }
};

}  // namespace stampede
