// SPDX-License-Identifier: Apache-2.0
// One environment of a batch held in registers, for kernels that step it through many rows.
#pragma once

#include "sim/env_batch.h"

namespace stampede {

template <class E>
struct EnvLane {
  using Batch = EnvBatch<E>;

  typename E::State state;
  std::int32_t needs_reset;
  std::int32_t elapsed;
  float episode_return;

  HD void load(const Batch& batch, int i) {
    state = batch.state.load(i);
    needs_reset = batch.needs_reset[i];
    elapsed = batch.elapsed[i];
    episode_return = batch.episode_return[i];
  }
  HD void store(const Batch& batch, int i) const {
    batch.state.store(i, state);
    batch.needs_reset[i] = needs_reset;
    batch.elapsed[i] = elapsed;
    batch.episode_return[i] = episode_return;
  }

  // What StepOp does to environment i at `row`: record [action..., reward, flags, unused...] holds the action on entry.
  // Episodes that are over enter the log if this lane logs.
  HD void step(const Batch& batch, int i, std::uint64_t row, bool logs, std::uint32_t (&record)[Batch::kRecord.words]) {
    const bool over = needs_reset != 0;
    if (over & logs) batch.log.append({row - 1, i, elapsed, episode_return});
    const RandomKey key{batch.seed, row, Purpose::kEnvironmentStep};
    const std::uint32_t flags = batch.advance(key, batch.last_step(), i, state, elapsed, episode_return, record);
    needs_reset = (flags & kEpisodeEnd) != 0;
    if (!over) return;
    state = batch.draw_start(i, row + 1);
    needs_reset = 0;
    elapsed = 0;
    episode_return = 0.0f;
    record[Batch::kActionWords] = 0;
    record[Batch::kActionWords + 1] = 0;
  }

  HD void observe(const Batch& batch, std::uint32_t (&obs)[Batch::kObsWords]) const {
    E::observe(batch.params, state, ObsWriter(obs));
  }
};

}  // namespace stampede
