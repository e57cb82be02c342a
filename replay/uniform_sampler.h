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
  // A draw may turn out not to be sampleable. Its row counts from the oldest stored one.
  struct Draw {
    int row, environment;
  };
  HD Draw draw(std::uint32_t row_word, std::uint32_t environment_word) const {
    return {static_cast<int>(uniform_below(row_word, static_cast<std::uint32_t>(window.rows))),
            static_cast<int>(uniform_below(environment_word, static_cast<std::uint32_t>(ring.shape.environments)))};
  }
  HD Draw first_draw(int sample) const { return draw_of(sample, 0); }
  HD SampledRow operator()(int sample) const {
    const Draw first = first_draw(sample);
    return accepts(first) ? row_of(first) : redraw(sample);
  }
  // The parts of a sample, for callers that draw many ahead so that their memory is fetched meanwhile: whether a draw
  // is sampleable, the row it names, and what a sample becomes whose first draw is not accepted.
  HD bool accepts(Draw drawn) const { return sampleable(drawn.row, drawn.environment); }
  HD SampledRow row_of(Draw drawn) const { return {slot_of(drawn.row), drawn.environment}; }
  HD Draw second_draw(int sample) const { return draw_of(sample, 1); }
  HD SampledRow redraw(int sample) const {
    constexpr int kTries = 16;
    Draw drawn{};
    for (int attempt = 1; attempt < kTries; ++attempt) {
      drawn = draw_of(sample, attempt);
      if (accepts(drawn)) return row_of(drawn);
    }
    int row = drawn.row + n_step > window.rows ? window.rows - n_step : drawn.row;
    if (!sampleable(row, drawn.environment)) row += row > 0 ? -1 : 1;
    return {slot_of(row), drawn.environment};
  }

 private:
  HD Draw draw_of(int sample, int attempt) const {
    const PhiloxBlock block = key.block(static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(attempt) / 2);
    return attempt & 1 ? draw(block.word[2], block.word[3]) : draw(block.word[0], block.word[1]);
  }
};

// Throws UsageError when a ring of T rows cannot hold n-step transitions: T < n + 1.
void check_n_step(const RingShape& shape, int n_step);
// The same, and when a batch is larger than the ring.
void check_batch(const RingShape& shape, int batch_size, int n_step);

}  // namespace stampede
