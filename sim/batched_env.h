// SPDX-License-Identifier: Apache-2.0
// Turns an Environment into a VectorEnv: vectorised steps, NEXT_STEP autoreset, the log of episodes and injected
// states, once for all environments.
#pragma once

#include <cmath>
#include <string>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/lane_list.h"
#include "kernels/launch.h"
#include "sim/env_batch.h"
#include "sim/vector_env.h"

namespace stampede {

template <class E>
struct ResetOp {
  EnvBatch<E> batch;
  std::uint32_t* obs;  // [N, D]
  HD void operator()(int i) const { batch.start_lane(i, batch.draw_start(i, 0), obs); }
};

// One step of a range in three passes: list the lanes whose episode is over, step all lanes in one vectorised loop,
// then let the listed ones start anew. The loop has no branch on a lane's history.
template <class E>
struct StepOp {
  using Batch = EnvBatch<E>;
  Batch batch;
  StepRow row;
  int offset;  // of the range in the batch

  HD void operator()(int begin, int end) const {
    begin += offset;
    end += offset;
    std::int32_t resetting[Batch::kListSize];
    const int count = list_resetting(begin, end, resetting);
    step_lanes(begin, end);
    restart_lanes(resetting, count);
  }

 private:
  HD int list_resetting(int begin, int end, std::int32_t* resetting) const {
#ifdef __CUDA_ARCH__
    const int count = batch.needs_reset[begin];
    resetting[0] = begin;
    if (count > 0) log_episode(begin);  // the compiler does not know that there is at most one
#else
    const int count = list_set_lanes(batch.needs_reset + begin, end - begin, begin, resetting);
    for (int k = 0; k < count; ++k) log_episode(resetting[k]);
#endif
    return count;
  }
  HD void log_episode(int lane) const {
    batch.log.append({row.row - 1, lane, batch.elapsed[lane], batch.episode_return[lane]});
  }

  HD void step_lanes(int begin, int end) const {
    constexpr int kWords = Batch::kRecord.words;
#ifdef __CUDA_ARCH__
    const Batch& b = batch;  // stays in parameter memory, where a map can be indexed
#else
    const Batch b = batch;  // a local copy: its pointers are loop invariants for the vectoriser
#endif
    std::uint32_t* const records = row.records;
    std::uint32_t* const obs = static_cast<std::uint32_t*>(row.next_obs);
    const RandomKey key{b.seed, row.row, Purpose::kEnvironmentStep};
    const std::int32_t limit = b.last_step();
    const std::uint32_t zero = opaque_zero();
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) {
      typename Batch::State s = b.state.load(i);
      std::uint32_t* const record = records + static_cast<std::size_t>(i) * kWords;
      std::uint32_t stored[kWords];
#pragma GCC unroll 32
      for (int w = 0; w < Batch::kActionWords; ++w) stored[w] = record[w];
      std::int32_t elapsed = b.elapsed[i];
      float episode_return = b.episode_return[i];
      const std::uint32_t flags = b.advance(key, limit, i, s, elapsed, episode_return, stored);
      b.state.store(i, s);
      b.elapsed[i] = elapsed;
      b.episode_return[i] = episode_return;
      b.needs_reset[i] = (flags & kEpisodeEnd) != 0;
      stored[kWords - 1] |= record[kWords - 1] & zero;
      // The whole record is stored, the action too: a store with gaps would not vectorise.
#pragma GCC unroll 32
      for (int w = 0; w < kWords; ++w) record[w] = stored[w];
      E::observe(b.params, s, ObsWriter(obs + static_cast<std::size_t>(i) * Batch::kObsWords));
    }
  }

  // 0, but gcc does not know. It reads whole records, if only their last words count too; else it would do the last
  // lanes one by one, lest a vector reach behind the last record.
  HD static std::uint32_t opaque_zero() {
    std::uint32_t zero = 0;
#ifndef __CUDA_ARCH__
    asm("" : "+r"(zero));
#endif
    return zero;
  }

  HD void restart_lanes(std::int32_t* resetting, int count) const {
#ifdef __CUDA_ARCH__
    // Not a loop: the compiler does not know that there is at most one, and would put the array into local memory.
    if (count > 0) restart_lane(resetting[0], batch.draw_start(resetting[0], row.row + 1));
#else
    // Drawing goes into columns first: that loop vectorises, the scattered stores do not. The list is filled up to
    // whole vectors, because drawing one by one costs more than drawing too many.
    const Batch b = batch;
    const int padded = (count + kLaneListSlack - 1) / kLaneListSlack * kLaneListSlack;
    for (int k = count; k < padded; ++k) resetting[k] = resetting[0];
    std::uint32_t words[sizeof(typename Batch::State) / 4 * Batch::kListSize];
    const StateColumns<typename Batch::State> starts{words, Batch::kListSize};
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < padded; ++k) starts.store(k, b.draw_start(resetting[k], row.row + 1));
    for (int k = 0; k < count; ++k) restart_lane(resetting[k], starts.load(k));
#endif
  }

  HD void restart_lane(int i, const typename Batch::State& start) const {
    batch.start_lane(i, start, static_cast<std::uint32_t*>(row.next_obs));
    std::uint32_t* const record = row.records + static_cast<std::size_t>(i) * Batch::kRecord.words;
    record[Batch::kActionWords] = 0;
    record[Batch::kActionWords + 1] = 0;
  }
};

