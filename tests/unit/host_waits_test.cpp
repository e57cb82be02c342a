// SPDX-License-Identifier: Apache-2.0
// No algorithm copies anything to or from the host, or waits for its stream, within an iteration: what a CUDA graph
// could not hold, and what would leave a GPU idle.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/unit/training_run.h"

namespace stampede {
namespace {

// An algorithm as its presets make it, kept small.
TrainingRun small_run(const AlgorithmEntry& algorithm) {
  Keys keys{{"num_envs", "3"}, {"total_steps", "100000"}, {"schedule_steps", "1000"}};
  const std::vector<ConfigKey> known = algorithm.keys();
  for (const auto& [name, text] : {std::pair{"learning_starts", "30"},
                                   {"batch_size", "31"},
                                   {"hidden", "16,16"},
                                   {"buffer_size", "300"},
                                   {"target_interval", "3"},
                                   {"workers", "1"},
                                   {"rollout_steps", "5"},
                                   {"minibatches", "1"},
                                   {"critic_minibatches", "1"}}) {
    const auto declared = [&](const ConfigKey& key) { return key.name == name; };
    if (std::any_of(known.begin(), known.end(), declared)) keys.emplace_back(name, text);
  }
  const bool tabular = algorithm.program == "tabular";
  return TrainingRun(std::string(algorithm.id),
                     tabular                      ? "FrozenLake-v1"
                     : algorithm.discrete_actions ? "CartPole-v1"
                                                  : "Pendulum-v1",
                     keys, Stream::cpu(), Presets::kApply);
}

class EveryAlgorithm : public testing::TestWithParam<AlgorithmEntry> {};

TEST_P(EveryAlgorithm, NeverWaitsWithinAnIteration) {
  TrainingRun run = small_run(GetParam());
  const std::int64_t before = run.stream().host_waits();
  run.iterate(40);
  EXPECT_EQ(run.stream().host_waits(), before);
  EXPECT_GT(run.trainer().updates(), 3);
}

// The host may take metrics when training has gone on: they are those of the request.
TEST_P(EveryAlgorithm, HandsOverTheMetricsOfTheRequest) {
  if (GetParam().program == "async_q" || GetParam().program == "a3c") {
    GTEST_SKIP() << "workers are CPU threads: their metrics are taken at once";
  }
  TrainingRun at_once = small_run(GetParam()), late = small_run(GetParam());
  at_once.iterate(20);
  const TrainerMetrics expected = at_once.trainer().read_metrics();
  late.iterate(20);
  const std::int64_t before = late.stream().host_waits();
  late.trainer().request_metrics();
  EXPECT_EQ(late.stream().host_waits(), before);
  late.iterate(5);
  const TrainerMetrics metrics = late.trainer().take_metrics();
  EXPECT_GT(late.stream().host_waits(), before);
  EXPECT_EQ(metrics.values, expected.values);
  EXPECT_EQ(metrics.rows, expected.rows);
  EXPECT_EQ(metrics.env_steps, expected.env_steps);
  EXPECT_EQ(metrics.finished_episodes, expected.finished_episodes);
  EXPECT_EQ(metrics.episodes.size(), expected.episodes.size());

  // What came after the request is there at the next.
  at_once.iterate(5);
  EXPECT_EQ(late.trainer().read_metrics().env_steps, at_once.trainer().read_metrics().env_steps);
}

std::string test_name(const testing::TestParamInfo<AlgorithmEntry>& info) { return std::string(info.param.id); }

INSTANTIATE_TEST_SUITE_P(Host, EveryAlgorithm, testing::ValuesIn(algorithms().begin(), algorithms().end()), test_name);

}  // namespace
}  // namespace stampede
