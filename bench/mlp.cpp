// SPDX-License-Identifier: Apache-2.0
// The native multi-layer perceptron on one core: latency and throughput of forward passes and of whole updates.
#include <benchmark/benchmark.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "bench/benchmarks.h"
#include "kernels/buffer.h"
#include "kernels/optimizer.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

constexpr int kInputs = 4, kOutputs = 2;

NetworkSpec mlp_spec(int width) {
  return {kInputs, false, {{"q", {width, width}, Activation::kTanh, {{"value", kOutputs, 1.0f}}}}};
}

double forward_flops(int width) {
  return 2.0 * (static_cast<double>(kInputs) * width + static_cast<double>(width) * width +
                static_cast<double>(width) * kOutputs);
}

void report(benchmark::State& state, int rows, double flops_per_row) {
  const double done = static_cast<double>(state.iterations()) * rows;
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["GFLOPS"] = benchmark::Counter(done * flops_per_row * 1e-9, benchmark::Counter::kIsRate);
}

// A network with its parameters, gradients and one batch; no environment and no loss around it.
class MlpBench {
 public:
  MlpBench(int width, int rows)
      : stream_(Stream::cpu(1)),
        network_(mlp_spec(width)),
        rows_(rows),
        tile_(std::min(rows, network_.preferred_rows(stream_))),
        groups_(std::min(16, (rows + 31) / 32)),
        count_(network_.spec().parameter_count()),
        parameters_(take(count_)),
        target_(take(count_)),
        first_(take(count_)),
        second_(take(count_)),
        gradients_(take(count_ * static_cast<std::size_t>(groups_))),
        scratch_(take(optimizer_scratch_size(count_))),
        prepared_(take(network_.prepared_size())),
        workspace_(take(network_.workspace_size(tile_, true))),
        inputs_(take(row_floats(network_.spec().input_stride()))),
        outputs_(take(row_floats(network_.spec().output_stride()))),
        d_outputs_(take(row_floats(network_.spec().output_stride()))) {
    network_.spec().initialize(1, parameters_.data());
    fill(inputs_, network_.spec().input_stride(), kInputs, 1.0f);
    fill(d_outputs_, network_.spec().output_stride(), kOutputs, 0.01f);
  }

  void forward(const float* parameters) {
    for (int row = 0; row < rows_; row += tile_) {
      network_.forward(stream_, parameters, input(row), std::min(tile_, rows_ - row), false, workspace_.data(),
                       output(outputs_, row));
    }
    benchmark::DoNotOptimize(outputs_.data());
    benchmark::ClobberMemory();
  }
  void forward() { forward(parameters_.data()); }
  void forward_target() { forward(target_.data()); }

  // The caller's side of a gradient: contiguous groups of rows, each with its own block.
  void train() {
    fill_zero(stream_, gradients_.data(), gradients_.size() * sizeof(float));
    network_.prepare_backward(stream_, parameters_.data(), prepared_.data());
    for (int group = 0; group < groups_; ++group) {
      const int end = rows_ * (group + 1) / groups_;
      float* gradients = gradients_.data() + count_ * static_cast<std::size_t>(group);
      for (int row = rows_ * group / groups_; row < end; row += tile_) {
        train_tile(row, std::min(tile_, end - row), gradients);
      }
    }
    const OptimizerBlocks blocks{parameters_.data(), gradients_.data(), first_.data(),
                                 second_.data(),     scratch_.data(),   count_};
    optimizer_step(stream_, {}, blocks, groups_, 1e-6f, 1.0f / static_cast<float>(rows_), &learner_);
  }

 private:
  static Buffer<float> take(std::size_t count) { return {Device{}, count}; }
  std::size_t row_floats(int stride) const {
    return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(stride);
  }

  static void fill(Buffer<float>& rows, int stride, int columns, float scale) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const RandomKey key{7, i, Purpose::kPermutation};
      const bool inside = static_cast<int>(i % static_cast<std::size_t>(stride)) < columns;
      rows.data()[i] = inside ? scale * (2.0f * uniform_float(key.lane_word(0)) - 1.0f) : 0.0f;
    }
  }

  NetworkInput input(int row) const {
    return {inputs_.data() + static_cast<std::ptrdiff_t>(row) * network_.spec().input_stride(), nullptr};
  }
  float* output(const Buffer<float>& rows, int row) const {
    return rows.data() + static_cast<std::ptrdiff_t>(row) * network_.spec().output_stride();
  }

  void train_tile(int row, int rows, float* gradients) {
    network_.forward(stream_, parameters_.data(), input(row), rows, true, workspace_.data(), output(outputs_, row));
    network_.backward(stream_, parameters_.data(), prepared_.data(), input(row), rows, output(d_outputs_, row),
                      workspace_.data(), gradients, nullptr);
  }

  Stream stream_;
  MlpNetwork network_;
  int rows_, tile_, groups_;
  std::size_t count_;
  Buffer<float> parameters_, target_, first_, second_;  // [count]
  Buffer<float> gradients_;                             // [groups, count]
  Buffer<float> scratch_, prepared_, workspace_;
  Buffer<float> inputs_;               // [rows, input_stride]
  Buffer<float> outputs_, d_outputs_;  // [rows, output_stride]
  LearnerState learner_;
};

