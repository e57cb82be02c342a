// SPDX-License-Identifier: Apache-2.0
// No algorithm copies anything to or from the host, or waits for its stream, within an iteration: what a CUDA graph
// could not hold, and what would leave a GPU idle.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/small_run.h"

namespace stampede {
namespace {

TEST(EveryAlgorithm, NeverWaitsWithinAnIteration) {
  for (const AlgorithmEntry& algorithm : algorithms()) {
    SCOPED_TRACE(algorithm.id);
    TrainingRun run = small_run(algorithm, Stream::cpu());
    const std::int64_t before = run.stream().host_waits();
    run.iterate(40);
    EXPECT_EQ(run.stream().host_waits(), before);
    EXPECT_GT(run.trainer().updates(), 3);
  }
}

// The host may take metrics when training has gone on: they are those of the request.
TEST(EveryAlgorithm, HandsOverTheMetricsOfTheRequest) {
  for (const AlgorithmEntry& algorithm : algorithms()) {
    if (!runs_on_cuda(algorithm)) continue;  // metrics of CPU threads are taken at once
    SCOPED_TRACE(algorithm.id);
    TrainingRun at_once = small_run(algorithm, Stream::cpu()), late = small_run(algorithm, Stream::cpu());
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

    // What came after the request is there at the next; a look at the steps in between takes nothing away.
    at_once.iterate(5);
    late.trainer().request_metrics();
    const std::int64_t steps = late.trainer().env_steps();
    const TrainerMetrics rest = late.trainer().take_metrics(), all = at_once.trainer().read_metrics();
    EXPECT_EQ(rest.env_steps, steps);
    EXPECT_EQ(rest.env_steps, all.env_steps);
    EXPECT_EQ(rest.values, all.values);
    EXPECT_EQ(rest.episodes.size(), all.episodes.size());
  }
}

}  // namespace
}  // namespace stampede
