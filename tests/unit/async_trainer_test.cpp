// SPDX-License-Identifier: Apache-2.0
// Asynchronous trainers: one worker is a plain loop bit for bit; several share the work, and lose none of it.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agents/async_q.h"
#include "agents/networks/mlp_network.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

// Algorithm 1 written down once more without trainer, threads or schedules: collect a rollout, learn, copy the target.
TEST(AsyncTrainer, OneWorkerIsTheSerialLoopBitForBit) {
  constexpr int kEnvironments = 3, kRows = 7, kTargetInterval = 50;
  TrainingRun run("async_q", "CartPole-v1",
                  {{"workers", "1"},
                   {"num_envs", "3"},
                   {"rollout_steps", "7"},
                   {"target_interval", "50"},
                   {"epsilon_start", "0.2"},
                   {"epsilon_ends", "0.2,0.2,0.2"},
                   {"learning_rate", "0.01"},
                   {"hidden", "16"},
                   {"seed", "5"}});
  run.iterate(1);

  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find("CartPole-v1");
  const RingShape shape{kEnvironments, kRows, 4, ObsType::kFloat32, RecordLayout::for_action_size(1), 0};
  AsyncQConfig config;
  config.network.hidden = {16};
  const Stream stream = Stream::cpu();
  Arena arena(Device{}), worker_arena(Device{});
  std::unique_ptr<VectorEnv> env;
  std::unique_ptr<TrajectoryRing> ring;
  std::unique_ptr<AsyncQ> q;
  const auto build = [&] {
    env = entry.make({}, kEnvironments, 5, 0, worker_arena);
    ring = std::make_unique<TrajectoryRing>(shape, worker_arena);
    q = std::make_unique<AsyncQ>(
        config, entry.spec.action,
        std::make_shared<MlpNetwork>(AsyncQ::network_spec(config, entry.spec.observation, entry.spec.action)), shape, 1,
        1, 5, stream, arena, std::span(&worker_arena, 1));
  };
  build();
  arena.allocate("test");
  worker_arena.allocate("test");
  build();
  env->reset(stream, ring->obs(0));
  q->initialize(stream);
  const Epsilon epsilon{0.2f};
  std::int64_t rows = 0;
  while (rows < run.trainer().rows()) {
    ring->begin_rollout(stream);
    for (int t = 0; t < kRows; ++t) {
      q->act(stream, 0, *ring, epsilon);
      env->step(stream, 0, kEnvironments,
                {ring->records(t), ring->obs(t + 1), static_cast<std::uint64_t>(ring->head())});
      ring->advance();
    }
    q->learn(stream, 0, *ring, epsilon, 0.01f);
    const std::int64_t before = rows;
    rows += kRows * kEnvironments;
    if (before / kTargetInterval != rows / kTargetInterval) q->update_target();
  }
  const View<float> parameters = q->shared().parameters();
  EXPECT_EQ(run.parameters(), std::vector<float>(parameters.data, parameters.data + parameters.size()));
  EXPECT_EQ(run.trainer().updates(), q->shared().updates());
}

TEST(AsyncTrainer, SeveralWorkersCountEveryRowAndUpdate) {
  for (const char* algorithm : {"async_q", "a3c"}) {
    for (const char* workers : {"2", "3", "6"}) {
      TrainingRun run(algorithm, "CartPole-v1",
                      {{"workers", workers}, {"num_envs", "6"}, {"rollout_steps", "5"}, {"hidden", "16"}});
      const std::int64_t rollout = 5 * 6 / std::stoi(workers);
      run.iterate(3);
      Trainer& trainer = run.trainer();
      EXPECT_EQ(trainer.rows(), 3 * trainer.rows_per_iteration());
      EXPECT_EQ(trainer.updates(), trainer.rows() / rollout);
      const TrainerMetrics metrics = trainer.read_metrics();
      EXPECT_FALSE(metrics.failed);
      EXPECT_EQ(trainer.env_steps(), trainer.rows() - metrics.finished_episodes);
      EXPECT_GT(metrics.finished_episodes, 100);
      EXPECT_EQ(metrics.values.size(), trainer.metric_names().size());
    }
  }
}

// Copies of one environment under different workers must not draw the same numbers.
TEST(AsyncTrainer, WorkersDrawDifferentRandomNumbers) {
  TrainingRun run("a3c", "CartPole-v1", {{"workers", "3"}, {"num_envs", "3"}, {"hidden", "16"}});
  run.iterate(1);
  StateBytes state = run.state();
  EXPECT_NE(state["worker.0.environments"], state["worker.1.environments"]);
  EXPECT_NE(state["worker.1.environments"], state["worker.2.environments"]);
  EXPECT_NE(worker_seed(1, 0), worker_seed(1, 1));
  EXPECT_NE(worker_seed(1, 0), worker_seed(2, 0));
}

TEST(AsyncTrainer, HasAsManyWorkersAsAskedAndOneByDefault) {
  for (const auto& [asked, environments] : {std::pair{1, 1}, {7, 7}, {3, 60}}) {
    TrainingRun run("a3c", "CartPole-v1",
                    {{"workers", std::to_string(asked)}, {"num_envs", std::to_string(environments)}, {"hidden", "16"}});
    EXPECT_TRUE(run.state().contains("worker." + std::to_string(asked - 1) + ".environments"));
    EXPECT_FALSE(run.state().contains("worker." + std::to_string(asked) + ".environments"));
  }
  TrainingRun run("async_q", "CartPole-v1", {{"num_envs", "6"}, {"hidden", "16"}});
  EXPECT_FALSE(run.state().contains("worker.1.environments"));
}

TEST(AsyncTrainer, EvaluatingChangesNothingInTraining) {
  for (const char* algorithm : {"async_q", "a3c"}) {
    const Keys keys{{"workers", "1"}, {"num_envs", "2"}, {"hidden", "16"}};
    TrainingRun with(algorithm, "CartPole-v1", keys), without(algorithm, "CartPole-v1", keys);
    for (int k = 0; k < 3; ++k) {
      with.iterate(1);
      without.iterate(1);
      EXPECT_EQ(with.trainer().evaluate(9, EvaluationMode::kGreedy).episodes, 10);
      EXPECT_EQ(with.trainer().evaluate(9, EvaluationMode::kStochastic).episodes, 10);
    }
    EXPECT_EQ(differing_entries(with.state(), without.state()), std::vector<std::string>{}) << algorithm;
  }
}

// Rewards so large that a squared error overflows: every worker stops and the last good parameters stay.
TEST(AsyncTrainer, LossesThatAreNotFiniteStopTheUpdates) {
  TrainingRun run("async_q", "EpisodeClock-v0", {{"workers", "2"}, {"num_envs", "2"}, {"env.bonus", "3e38"}});
  run.iterate(1);
  ASSERT_TRUE(run.trainer().read_metrics().failed);
  for (const float value : run.parameters()) ASSERT_TRUE(std::isfinite(value));
  const std::int64_t updates = run.trainer().updates();
  run.iterate(1);
  EXPECT_EQ(run.trainer().updates(), updates);
}

}  // namespace
}  // namespace stampede