void bench_forward(benchmark::State& state, int width, int rows) {
  MlpBench bench(width, rows);
  for (auto _ : state) bench.forward();
  report(state, rows, forward_flops(width));
}

void bench_train(benchmark::State& state, int width, int rows) {
  MlpBench bench(width, rows);
  for (auto _ : state) bench.train();
  report(state, rows, 3.0 * forward_flops(width));
}

// What one DQN update asks of the network: the target's values and a training step.
void bench_update(benchmark::State& state, int width, int rows) {
  MlpBench bench(width, rows);
  for (auto _ : state) {
    bench.forward_target();
    bench.train();
  }
  report(state, rows, 4.0 * forward_flops(width));
}

using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
enum CblasOrder { kRowMajor = 101 };
enum CblasTranspose { kPlain = 111, kTransposed = 112 };

// The products of one training step (no bias, activation or optimiser) through OpenBLAS, where the machine has it.
void bench_openblas(benchmark::State& state, int width, int rows) {
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return state.SkipWithError("libopenblas.so.0 is not installed");
  const auto sgemm = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  const auto core = reinterpret_cast<char* (*)()>(dlsym(library, "openblas_get_corename"));
  if (sgemm == nullptr || set_threads == nullptr || core == nullptr) {
    return state.SkipWithError("libopenblas.so.0 lacks a function this benchmark calls");
  }
  set_threads(1);
  state.SetLabel(std::string("kernels for ") + core());  // OPENBLAS_CORETYPE=SkylakeX asks for its AVX-512 ones
  const auto product = [&](int transpose_a, int transpose_b, int m, int n, int k, const float* a, const float* b,
                           float* c) {
    sgemm(kRowMajor, transpose_a, transpose_b, m, n, k, 1.0f, a, transpose_a == kPlain ? k : m, b,
          transpose_b == kPlain ? n : k, 0.0f, c, n);
  };
  const int sizes[] = {kInputs, width, width, kOutputs};
  std::vector<std::vector<float>> x, dy, w, dw;
  for (int l = 0; l < 4; ++l) {
    x.emplace_back(static_cast<std::size_t>(rows * sizes[l]), 0.5f);
    dy.emplace_back(static_cast<std::size_t>(rows * sizes[l]), 0.5f);
    if (l < 3) w.emplace_back(static_cast<std::size_t>(sizes[l] * sizes[l + 1]), 0.01f);
  }
  dw = w;
  for (auto _ : state) {
    for (std::size_t l = 0; l < 3; ++l) {
      product(kPlain, kPlain, rows, sizes[l + 1], sizes[l], x[l].data(), w[l].data(), x[l + 1].data());
    }
    for (std::size_t l = 3; l-- > 0;) {
      product(kTransposed, kPlain, sizes[l], sizes[l + 1], rows, x[l].data(), dy[l + 1].data(), dw[l].data());
      if (l == 0) break;
      product(kPlain, kTransposed, rows, sizes[l], sizes[l + 1], dy[l + 1].data(), w[l].data(), dy[l].data());
    }
    benchmark::ClobberMemory();
  }
  report(state, rows, 3.0 * forward_flops(width));
}

void add(const std::string& kind, int width, int rows, void (*run)(benchmark::State&, int, int)) {
  const std::string size = std::to_string(width);
  const std::string name = "mlp/" + kind + "/" + size + "x" + size + "/" + std::to_string(rows);
  benchmark::RegisterBenchmark(name.c_str(), run, width, rows);
}

}  // namespace

void register_mlp_benchmarks() {
  for (const int rows : {1, 16, 4096}) add("forward", 64, rows, bench_forward);
  for (const int rows : {64, 4096}) {
    add("train", 64, rows, bench_train);
    add("train", 256, rows, bench_train);
    add("openblas", 256, rows, bench_openblas);
    add("update", 64, rows, bench_update);
  }
}

}  // namespace stampede
