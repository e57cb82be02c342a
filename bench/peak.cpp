// SPDX-License-Identifier: Apache-2.0
// How many floating-point operations the processor does when nothing else holds it up: chains of fused
// multiply-additions that stay in registers. What the rates of networks are a fraction of.
#include <benchmark/benchmark.h>

#include <thread>

#include "bench/benchmarks.h"

namespace stampede {
namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

// More than the latency (4 clocks) times the units (2), and no more than there are registers.
constexpr int kChains = 12;

// This file is compiled with contraction, so that a product and a sum are one instruction.
void multiply_add(benchmark::State& state) {
  constexpr int kSteps = 1024;
  Lanes chains[kChains];
  for (int c = 0; c < kChains; ++c) chains[c] = Lanes{} + 0.001f * static_cast<float>(c);
  Lanes factor = Lanes{} + 0.999f, term = Lanes{} + 0.5f;
  benchmark::DoNotOptimize(factor);
  benchmark::DoNotOptimize(term);
  for (auto _ : state) {
    for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
      for (int c = 0; c < kChains; ++c) chains[c] = chains[c] * factor + term;
    }
    for (Lanes& chain : chains) benchmark::DoNotOptimize(chain);
  }
  const double operations = 2.0 * kLanes * kChains * kSteps * static_cast<double>(state.iterations());
  state.counters["GFLOPS"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsRate);
  state.SetItemsProcessed(state.iterations() * kLanes * kChains * kSteps);
}

}  // namespace

void register_peak_benchmarks() {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  auto* const benchmark = benchmark::RegisterBenchmark("cpu/fma", multiply_add)->UseRealTime()->Threads(1);
  if (cores > 1) benchmark->Threads(cores);
}

}  // namespace stampede
