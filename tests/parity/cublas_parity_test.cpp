// SPDX-License-Identifier: Apache-2.0
// Wide networks by cuBLASLt on a GPU against CPU tiles: the same values but for rounding, the same bits every time and
// within a CUDA graph. Skipped without a GPU or without the library.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "agents/networks/mlp_network.h"
#include "kernels/cublas_products.h"
#include "tests/parity/cuda_library.h"
#include "tests/unit/network_run.h"

namespace stampede {
namespace {

std::string missing() { return missing_on_cuda(load_cublas_lt); }

NetworkSpec spec_of(Activation activation, std::vector<int> hidden) {
  return {17, false, {{"q", hidden, activation, {{"value", 6, 1.0f}}}, {"v", {256}, activation, {{"v", 1, 1.0f}}}}};
}

TEST(CublasParity, WideNetworks) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const Stream cuda = Stream::cuda();
  for (const bool tf32 : {false, true}) {
    const auto products = std::make_shared<CublasProducts>(load_cublas_lt(), cuda.device(), tf32);
    for (const Activation activation : {Activation::kRelu, Activation::kTanh, Activation::kLinear}) {
      for (const auto& hidden : {std::vector<int>{129, 200}, std::vector<int>{512, 512}}) {
        const MlpNetwork native(spec_of(activation, hidden)), wide(spec_of(activation, hidden), products);
        for (const int rows : {1, 31, 33, 257, 4096}) {
          const NetworkRun here(Stream::cpu(), native, rows), there(cuda, wide, rows);
          const double apart = mean_difference(there, here);
          const double corners = activation == Activation::kRelu ? 100.0 : 1.0;
          EXPECT_LT(apart, tf32 ? 1e-2 * std::min(corners, 10.0) : 1e-4 * corners)
              << hidden[0] << ", " << rows << " rows";
          EXPECT_EQ(there, NetworkRun(cuda, wide, rows)) << "other bits, " << hidden[0] << ", " << rows << " rows";
          std::printf("%d-%d, activation %d, %d rows%s: %.1e from the CPU\n", hidden[0], hidden[1],
                      static_cast<int>(activation), rows, tf32 ? ", TF32" : "", apart);
        }
      }
    }
  }
}

Keys keys_of(const char* gemm, const char* hidden) {
  return {{"device", "cuda"}, {"gemm", gemm}, {"hidden", hidden}, {"activation", "relu"}, {"fused", "false"}};
}

TEST(CublasParity, GraphsChangeNoBit) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  expect_graphs_change_no_bit(keys_of("cublas", "256,256"));
}

TEST(CublasParity, AutoMeansWideNetworks) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const auto same = [](const char* gemm, const char* other, const char* hidden) {
    return differing_entries(train_on_cuda("ppo", keys_of(gemm, hidden), false),
                             train_on_cuda("ppo", keys_of(other, hidden), false))
        .empty();
  };
  EXPECT_TRUE(same("auto", "cublas", "256,256"));
  EXPECT_FALSE(same("auto", "native", "256,256"));
  EXPECT_TRUE(same("auto", "native", "128,128"));
}

}  // namespace
}  // namespace stampede
