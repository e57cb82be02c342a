// SPDX-License-Identifier: Apache-2.0
// The device data of a batch of equal environments: states in columns, counters, and what one of them does in a step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/lane_list.h"
#include "kernels/launch.h"
#include "sim/environment.h"
#include "sim/episode_recorder.h"

namespace stampede {

// Word w of environment i lies at words[w * n + i], so neighbouring lanes read neighbouring words.
template <class State>
struct StateColumns {
  static constexpr int kWords = sizeof(State) / 4;
  std::uint32_t* words = nullptr;  // [kWords, n]
  std::size_t n = 0;

  HD State load(int i) const {
    State state;
#pragma GCC unroll 32
    for (int w = 0; w < kWords; ++w) {
      const std::uint32_t word = *at(w, i);  // a whole word: nvcc would copy memory of unknown alignment byte by byte
      __builtin_memcpy(reinterpret_cast<char*>(&state) + 4 * w, &word, 4);
    }
    return state;
  }
  HD void store(int i, const State& state) const {
#pragma GCC unroll 32
    for (int w = 0; w < kWords; ++w) {
      std::uint32_t word;
      __builtin_memcpy(&word, reinterpret_cast<const char*>(&state) + 4 * w, 4);
      *at(w, i) = word;
    }
  }

  HD std::uint32_t* at(int w, int i) const {
    return words + static_cast<std::size_t>(w) * n + static_cast<std::size_t>(i);
  }
};

// The device data of a batch and the operations on a range of it.
template <class E>
struct EnvBatch {
  using State = typename E::State;
  using Action = typename E::Action;
  static constexpr int kActionWords = sizeof(Action) / 4;
  static constexpr int kObsWords = E::specs[0].observation.is_discrete() ? 1 : E::specs[0].observation.size;
  static constexpr RecordLayout kRecord = RecordLayout::for_action_size(kActionWords);
  // Lanes that reset are listed first; a CUDA thread has one lane, a CPU chunk up to kCpuChunk.
#ifdef __CUDA_ARCH__
  static constexpr int kMaxRange = 1;
  static constexpr int kListSize = 1;
#else
  static constexpr int kMaxRange = kCpuChunk;
  static constexpr int kListSize = kCpuChunk + kLaneListSlack;
#endif

  typename E::Params params;
  StateColumns<State> state;
  std::int32_t* needs_reset;  // [N], nonzero after an episode's end
  std::int32_t* elapsed;      // [N], steps of the running episode
  float* episode_return;      // [N]
  EpisodeRecorderView log;
  std::uint64_t seed;
  std::uint32_t first;  // global index of environment 0
  int time_limit;

  HD State draw_start(int i, std::uint64_t row) const {
    Rng rng(RandomKey{seed, row, Purpose::kEnvironmentReset}, first + static_cast<std::uint32_t>(i));
    State s;
    E::reset(params, s, rng);
    return s;
  }
  // One step of environment i. record [action..., reward, flags, unused...] holds the action on entry; the flags are
  // also returned. Unused words get the flags again: a constant there would split gcc's group of stores.
  HD std::uint32_t advance(const RandomKey& key, std::int32_t limit, int i, State& s, std::int32_t& steps, float& total,
                           std::uint32_t (&record)[kRecord.words]) const {
    Action action;
    __builtin_memcpy(&action, record, sizeof action);
    Rng rng(key, first + static_cast<std::uint32_t>(i));
    const StepResult result = E::step(params, s, action, rng);
    ++steps;
    total += result.reward;
    const std::uint32_t flags = kValid | (result.terminated ? kTerminated : 0u) | (steps >= limit ? kTruncated : 0u);
    record[kActionWords] = float_bits(result.reward);
#pragma GCC unroll 32
    for (int w = kActionWords + 1; w < kRecord.words; ++w) record[w] = flags;
    return flags;
  }
  // The step after which an episode is truncated.
  HD std::int32_t last_step() const { return time_limit == kNoTimeLimit ? 0x7FFFFFFF : time_limit; }
  HD void start_lane(int i, const State& s, std::uint32_t* obs) const {
    state.store(i, s);
    needs_reset[i] = 0;
    elapsed[i] = 0;
    episode_return[i] = 0.0f;
    E::observe(params, s, ObsWriter(obs + static_cast<std::size_t>(i) * kObsWords));
  }
};

}  // namespace stampede
