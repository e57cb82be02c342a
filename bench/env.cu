// SPDX-License-Identifier: Apache-2.0
// Environment steps per second: dynamics, Philox resets, observations, rewards and flags written into a ring.
#include <benchmark/benchmark.h>

#include <string_view>

#include "bench/benchmarks.h"
#include "kernels/graph.h"
#include "kernels/launch.h"
#include "replay/trajectory_ring.h"
#include "sim/registry.h"

namespace stampede {
namespace {

constexpr int kRows = 32;

// One random word per environment; four neighbours share a Philox call, as RandomKey::lane_word says.
struct LaneWordsOp {
  RandomKey key;
  std::uint32_t* words;  // [N]

  HD void operator()(int group) const {
    const PhiloxBlock block = key.block(static_cast<std::uint32_t>(group), 0);
    for (int k = 0; k < 4; ++k) words[4 * group + k] = block.word[k];
  }
};

// A uniformly random action per environment; continuous ones within [-1, 1]. All environments here have one action
// word; a store of the whole record lets the loop vectorise.
template <bool Discrete>
struct RandomActionOp {
  const std::uint32_t* words;  // [N]
  std::uint32_t actions;
  std::uint32_t* records;  // [N, 4]

  HD void operator()(int i) const {
    const std::uint32_t word = words[i];
    const std::uint32_t action =
        Discrete ? uniform_below(word, actions) : float_bits(2.0f * uniform_float(word) - 1.0f);
    std::uint32_t* const record = records + static_cast<std::size_t>(i) * 4;
    for (int w = 0; w < 4; ++w) record[w] = action;
  }
};

class EnvRun {
 public:
  EnvRun(const EnvEntry& entry, int environments, const Stream& stream) : arena_(stream.device()) {
    build(entry, environments);
    arena_.allocate("benchmark");
    build(entry, environments);
    env_->reset(stream, ring_->obs(0));
    for (int t = 0; t <= kRows; ++t) draw_actions(stream, t, static_cast<std::uint64_t>(t));
  }

  void draw_actions(const Stream& stream, int slot, std::uint64_t row) {
    const int n = env_->size();
    for_each_index(stream, (n + 3) / 4, LaneWordsOp{{7, row, Purpose::kAction}, words_.data});
    const Space& action = env_->spec().action;
    const auto actions = static_cast<std::uint32_t>(action.count);
    if (action.is_discrete()) {
      return for_each_index(stream, n, RandomActionOp<true>{words_.data, actions, ring_->records(slot)});
    }
    for_each_index(stream, n, RandomActionOp<false>{words_.data, 0, ring_->records(slot)});
  }
  void step(const Stream& stream, bool random_policy) {
    const std::int64_t row = ring_->head();
    const int slot = ring_->slot(row);
    if (random_policy) draw_actions(stream, slot, static_cast<std::uint64_t>(row));
    env_->step(stream, 0, env_->size(),
               {ring_->records(slot), ring_->obs(ring_->slot(row + 1)), static_cast<std::uint64_t>(row)});
    ring_->advance();
  }

 private:
  void build(const EnvEntry& entry, int environments) {
    env_ = entry.make({}, environments, 1, 0, arena_);
    words_ = arena_.take<std::uint32_t>(static_cast<std::size_t>(environments + 3) / 4 * 4);
    ring_ = std::make_unique<TrajectoryRing>(
        RingShape{environments, kRows, env_->obs_size(), env_->obs_type(), env_->record_layout(), 0}, arena_);
  }

  Arena arena_;
  View<std::uint32_t> words_;  // [N], rounded up to 4
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
};

void bench_env(benchmark::State& state, const std::string& id, int environments, int threads, bool random_policy) {
  const EnvRegistry registry = builtin_environments();
  const Stream stream = Stream::cpu(threads);
  EnvRun run(registry.find(id), environments, stream);
  for (auto _ : state) run.step(stream, random_policy);
  state.SetItemsProcessed(state.iterations() * environments);
}

// Whole turns of the ring as one graph, launched again and again.
void bench_env_on_cuda(benchmark::State& state, const std::string& id, int environments, bool random_policy) {
  const EnvRegistry registry = builtin_environments();
  const Stream stream = Stream::cuda();
  EnvRun run(registry.find(id), environments, stream);
  Graph graph(stream, true);
  const auto turn = [&] {
    graph.run([&] {
      for (int t = 0; t < kRows; ++t) run.step(stream, random_policy);
    });
  };
  for (auto _ : state) {
    for (int k = 0; k < 4; ++k) turn();
    stream.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * 4 * kRows * environments);
}

void add_on_cuda(const std::string& id, int environments, bool random_policy) {
  const std::string name =
      "cuda/env/" + id + "/" + std::to_string(environments) + (random_policy ? "/random_policy" : "");
  benchmark::RegisterBenchmark(name.c_str(), bench_env_on_cuda, id, environments, random_policy)->UseRealTime();
}

void add(const std::string& id, int environments, int threads, bool random_policy) {
  std::string name = "env/" + id + "/" + std::to_string(environments);
  if (random_policy) name += "/random_policy";
  if (threads > 1) name += "/threads:" + std::to_string(threads);
  benchmark::RegisterBenchmark(name.c_str(), bench_env, id, environments, threads, random_policy)->UseRealTime();
}

}  // namespace

void register_env_benchmarks() {
  const int cores = core_count();
  const EnvRegistry registry = builtin_environments();
  for (const EnvEntry& entry : registry.entries()) {
    add(entry.spec.id, 4096, 1, false);
    add(entry.spec.id, 4096, 1, true);
  }
  for (int power = 0; power <= 18; power += 2) {
    if (power != 12) add("CartPole-v1", 1 << power, 1, false);
    if (power >= 10 && cores > 1) add("CartPole-v1", 1 << power, cores, false);
  }
  if (!cuda_unavailable_reason().empty()) return;
  for (int power = 10; power <= 22; power += 2) add_on_cuda("CartPole-v1", 1 << power, false);
  add_on_cuda("CartPole-v1", 1 << 20, true);
  for (const EnvEntry& entry : registry.entries()) {
    if (std::string_view(entry.spec.id) != "CartPole-v1") add_on_cuda(entry.spec.id, 1 << 18, false);
  }
}

}  // namespace stampede
