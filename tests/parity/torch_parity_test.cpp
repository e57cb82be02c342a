// SPDX-License-Identifier: Apache-2.0
// LibTorch's networks on a GPU against CPU tiles, with and without CUDA graphs. Skipped without a GPU or without the
// library (./stampede setup torch --cuda).
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "agents/networks/mlp_network.h"
#include "kernels/error.h"
#include "kernels/graph.h"
#include "tests/unit/network_run.h"
#include "tests/unit/small_run.h"
#include "train/torch_library.h"

namespace stampede {
namespace {

// Why these tests cannot run here, or an empty string.
std::string missing() {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) return reason;
  try {
    load_torch_networks(true);
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "";
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

StateBytes train(const std::string& algorithm, bool graphs) {
  const Stream stream = Stream::cuda();
  const Keys keys{{"device", "cuda"}, {"network", "torch"}, {"hidden", "64,64"}};
  TrainingRun run = small_run(find_algorithm(algorithm), stream, keys);
  Graph graph(stream, graphs);
  for (int k = 0; k < 30; ++k) {
    const std::int64_t waits = stream.host_waits();
    graph.run([&] { run.iterate(1); });
    EXPECT_EQ(stream.host_waits(), waits);
    if (k == 11) run.trainer().evaluate(5, EvaluationMode::kGreedy);
  }
  EXPECT_EQ(graph.nodes() > 0, graphs);
  return run.state();
}

TEST(TorchParity, GraphsChangeNoBit) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  for (const char* algorithm : {"ppo", "dqn", "sac"}) {
    EXPECT_EQ(differing_entries(train(algorithm, false), train(algorithm, true)), std::vector<std::string>{})
        << algorithm;
  }
}

}  // namespace
}  // namespace stampede
