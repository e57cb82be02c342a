// SPDX-License-Identifier: Apache-2.0
// Training by CUDA graphs gives the bits of training without, for every algorithm, and never waits for the device.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "kernels/graph.h"
#include "tests/parity/device_array.h"
#include "tests/unit/small_run.h"

namespace stampede {
namespace {

// Iterations of every kind: before learning starts, with and without an update of the target network, with metrics and
// an evaluation between them.
StateBytes train(const AlgorithmEntry& algorithm, const Keys& keys, bool graphs) {
  const Stream stream = Stream::cuda();
  TrainingRun run = small_run(algorithm, stream, keys);
  Graph graph(stream, graphs);
  const int iterations = on_software_device() ? 13 : 30;
  for (int k = 0; k < iterations; ++k) {
    const std::int64_t waits = stream.host_waits();
    graph.run([&] { run.iterate(1); });
    EXPECT_EQ(stream.host_waits(), waits);
    if (k == 7) run.trainer().request_metrics();
    if (k == 9) {
      EXPECT_FALSE(run.trainer().take_metrics().failed);
    }
    if (k == 11) run.trainer().evaluate(5, EvaluationMode::kGreedy);
  }
  EXPECT_EQ(graph.nodes() > 0, graphs);
  EXPECT_LE(graph.instantiations(), 8);
  std::printf("%s: %d nodes, %d changed, %lld instantiations\n", std::string(algorithm.id).c_str(), graph.nodes(),
              graph.changed_nodes(), static_cast<long long>(graph.instantiations()));
  return run.state();
}

TEST(GraphParity, SameBitsWithAndWithout) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    if (!runs_on_cuda(algorithm)) continue;
    // A width that fused kernels have, with and without them.
    for (const std::string fused : {"auto", "false"}) {
      const bool narrow = fused == "false" && on_software_device();
      const Keys keys{{"hidden", narrow ? "16,16" : "64,64"}, {"fused", fused}};
      EXPECT_EQ(differing_entries(train(algorithm, keys, false), train(algorithm, keys, true)),
                std::vector<std::string>{})
          << algorithm.id << " fused=" << fused;
    }
  }
}

// Most kernels of an update get the same arguments every time, and the host leaves their nodes alone.
TEST(GraphParity, FewNodesAreChangedFromOneIterationToTheNext) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const Stream stream = Stream::cuda();
  TrainingRun run = small_run(find_algorithm("dqn"), stream, {{"fused", "false"}});
  Graph graph(stream, true);
  for (int k = 0; k < 13; ++k) graph.run([&] { run.iterate(1); });
  EXPECT_GT(graph.changed_nodes(), 0);
  EXPECT_LT(4 * graph.changed_nodes(), graph.nodes());
}

// Rollout, GAE, moments, and three launches for each of 4 x 4 minibatches.
TEST(GraphParity, AnIterationOfPpoIsFiftyOneLaunches) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const Stream stream = Stream::cuda();
  for (const AlgorithmEntry& algorithm : algorithms()) {
    if (std::string(algorithm.id) != "ppo") continue;
    TrainingRun run = small_run(algorithm, stream, {{"hidden", "64,64"}, {"epochs", "4"}, {"minibatches", "4"}});
    Graph graph(stream, true);
    for (int k = 0; k < 4; ++k) graph.run([&] { run.iterate(1); });
    EXPECT_EQ(graph.nodes(), 51);
    EXPECT_EQ(graph.instantiations(), 1);
  }
}

// Launches and cleared blocks of one environment row and one update, for td3 of the critics alone.
TEST(GraphParity, AnIterationOfSoftActorCriticIsFiftyEightLaunches) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const Stream stream = Stream::cuda();
  for (const AlgorithmEntry& algorithm : algorithms()) {
    const std::string id(algorithm.id);
    if (id != "sac" && id != "td3") continue;
    TrainingRun run = small_run(algorithm, stream, {{"hidden", "64,64"}});
    Graph graph(stream, true);
    for (int k = 0; k < 16; ++k) graph.run([&] { run.iterate(1); });
    EXPECT_EQ(graph.nodes(), id == "sac" ? 58 : 31) << id;
  }
}

}  // namespace
}  // namespace stampede
