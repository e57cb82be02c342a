// SPDX-License-Identifier: Apache-2.0
// Forward and backward pass of wide networks on a GPU: block tiles of our own beside cuBLASLt, in fp32 and TF32.
// Without a GPU nothing is registered.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>

#include "agents/networks/mlp_network.h"
#include "bench/benchmarks.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr int kInputs = 17, kOutputs = 6;

enum class Products { kNative, kCublas, kCublasTf32 };

// A network of two hidden layers with one batch on the device.
class CudaMlp {
 public:
  CudaMlp(int width, int rows, std::shared_ptr<const CublasProducts> products)
      : network_(spec_of(width), std::move(products)),
        rows_(rows),
        parameters_(take(network_.spec().parameter_count())),
        gradients_(take(network_.spec().parameter_count())),
        prepared_(take(network_.prepared_size())),
        workspace_(take(network_.workspace_size(rows, true))),
        inputs_(take(floats(network_.spec().input_stride()))),
        outputs_(take(floats(network_.spec().output_stride()))) {
    std::vector<float> host(network_.spec().parameter_count());
    network_.spec().initialize(1, host.data());
    copy_to_device(stream_, parameters_.data(), host.data(), host.size() * sizeof(float));
    host.assign(floats(network_.spec().input_stride()), 0.0f);
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<float>(i % 7) - 3.0f;
    copy_to_device(stream_, inputs_.data(), host.data(), host.size() * sizeof(float));
  }

  const Stream& stream() const { return stream_; }

  void train() {
    const NetworkInput input{inputs_.data(), nullptr};
    network_.prepare_backward(stream_, parameters_.data(), prepared_.data());
    network_.forward(stream_, parameters_.data(), input, rows_, true, workspace_.data(), outputs_.data());
    network_.backward(stream_, parameters_.data(), prepared_.data(), input, rows_, outputs_.data(), workspace_.data(),
                      gradients_.data(), nullptr);
  }

 private:
  static NetworkSpec spec_of(int width) {
    return {kInputs, false, {{"q", {width, width}, Activation::kRelu, {{"value", kOutputs, 1.0f}}}}};
  }
  Buffer<float> take(std::size_t count) const { return {stream_.device(), count}; }
  std::size_t floats(int stride) const { return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(stride); }

  Stream stream_ = Stream::cuda();
  MlpNetwork network_;
  int rows_;
  Buffer<float> parameters_, gradients_, prepared_, workspace_, inputs_, outputs_;
};

std::shared_ptr<const CublasProducts> products_of(Products kind) {
  if (kind == Products::kNative) return nullptr;
  return std::make_shared<CublasProducts>(load_cublas_lt(), Device{DeviceKind::kCuda}, kind == Products::kCublasTf32);
}

void bench_train(benchmark::State& state, int width, int rows, Products kind) {
  constexpr int kPasses = 20;  // between two waits for the device
  try {
    CudaMlp mlp(width, rows, products_of(kind));
    mlp.train();
    mlp.stream().synchronize();
    for (auto _ : state) {
      for (int k = 0; k < kPasses; ++k) mlp.train();
      mlp.stream().synchronize();
    }
  } catch (const RuntimeError& error) {
    return state.SkipWithError(error.what());
  }
  const double done = static_cast<double>(state.iterations()) * kPasses * rows;
  const double weights = static_cast<double>(width) * (kInputs + width + kOutputs);
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  // Three products of two operations per weight and row, but for the first layer's inputs, which need no gradient.
  state.counters["TFLOPS"] = benchmark::Counter(
      done * (6.0 * weights - 2.0 * kInputs * static_cast<double>(width)) * 1e-12, benchmark::Counter::kIsRate);
}

}  // namespace

void register_cuda_mlp_benchmarks() {
  if (!cuda_unavailable_reason().empty()) return;
  const std::pair<const char*, Products> kinds[] = {
      {"native", Products::kNative}, {"cublas", Products::kCublas}, {"cublas_tf32", Products::kCublasTf32}};
  for (const int width : {256, 512}) {
    for (const int rows : {256, 4096, 32768}) {
      for (const auto& [label, kind] : kinds) {
        const std::string size = std::to_string(width);
        const std::string name = "cuda/mlp/train/" + size + "x" + size + "/" + std::to_string(rows) + "/" + label;
        benchmark::RegisterBenchmark(name.c_str(), bench_train, width, rows, kind)->UseRealTime();
      }
    }
  }
}

}  // namespace stampede
