// SPDX-License-Identifier: Apache-2.0
// Uniform sampling of transitions from a ring, and the gather that turns sampled rows into a batch.
#pragma once

#include <cstdint>

#include "kernels/philox.h"
#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// The rows a sampler may return, as the host knows them when it launches.
struct SampleWindow {
  int oldest_slot = 0;  // slot of the oldest stored row
  int rows = 0;         // stored rows
};
SampleWindow sample_window(const TrajectoryRing& ring);

struct SampledRow {
  int slot = 0;
  int environment = 0;
};

// Sampleable: valid, and n rows long or ended within the window. Other draws are repeated up to 16 times; then the last
// one moves back until n rows follow, and from a reset row to the row before, which ended an episode and is valid (from
// the oldest row to the one after).
struct UniformSampler {
  RingView ring;
  SampleWindow window;
  RandomKey key;  // purpose kReplaySample, row = update
  int n_step = 1;

  HD int slot_of(int row) const {
    const int slot = window.oldest_slot + row;
    return slot >= ring.slots() ? slot - ring.slots() : slot;
  }
  HD bool sampleable(int row, int environment) const {
    if (!(ring.flags(ring.index(slot_of(row), environment)) & kValid)) return false;
    for (int k = 0; row + n_step > window.rows && row + k < window.rows; ++k) {
      if (ring.flags(ring.index(slot_of(row + k), environment)) & kEpisodeEnd) return true;
    }
    return row + n_step <= window.rows;
  }
  HD SampledRow operator()(int sample) const {
    constexpr int kTries = 16;
    Rng rng(key, static_cast<std::uint32_t>(sample));
    int row = 0, environment = 0;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      row = static_cast<int>(rng.below(static_cast<std::uint32_t>(window.rows)));
      environment = static_cast<int>(rng.below(static_cast<std::uint32_t>(ring.shape.environments)));
      if (sampleable(row, environment)) return {slot_of(row), environment};
    }
    row = row + n_step > window.rows ? window.rows - n_step : row;
    if (!sampleable(row, environment)) row += row > 0 ? -1 : 1;
    return {slot_of(row), environment};
  }
};

// Throws UsageError when a ring of T rows cannot hold n-step transitions: T < n + 1.
void check_n_step(const RingShape& shape, int n_step);

}  // namespace stampede
