// SPDX-License-Identifier: Apache-2.0
// LibTorch's networks on a GPU against CPU tiles, with and without CUDA graphs. Skipped without a GPU or without the
// library (./stampede setup torch --cuda).
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "agents/networks/mlp_network.h"
#include "tests/parity/cuda_library.h"
#include "tests/unit/network_run.h"
#include "train/torch_library.h"

namespace stampede {
namespace {

std::string missing() {
  return missing_on_cuda([] { load_torch_networks(true); });
}

TEST(TorchParity, NetworksOnBothDevices) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const Stream cuda = Stream::cuda();
  for (const bool one_hot : {false, true}) {
    for (const Activation activation : {Activation::kTanh, Activation::kRelu}) {
      const NetworkSpec spec(17, one_hot,
                             {{"q", {65, 256}, activation, {{"value", 6, 1.0f}, {"more", 3, 1.0f}}, true},
                              {"v", {33}, activation, {{"v", 1, 1.0f}}}});
      const MlpNetwork native(spec);
      const auto torch = load_torch_networks(true)(spec);
      for (const int rows : {1, 31, 257, 4096}) {
        const double apart = mean_difference(NetworkRun(cuda, *torch, rows), NetworkRun(Stream::cpu(), native, rows));
        EXPECT_LT(apart, activation == Activation::kRelu ? 1e-2 : 1e-4) << rows << " rows";
        std::printf("%s, %d rows: %.1e from the CPU\n", one_hot ? "classes" : "features", rows, apart);
      }
    }
  }
}

TEST(TorchParity, GraphsChangeNoBit) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  expect_graphs_change_no_bit({{"device", "cuda"}, {"network", "torch"}, {"hidden", "64,64"}});
}

}  // namespace
}  // namespace stampede