// Writes the observation of one injected state.
template <class E>
struct ObserveOp {
  EnvBatch<E> batch;
  int index;
  std::uint32_t* obs;  // [D]
  HD void operator()(int) const { E::observe(batch.params, batch.state.load(index), ObsWriter(obs)); }
};

template <Environment E>
class BatchedEnv final : public VectorEnv {
 public:
  using Params = typename E::Params;
  using State = typename E::State;

  // first: global index of environment 0, so that parts of one large batch draw what the whole would draw.
  BatchedEnv(const EnvSpec& spec, const Params& params, int size, std::uint64_t seed, std::uint32_t first, Arena& arena)
      : VectorEnv(spec, size, arena) {
    const auto n = static_cast<std::size_t>(size);
    memory_ = arena.take<std::uint32_t>(n * (StateColumns<State>::kWords + 3));
    std::uint32_t* words = memory_.data;
    batch_.params = params;
    batch_.state = {words, n};
    words += n * StateColumns<State>::kWords;
    batch_.needs_reset = reinterpret_cast<std::int32_t*>(words);
    batch_.elapsed = reinterpret_cast<std::int32_t*>(words + n);
    batch_.episode_return = reinterpret_cast<float*>(words + 2 * n);
    batch_.log = episodes().view();
    batch_.seed = seed;
    batch_.first = first;
    batch_.time_limit = spec.time_limit;
  }

  void set_seed(std::uint64_t seed) override { batch_.seed = seed; }

  void reset(const Stream& stream, void* obs) override {
    for_each_index(stream, size(), ResetOp<E>{batch_, static_cast<std::uint32_t*>(obs)});
  }

  void step(const Stream& stream, int begin, int end, const StepRow& row) override {
    for_each_chunk(stream, end - begin, StepOp<E>{batch_, row, begin});
  }

  std::vector<double> state(const Stream& stream, int index) const override {
    const State s = load_state(stream, index);
    std::vector<double> values;
    for (const auto& field : E::state_fields) {
      values.push_back(field.real ? static_cast<double>(s.*field.real) : static_cast<double>(s.*field.integer));
    }
    return values;
  }

  int elapsed(const Stream& stream, int index) const override {
    std::int32_t value = 0;
    copy_to_host(stream, &value, batch_.elapsed + index, sizeof value);
    return value;
  }

  void set_state(const Stream& stream, int index, std::span<const double> values, int elapsed, void* obs) override {
    const State s = state_from(values);
    if (elapsed < 0 || (spec().time_limit != kNoTimeLimit && elapsed >= spec().time_limit)) {
      throw UsageError("elapsed: " + std::to_string(elapsed) + " is not a step of an episode of " + spec().id);
    }
    for (int w = 0; w < StateColumns<State>::kWords; ++w) {
      copy_to_device(stream, batch_.state.at(w, index), reinterpret_cast<const char*>(&s) + 4 * w, 4);
    }
    const std::int32_t steps = elapsed;
    const std::int32_t zero = 0;
    copy_to_device(stream, batch_.elapsed + index, &steps, sizeof steps);
    copy_to_device(stream, batch_.needs_reset + index, &zero, sizeof zero);
    copy_to_device(stream, batch_.episode_return + index, &zero, sizeof zero);
    for_each_index(stream, 1, ObserveOp<E>{batch_, index, static_cast<std::uint32_t*>(obs)});
  }

  // What kernels that step this batch themselves work on.
  const EnvBatch<E>& batch() const { return batch_; }

  View<std::byte> checkpoint_bytes() const override {
    return {reinterpret_cast<std::byte*>(memory_.data), {memory_.size() * sizeof(std::uint32_t)}};
  }

 private:
  State load_state(const Stream& stream, int index) const {
    State s;
    for (int w = 0; w < StateColumns<State>::kWords; ++w) {
      copy_to_host(stream, reinterpret_cast<char*>(&s) + 4 * w, batch_.state.at(w, index), 4);
    }
    return s;
  }

  State state_from(std::span<const double> values) const {
    constexpr std::size_t kFields = std::size(E::state_fields);
    if (values.size() != kFields) {
      throw UsageError("state: " + std::string(spec().id) + " has " + std::to_string(kFields) + " variables, got " +
                       std::to_string(values.size()));
    }
    State s{};
    for (std::size_t k = 0; k < kFields; ++k) {
      const auto& field = E::state_fields[k];
      const double value = values[k];
      if (!std::isfinite(value) || value < field.min || value > field.max ||
          (field.integer && value != std::floor(value))) {
        throw UsageError("state: " + std::string(field.name) + " = " + std::to_string(value) +
                         " is not a finite value in range");
      }
      if (field.real) s.*field.real = static_cast<float>(value);
      if (field.integer) s.*field.integer = static_cast<std::int32_t>(value);
    }
    return s;
  }

  EnvBatch<E> batch_{};
  View<std::uint32_t> memory_;
};

}  // namespace stampede
