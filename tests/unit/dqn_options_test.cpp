// SPDX-License-Identifier: Apache-2.0
// DQN's options: any combination trains and resumes bit for bit; values that make no sense are refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "tests/unit/training_run.h"
#include "train/checkpoint.h"

namespace stampede {
namespace {

Keys with(Keys keys, const Keys& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

const Keys kTiny{{"num_envs", "3"},         {"buffer_size", "600"},  {"batch_size", "13"}, {"hidden", "16"},
                 {"learning_starts", "30"}, {"gradient_steps", "5"}, {"atoms", "7"},       {"v_min", "0"},
                 {"v_max", "30"},           {"target_interval", "9"}};

// Saved after `updates` of them and gone on for 100: the restored run must end with the same bits.
void expect_resumes(const Keys& options, const std::string& path, std::int64_t updates = 100) {
  const Keys keys = with(kTiny, options);
  TrainingRun straight("dqn", "CartPole-v1", keys);
  while (straight.trainer().updates() < updates) straight.iterate(1);
  save_checkpoint(path, straight.trainer(), straight.stream(), {"dqn", "CartPole-v1", "", true});
  TrainingRun resumed("dqn", "CartPole-v1", keys);
  load_checkpoint(path, resumed.trainer(), resumed.stream());
  for (TrainingRun* run : {&straight, &resumed}) {
    while (run->trainer().updates() < updates + 100) run->iterate(1);
  }
  EXPECT_EQ(differing_entries(resumed.state(), straight.state()), std::vector<std::string>{});
  EXPECT_FALSE(straight.trainer().read_metrics().failed);
}

TEST(DqnOptions, EveryCombinationTrainsAndResumes) {
  const TemporaryFolder folder;
  for (unsigned switches = 0; switches < 64; ++switches) {
    SCOPED_TRACE(switches);
    Keys options;
    if (switches & 1) options.emplace_back("double", "true");
    if (switches & 2) options.emplace_back("dueling", "true");
    if (switches & 4) options.emplace_back("n_step", "3");
    if (switches & 8) options.emplace_back("prioritized", "true");
    if (switches & 16) {
      options.insert(options.end(), {{"noisy", switches & 1 ? "heads" : "all"}, {"exploration", "none"}});
    }
    if (switches & 32) options.emplace_back("distribution", switches & 2 ? "c51" : "quantile");
    expect_resumes(options, folder / "checkpoint");
  }
}

TEST(DqnOptions, TheOthersToo) {
  const TemporaryFolder folder;
  const Keys all{{"double", "true"}, {"dueling", "true"}, {"n_step", "3"}, {"prioritized", "true"}, {"noisy", "heads"}};
  for (const char* distribution : {"none", "c51", "quantile"}) {
    const Keys options = with(all, {{"distribution", distribution}, {"soft", "true"}, {"exploration", "boltzmann"}});
    expect_resumes(with(options, {{"priority_kind", "rank"}}), folder / "checkpoint");
  }
  // All ranks are counted anew in update 1024.
  expect_resumes({{"prioritized", "true"}, {"priority_kind", "rank"}}, folder / "checkpoint", 1000);
  expect_resumes({{"dropout", "0.2"}, {"exploration", "none"}}, folder / "checkpoint");
  expect_resumes({{"dropout", "0.2"}, {"noisy", "heads"}, {"epsilon_ends", "[0.5, 0.01]"}}, folder / "checkpoint");
}

// An option that changes nothing is not wired up.
TEST(DqnOptions, EveryOptionMatters) {
  const Keys base{{"n_step", "2"}, {"loss", "squared"}, {"total_steps", "300"}, {"epsilon_fraction", "0.5"}};
  TrainingRun plain("dqn", "CartPole-v1", with(kTiny, base));
  plain.iterate(60);
  for (const Keys& option : std::vector<Keys>{{{"double", "true"}},
                                              {{"dueling", "true"}},
                                              {{"prioritized", "true"}},
                                              {{"prioritized", "true"}, {"priority_kind", "rank"}},
                                              {{"noisy", "heads"}},
                                              {{"noisy", "all"}},
                                              {{"dropout", "0.2"}},
                                              {{"soft", "true"}},
                                              {{"distribution", "c51"}},
                                              {{"distribution", "quantile"}},
                                              {{"distribution", "quantile"}, {"kappa", "0"}},
                                              {{"exploration", "boltzmann"}},
                                              {{"epsilon_ends", "0.5,0.01"}},
                                              {{"epsilon_schedule", "exponential"}}}) {
    SCOPED_TRACE(option[0].first + "=" + option.back().second);
    TrainingRun run("dqn", "CartPole-v1", with(with(kTiny, base), option));
    run.iterate(60);
    EXPECT_NE(run.parameters(), plain.parameters());
  }
}

TEST(DqnOptions, PriorityWithoutPowerIsUniform) {
  TrainingRun run("dqn", "CartPole-v1", with(kTiny, {{"prioritized", "true"}, {"priority_alpha", "0"}}));
  run.iterate(60);
  for (const auto& [name, value] : run.trainer().read_metrics().values) {
    if (name == "losses/importance_weight") {
      EXPECT_NEAR(value, 1.0, 1e-6);
    }
    if (name == "losses/importance_weight_std") {
      EXPECT_NEAR(value, 0.0, 1e-3);
    }
  }
}

TEST(DqnOptions, MetricsHaveTheirNames) {
  for (const char* prioritized : {"false", "true"}) {
    TrainingRun run("dqn", "CartPole-v1", with(kTiny, {{"prioritized", prioritized}}));
    run.iterate(60);
    const std::vector<std::string> names = run.trainer().metric_names();
    const TrainerMetrics metrics = run.trainer().read_metrics();
    ASSERT_EQ(metrics.values.size(), names.size());
    for (std::size_t k = 0; k < names.size(); ++k) EXPECT_EQ(metrics.values[k].first, names[k]);
  }
}

TEST(DqnOptions, RefusesWhatMakesNoSense) {
  const auto refusal = [](const Keys& keys) -> std::string {
    try {
      TrainingRun("dqn", "CartPole-v1", with(kTiny, keys));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::vector<std::pair<Keys, std::string>> cases{
      {{{"distribution", "c51"}, {"atoms", "1"}}, "atoms"},
      {{{"distribution", "quantile"}, {"atoms", "257"}}, "atoms"},
      {{{"distribution", "c51"}, {"v_min", "30"}}, "v_min"},
      {{{"distribution", "c51"}, {"v_min", "31"}}, "v_min"},
      {{{"kappa", "-1"}}, "kappa"},
      {{{"temperature", "0"}}, "temperature"},
      {{{"temperature", "-1"}}, "temperature"},
      {{{"temperature_final", "0"}}, "temperature_final"},
      {{{"priority_alpha", "1.5"}}, "priority_alpha"},
      {{{"priority_beta", "-0.1"}}, "priority_beta"},
      {{{"priority_epsilon", "0"}}, "priority_epsilon"},
      {{{"exploration", "none"}}, "exploration"},
      {{{"dropout", "1"}}, "dropout"},
      {{{"noisy", "some"}}, "off, heads, all"},
      {{{"distribution", "c52"}}, "none, c51, quantile"},
      {{{"n_step", "200"}}, "n_step 200"},
      {{{"target_tau", "0"}}, "target_tau"},
  };
  for (const auto& [keys, message] : cases) EXPECT_NE(refusal(keys).find(message), std::string::npos) << refusal(keys);
  EXPECT_EQ(refusal({{"distribution", "quantile"}, {"v_min", "40"}}), "accepted");
}

}  // namespace
}  // namespace stampede
