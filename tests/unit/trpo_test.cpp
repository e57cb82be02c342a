// SPDX-License-Identifier: Apache-2.0
// TRPO as a run: which parameters move when, and what it reports.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "agents/trpo.h"
#include "kernels/error.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

const Keys kSmall = {{"num_envs", "3"}, {"rollout_steps", "31"}, {"critic_epochs", "2"}, {"hidden", "16"}};

TrainingRun small_run(const std::string& env, Keys more) {
  Keys keys = kSmall;
  keys.insert(keys.end(), more.begin(), more.end());
  return TrainingRun("trpo", env, keys);
}

std::map<std::string, double> metrics_of(TrainingRun& run) {
  const TrainerMetrics metrics = run.trainer().read_metrics();
  EXPECT_FALSE(metrics.failed);
  return {metrics.values.begin(), metrics.values.end()};
}

// The block is actor tower, critic tower, log sigma; a tower of 16 hidden units and one output on 3 inputs has
// 3 * 16 + 16 + 16 * 16 + 16 floats.
constexpr std::size_t kTower = 336;

bool same_range(const std::vector<float>& a, const std::vector<float>& b, std::size_t begin, std::size_t end) {
  return std::memcmp(a.data() + begin, b.data() + begin, (end - begin) * sizeof(float)) == 0;
}

TEST(Trpo, PolicyAndCriticMoveByThemselves) {
  for (const bool critic_learns : {false, true}) {
    TrainingRun run = small_run("Pendulum-v1", {{"learning_rate", critic_learns ? "0.01" : "0"}});
    const std::vector<float> before = run.parameters();
    ASSERT_EQ(before.size(), 2 * kTower + 16);
    run.iterate(1);
    const std::vector<float> after = run.parameters();
    EXPECT_EQ(metrics_of(run)["losses/line_search_failures"], 0.0);
    EXPECT_FALSE(same_range(before, after, 0, kTower));
    EXPECT_EQ(same_range(before, after, kTower, 2 * kTower), !critic_learns);
    EXPECT_FALSE(same_range(before, after, 2 * kTower, 2 * kTower + 16));
  }
}

// A rollout of four environments that never changes, and the critic that `iterations` updates on it leave.
std::vector<float> critic_after(int epochs, int iterations) {
  TrpoConfig config;
  config.actor_critic.network.hidden = {16};
  config.critic_epochs = epochs;
  config.critic_minibatches = 3;
  const Space observation = Space::box<1>({-1.0f}, {1.0f}), action = Space::discrete(2);
  const RingShape shape{4, 8, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), RolloutExtra::kAction};
  HandRing ring(shape);
  for (int t = 0; t <= shape.rows; ++t) {
    for (int e = 0; e < shape.environments; ++e) {
      static_cast<float*>(ring.ring().obs(t))[e] = std::sin(static_cast<float>(5 * t + e));
      ring.write(t, e, {std::cos(static_cast<float>(3 * t + e)), kValid, 0.1f});
      ring.ring().records(t)[e * 4] = static_cast<std::uint32_t>((t + e) % 2);
      ring.extra(t, e)[RolloutExtra::kLogProb] = -0.7f;
    }
  }
  ring.ring().restore(shape.rows, 0);
  Arena arena(Device{});
  std::unique_ptr<Trpo> trpo;
  const auto make = [&] {
    const Trpo::Networks networks{
        std::make_shared<MlpNetwork>(ActorCritic::network_spec(config.actor_critic, observation, action)),
        std::make_shared<MlpNetwork>(Trpo::policy_spec(config, observation, action)),
        std::make_shared<MlpNetwork>(Trpo::critic_spec(config, observation))};
    trpo = std::make_unique<Trpo>(config, action, networks, shape, 1, 4, 9, Stream::cpu(), arena);
  };
  make();
  arena.allocate("test");
  make();
  trpo->actor_critic().initialize(Stream::cpu());
  for (int k = 0; k < iterations; ++k) {
    trpo->learn(Stream::cpu(), ring.ring(), {0.01f, 0.01f, 0.0f, static_cast<std::uint64_t>(k)});
  }
  const TrainableNetwork& network = trpo->actor_critic().network();
  const std::size_t critic = network.spec().layers()[2].weight;
  return {network.parameters() + critic, network.parameters() + network.spec().parameter_count()};
}

// Every epoch has a permutation of its own, named by its number, and the critic learns apart from the policy.
TEST(Trpo, TwoEpochsOfTheCriticAreTwoIterationsOnOneRollout) {
  EXPECT_EQ(critic_after(2, 1), critic_after(1, 2));
  EXPECT_NE(critic_after(2, 1), critic_after(1, 1));
}

// Weight decay acts on what an optimiser updates; the policy is none of it.
TEST(Trpo, AFailedSearchLeavesThePolicyWhileTheCriticLearns) {
  TrainingRun run = small_run("Pendulum-v1", {{"max_kl", "50"},
                                              {"cg_damping", "0"},
                                              {"backtrack_steps", "1"},
                                              {"optimizer", "adamw"},
                                              {"weight_decay", "0.1"}});
  const std::vector<float> before = run.parameters();
  run.iterate(1);
  const std::vector<float> after = run.parameters();
  ASSERT_EQ(metrics_of(run)["losses/line_search_failures"], 1.0);
  EXPECT_TRUE(same_range(before, after, 0, kTower));
  EXPECT_FALSE(same_range(before, after, kTower, 2 * kTower));
  EXPECT_TRUE(same_range(before, after, 2 * kTower, 2 * kTower + 16));
}

TEST(Trpo, MetricsDescribeTheStep) {
  for (const char* env : {"CartPole-v1", "Pendulum-v1", "FrozenLake-v1"}) {
    TrainingRun run = small_run(env, {{"max_kl", "0.02"}, {"num_envs", "16"}});
    run.iterate(3);
    std::map<std::string, double> m = metrics_of(run);
    EXPECT_EQ(m.size(), run.trainer().metric_names().size());
    EXPECT_NEAR(m["losses/surrogate_before"], 0.0, 1e-5) << "normalised advantages have mean 0";
    EXPECT_LE(m["losses/kl"], 0.02);
    EXPECT_GT(m["losses/entropy"], 0.0);
    EXPECT_LE(m["losses/explained_variance"], 1.0);
    EXPECT_LE(m["losses/step_fraction"], 1.0);
    EXPECT_LT(m["losses/cg_residual"], 1.0);
    if (std::string(env) == "FrozenLake-v1") continue;  // where a rollout may pass without a reward
    EXPECT_GT(m["losses/surrogate_after"], m["losses/surrogate_before"]);
    EXPECT_GT(m["losses/kl"], 0.001);
    EXPECT_GT(m["losses/value_loss"], 0.0);
  }
}

TEST(Trpo, MetricsAreReadOnce) {
  TrainingRun run = small_run("CartPole-v1", {});
  run.iterate(2);
  EXPECT_GT(metrics_of(run)["losses/kl"], 0.0);
  EXPECT_EQ(metrics_of(run)["losses/kl"], 0.0);
}

TEST(Trpo, RefusesWhatDoesNotFit) {
  TrpoConfig config;
  EXPECT_NO_THROW(Trpo::check(config, 16));
  EXPECT_THROW(Trpo::check(config, 15), UsageError);
  config.trust_region.backtrack_ratio = 1.0f;
  EXPECT_THROW(Trpo::check(config, 16), UsageError);
  config = {};
  config.actor_critic.shared_torso = true;
  EXPECT_THROW(Trpo::check(config, 16), UsageError);
}

}  // namespace
}  // namespace stampede
