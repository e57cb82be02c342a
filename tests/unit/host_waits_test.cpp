// SPDX-License-Identifier: Apache-2.0
// No algorithm copies anything to or from the host, or waits for its stream, within an iteration: what a CUDA graph
// could not hold, and what would leave a GPU idle.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/small_run.h"

namespace stampede {
namespace {

class EveryAlgorithm : public testing::TestWithParam<AlgorithmEntry> {};

TEST_P(EveryAlgorithm, NeverWaitsWithinAnIteration) {
  TrainingRun run = small_run(GetParam(), Stream::cpu());
  const std::int64_t before = run.stream().host_waits();
  run.iterate(40);
  EXPECT_EQ(run.stream().host_waits(), before);
  EXPECT_GT(run.trainer().updates(), 3);
}

// The host may take metrics when training has gone on: they are those of the request.
TEST_P(EveryAlgorithm, HandsOverTheMetricsOfTheRequest) {
  if (!runs_on_cuda(GetParam())) GTEST_SKIP() << "workers are CPU threads: their metrics are taken at once";
  TrainingRun at_once = small_run(GetParam(), Stream::cpu()), late = small_run(GetParam(), Stream::cpu());
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
