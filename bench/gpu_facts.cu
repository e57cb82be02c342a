// SPDX-License-Identifier: Apache-2.0
// What the machine charges for launching: kernels one by one, nodes of a graph, their changes, its capture and update,
// a barrier across the grid. Reported as the time of one. Without a GPU nothing is registered.
#include <benchmark/benchmark.h>

#include "bench/benchmarks.h"
#include "kernels/buffer.h"
#include "kernels/graph.h"
#include "kernels/launch.h"
#ifdef __CUDACC__
#include <cooperative_groups.h>
#endif

namespace stampede {
namespace {

constexpr int kKernels = 1000;

struct AddOneOp {
  float* value;
  HD void operator()(int) const { *value += 1.0f; }
};

void enqueue_kernels(const Stream& stream, float* value) {
  for (int k = 0; k < kKernels; ++k) for_each_index(stream, 1, AddOneOp{value});
}

void bench_launches(benchmark::State& state) {
  const Stream stream = Stream::cuda();
  const Buffer<float> value(stream.device(), 1);
  for (auto _ : state) {
    enqueue_kernels(stream, value.data());
    stream.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * kKernels);
}

class Recording final : public WorkRecorder {
 public:
  void interrupt() override {}
};

WorkList record_kernels(const Stream& stream, GraphCalls& calls, float* value) {
  Recording recording;
  calls.begin_recording(recording);
  enqueue_kernels(stream, value);
  calls.end_recording();
  return recording.work();
}

// change = true: every node gets parameters before each launch, the most that training does for its own kernels.
void bench_graph(benchmark::State& state, bool change) {
  const Stream stream = Stream::cuda();
  const Buffer<float> value(stream.device(), 1);
  const auto calls = cuda_graph_calls(stream);
  const WorkList work = record_kernels(stream, *calls, value.data());
  calls->build(0, work);
  for (auto _ : state) {
    for (std::size_t i = 0; change && i < work.size(); ++i) calls->change(0, i, work);
    calls->launch(0);
    stream.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * kKernels);
}

// As training does where a library takes part: captured and updated for every launch.
void bench_captured_graph(benchmark::State& state) {
  const Stream stream = Stream::cuda();
  const Buffer<float> value(stream.device(), 1);
  const auto calls = cuda_graph_calls(stream);
  const auto capture = [&] {
    calls->begin_capture();
    enqueue_kernels(stream, value.data());
    calls->end_capture();
  };
  capture();
  calls->instantiate(0);
  for (auto _ : state) {
    capture();
    if (!calls->update(0)) state.SkipWithError("the same graph could not be updated");
    calls->launch(0);
    stream.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * kKernels);
}

// What the host alone spends on a node: recorded, or captured.
void bench_recording(benchmark::State& state) {
  const Stream stream = Stream::cuda();
  const Buffer<float> value(stream.device(), 1);
  const auto calls = cuda_graph_calls(stream);
  for (auto _ : state) benchmark::DoNotOptimize(record_kernels(stream, *calls, value.data()).size());
  state.SetItemsProcessed(state.iterations() * kKernels);
}

void bench_capture(benchmark::State& state) {
  const Stream stream = Stream::cuda();
  const Buffer<float> value(stream.device(), 1);
  const auto calls = cuda_graph_calls(stream);
  for (auto _ : state) {
    calls->begin_capture();
    enqueue_kernels(stream, value.data());
    calls->end_capture();
  }
  state.SetItemsProcessed(state.iterations() * kKernels);
}

#ifdef __CUDACC__
__global__ void barrier_kernel(int barriers) {
  const cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  for (int k = 0; k < barriers; ++k) grid.sync();
}
#endif

void bench_barriers(benchmark::State& state) {
#ifdef __CUDACC__
  const Stream stream = Stream::cuda();
  int processors = 0, barriers = kKernels;
  CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, stream.device().index));
  void* arguments[] = {&barriers};
  for (auto _ : state) {
    CUDA_CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(barrier_kernel), static_cast<unsigned>(processors),
                                           256, arguments, 0, static_cast<cudaStream_t>(stream.handle())));
    stream.synchronize();
  }
#endif
  state.SetItemsProcessed(state.iterations() * kKernels);
}

}  // namespace

void register_gpu_facts() {
  if (!cuda_unavailable_reason().empty()) return;
  benchmark::RegisterBenchmark("cuda/facts/launch", bench_launches)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/graph_node", bench_graph, false)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/graph_node/changed", bench_graph, true)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/graph_node/captured_anew", bench_captured_graph)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/record", bench_recording)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/capture", bench_capture)->UseRealTime();
  benchmark::RegisterBenchmark("cuda/facts/grid_barrier", bench_barriers)->UseRealTime();
}

}  // namespace stampede
