// SPDX-License-Identifier: Apache-2.0
// Sampling a full replay memory of 2^20 CartPole transitions on one core or on a GPU, with the gather of both
// observations.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>

#include "agents/input_stage.h"
#include "bench/benchmarks.h"
#include "kernels/graph.h"
#include "replay/prioritized_sampler.h"
#include "replay/transitions.h"
#include "sim/registry.h"

namespace stampede {
namespace {

// Rows that a learner takes at a time; a GPU takes the batch.
constexpr int kTile = 256;
constexpr int kEnvironments = 16, kRows = (1 << 20) / kEnvironments;

class ReplayRun {
 public:
  ReplayRun(int batch, bool prioritized, const Stream& stream)
      : batch_(batch),
        tile_(stream.is_cuda() ? batch : kTile),
        stream_(stream),
        spec_(4, false, {{"q", {64}, Activation::kRelu, {{"q", 2, 1.0f}}}}, {}),
        arena_(stream.device()) {
    build();
    arena_.allocate("benchmark");
    build();
    fill(prioritized);
  }

  void uniform(std::uint64_t update) {
    const UniformSampler sampler{ring_->view(), sample_window(*ring_), key(update), 1};
    for (int tile = 0; tile < batch_; tile += tile_) {
      const int rows = std::min(tile_, batch_ - tile);
      sample_transitions(stream_, sampler, 0.99f, tile, rows, transitions_.from(tile));
      gather(tile, rows);
    }
  }

  // The errors come from the rewards' neighbours in memory: any numbers do, as long as they differ.
  void prioritized(std::uint64_t update) {
    sampler_->sample(stream_, key(update), 0.4f, batch_, transitions_.indices, weights_.data);
    for (int tile = 0; tile < batch_; tile += tile_) {
      const int rows = std::min(tile_, batch_ - tile);
      fold_transitions(stream_, ring_->view(), 1, 0.99f, rows, transitions_.from(tile));
      gather(tile, rows);
    }
    sampler_->update(stream_, transitions_.indices, observations_.features, batch_);
  }

 private:
  void build() {
    const EnvRegistry registry = builtin_environments();
    env_ = registry.find("CartPole-v1").make({}, kEnvironments, 1, 0, arena_);
    const RingShape shape{kEnvironments, kRows, env_->obs_size(), env_->obs_type(), env_->record_layout(), 0};
    ring_ = std::make_unique<TrajectoryRing>(shape, arena_);
    sampler_ = std::make_unique<PrioritizedSampler>(PriorityConfig{}, shape, 1, batch_, arena_);
    identity_ = std::make_unique<ObservationNormalizer>(false, shape, arena_);
    transitions_ = Transitions::take(batch_, arena_);
    weights_ = arena_.take<float>(static_cast<std::size_t>(batch_));
    observations_ = InputRows::take(spec_, batch_, arena_);
    next_observations_ = InputRows::take(spec_, batch_, arena_);
  }

  // Random actions, always the first one on CUDA; then every row gets a priority of its own.
  void fill(bool prioritized) {
    env_->reset(stream_, ring_->obs(0));
    for (int row = 0; row < kRows + 100; ++row) {
      const int slot = ring_->slot(row);
      for (int i = 0; i < kEnvironments && !stream_.is_cuda(); ++i) {
        const std::size_t word = static_cast<std::size_t>(i * ring_->shape().record.words);
        ring_->records(slot)[word] = key(static_cast<std::uint64_t>(row)).lane_word(static_cast<std::uint32_t>(i)) & 1;
      }
      env_->step(stream_, 0, kEnvironments,
                 {ring_->records(slot), ring_->obs(ring_->slot(row + 1)), static_cast<std::uint64_t>(row)});
      ring_->advance();
    }
    if (!prioritized) return;
    sampler_->initialize(stream_);
    sampler_->advance(stream_, *ring_);
    for (int update = 0; update < 4 * kRows * kEnvironments / batch_; ++update) {
      this->prioritized(static_cast<std::uint64_t>(update));
    }
  }

  void gather(int tile, int rows) {
    const Transitions transitions = transitions_.from(tile);
    const std::ptrdiff_t first = std::ptrdiff_t{tile} * spec_.input_stride();
    gather_inputs(stream_, spec_, *identity_, ring_->view(), transitions.indices, rows,
                  {observations_.features + first, nullptr});
    gather_inputs(stream_, spec_, *identity_, ring_->view(), transitions.next_indices, rows,
                  {next_observations_.features + first, nullptr});
  }

  static RandomKey key(std::uint64_t row) { return {1, row, Purpose::kReplaySample}; }

  int batch_, tile_;
  Stream stream_;
  NetworkSpec spec_;
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<PrioritizedSampler> sampler_;
  std::unique_ptr<ObservationNormalizer> identity_;
  Transitions transitions_;
  View<float> weights_;  // [batch]
  InputRows observations_, next_observations_;
};

void bench_uniform(benchmark::State& state, int batch) {
  ReplayRun run(batch, false, Stream::cpu());
  std::uint64_t update = 0;
  for (auto _ : state) run.uniform(update++);
  state.SetItemsProcessed(state.iterations() * batch);
}

void bench_prioritized(benchmark::State& state, int batch) {
  ReplayRun run(batch, true, Stream::cpu());
  std::uint64_t update = 1'000'000;
  for (auto _ : state) run.prioritized(update++);
  state.SetItemsProcessed(state.iterations() * batch);
}

// Sixteen batches between two waits, each a graph.
void bench_replay_on_cuda(benchmark::State& state, int batch, bool prioritized) {
  const Stream stream = Stream::cuda();
  ReplayRun run(batch, prioritized, stream);
  Graph graph(stream, true);
  std::uint64_t update = 1'000'000;
  for (auto _ : state) {
    for (int k = 0; k < 16; ++k) {
      graph.run([&] { prioritized ? run.prioritized(update++) : run.uniform(update++); });
    }
    stream.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * 16 * batch);
  state.counters["graph_nodes"] = graph.nodes();
}

}  // namespace

void register_replay_benchmarks() {
  for (const int batch : {256, 4096}) {
    const std::string size = std::to_string(batch);
    benchmark::RegisterBenchmark(("replay/uniform/" + size).c_str(), bench_uniform, batch);
    benchmark::RegisterBenchmark(("replay/per/" + size).c_str(), bench_prioritized, batch);
    if (!cuda_unavailable_reason().empty()) continue;
    benchmark::RegisterBenchmark(("cuda/replay/uniform/" + size).c_str(), bench_replay_on_cuda, batch, false)
        ->UseRealTime();
    benchmark::RegisterBenchmark(("cuda/replay/per/" + size).c_str(), bench_replay_on_cuda, batch, true)->UseRealTime();
  }
}

}  // namespace stampede
