// SPDX-License-Identifier: Apache-2.0
// What holds for every id of the table of algorithms, with the options that its preset sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/small_run.h"
#include "tests/unit/temporary_folder.h"
#include "train/checkpoint.h"

namespace stampede {
namespace {

TEST(EveryAlgorithm, GoesOnBitForBitFromACheckpoint) {
  const TemporaryFolder folder;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    SCOPED_TRACE(algorithm.id);
    TrainingRun straight = small_run(algorithm, Stream::cpu()), resumed = small_run(algorithm, Stream::cpu());
    straight.iterate(20);
    save_checkpoint(folder / "checkpoint", straight.trainer(), straight.stream(),
                    {std::string(algorithm.id), "", straight.config().to_toml(), true});
    load_checkpoint(folder / "checkpoint", resumed.trainer(), resumed.stream());
    const std::int64_t updates = straight.trainer().updates();
    for (TrainingRun* run : {&straight, &resumed}) run->iterate(20);
    EXPECT_EQ(differing_entries(resumed.state(), straight.state()), std::vector<std::string>{});
    EXPECT_GT(straight.trainer().updates(), updates);
  }
}

TEST(EveryAlgorithm, HasTheSameBitsOnAnyNumberOfThreads) {
  const Keys wide{{"num_envs", "70"}, {"batch_size", "257"}, {"buffer_size", "7000"}, {"learning_starts", "5"}};
  for (const AlgorithmEntry& algorithm : algorithms()) {
    SCOPED_TRACE(algorithm.id);
    TrainingRun one = small_run(algorithm, Stream::cpu(1), wide), three = small_run(algorithm, Stream::cpu(3), wide);
    for (TrainingRun* run : {&one, &three}) run->iterate(12);
    EXPECT_EQ(differing_entries(one.state(), three.state()), std::vector<std::string>{});
    EXPECT_GT(one.trainer().updates(), 0);
  }
}

// What tells that a policy collapses is there whatever the method, and says something after a large step.
TEST(EveryAlgorithm, OfPolicyGradientsReportsTheSignsOfCollapse) {
  const std::vector<std::string> ids{"reinforce", "actor_critic", "a2c", "a3c", "soft_pg", "ppo", "ppo_kl", "trpo"};
  const Keys large_steps{{"num_envs", "32"}, {"rollout_steps", "64"}, {"learning_rate", "0.1"},
                         {"max_kl", "0.5"},  {"clip", "0.05"},        {"schedule_steps", "0"}};
  std::size_t seen = 0;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    if (std::find(ids.begin(), ids.end(), algorithm.id) == ids.end()) continue;
    SCOPED_TRACE(algorithm.id);
    ++seen;
    TrainingRun run = small_run(algorithm, Stream::cpu(), large_steps);
    run.iterate(1);
    std::map<std::string, double> values;
    for (const auto& [name, value] : run.trainer().read_metrics().values) values[name] = value;
    const bool trpo = algorithm.id == "trpo", several_passes = trpo || algorithm.program == "ppo";
    for (const std::string& name :
         {std::string("losses/entropy"), std::string("losses/gradient_norm_actor"),
          std::string("losses/gradient_norm_critic"), std::string(trpo ? "losses/kl" : "losses/policy_kl"),
          std::string(several_passes ? "losses/clipfrac" : "losses/policy_clipfrac")}) {
      ASSERT_TRUE(values.contains(name)) << name;
      EXPECT_GT(values[name], 0.0) << name;
    }
    EXPECT_TRUE(values.contains("losses/explained_variance"));
  }
  EXPECT_EQ(seen, ids.size());
}

}  // namespace
}  // namespace stampede
