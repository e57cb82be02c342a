// SPDX-License-Identifier: Apache-2.0
// PPO on rollouts of real environments: what its first minibatch must be, stopping, failing, minibatches, actions.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/error.h"
#include "tests/unit/ppo_rig.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

PpoConfig one_pass() {
  PpoConfig config;
  config.epochs = 1;
  config.minibatches = 1;
  return config;
}

// The policy that collected is the policy that is updated: not a bit may differ, with and without normalisers.
TEST(Ppo, FirstRatioIsExactlyOne) {
  for (const char* env : {"CartPole-v1", "Pendulum-v1", "FrozenLake-v1"}) {
    for (const bool normalize : {false, true}) {
      for (const bool shared : {false, true}) {
        PpoConfig config = one_pass();
        config.actor_critic.normalize_observations = config.actor_critic.normalize_rewards = normalize;
        config.actor_critic.shared_torso = shared;
        PpoRig rig(env, config, 33, 17);
        for (std::uint64_t iteration = 0; iteration < 3; ++iteration) {
          rig.collect();
          const PolicyMetrics metrics = rig.learn(0.01f, iteration);
          EXPECT_EQ(metrics.approx_kl, 0.0) << env << iteration;
          EXPECT_EQ(metrics.clip_fraction, 0.0) << env;
          EXPECT_NEAR(metrics.policy_loss, 0.0, 1e-5) << env;
          EXPECT_GT(metrics.gradient_norm, 0.0);
        }
      }
    }
  }
}

TEST(Ppo, LaterMinibatchesHaveMoved) {
  PpoConfig config;
  PpoRig rig("CartPole-v1", config, 8, 32);
  rig.collect();
  const PolicyMetrics metrics = rig.learn(0.01f);
  EXPECT_GT(metrics.approx_kl, 1e-5);
  EXPECT_EQ(metrics.optimizer_steps, config.epochs * config.minibatches);
}

// Means over an epoch without learning equal means over all valid rows: none is lost, none counted twice.
TEST(Ppo, AnEpochUsesEveryValidRowOnce) {
  for (const int minibatches : {1, 2, 4, 7, 33}) {
    PpoConfig config;
    config.epochs = 1;
    config.minibatches = minibatches;
    PpoRig rig("EpisodeClock-v0", config, 3, 11);
    rig.collect();
    const PolicyMetrics metrics = rig.learn(0.0f);
    double loss = 0.0, count = 0.0;
    for (std::size_t index = 0; index < 33; ++index) {
      if (!(rig.view().flags(index) & kValid)) continue;
      const float* const e = rig.view().extra + index * 4;
      loss += 0.5 * std::pow(e[RolloutExtra::kValue] - e[RolloutExtra::kReturn], 2);
      count += 1.0;
    }
    ASSERT_LT(count, 33.0);
    EXPECT_NEAR(metrics.value_loss, loss / count, 1e-5 * loss) << minibatches;
  }
}

// Every epoch has a permutation of its own, named by its number: two epochs are two iterations on the same rollout.
TEST(Ppo, TwoEpochsAreTwoIterationsOnOneRollout) {
  PpoConfig both, single;
  both.epochs = 2;
  single.epochs = 1;
  PpoRig one("CartPole-v1", both, 8, 32), other("CartPole-v1", single, 8, 32);
  one.collect();
  other.collect();
  one.learn(0.01f, 0);
  other.learn(0.01f, 0);
  other.learn(0.01f, 1);
  EXPECT_EQ(one.learner(), other.learner());
}

TEST(Ppo, MinibatchesOfOneRowStayFinite) {
  PpoConfig config;
  config.minibatches = 33;
  PpoRig rig("EpisodeClock-v0", config, 3, 11);
  for (std::uint64_t iteration = 0; iteration < 3; ++iteration) {
    rig.collect();
    EXPECT_FALSE(rig.learn(0.01f, iteration).failed);
  }
  for (const float value : rig.learner()) ASSERT_TRUE(std::isfinite(value));
}

TEST(Ppo, RefusesMoreMinibatchesThanRows) {
  PpoConfig config;
  config.minibatches = 34;
  EXPECT_THROW(Ppo::check(config, 33), UsageError);
  EXPECT_NO_THROW(Ppo::check(config, 34));
}

// The second minibatch exceeds the target: neither it nor anything after it may change the learner.
TEST(Ppo, TargetKlStopsTheIteration) {
  const auto run = [](int epochs, float target_kl) {
    PpoConfig config;
    config.epochs = epochs;
    config.target_kl = target_kl;
    PpoRig rig("CartPole-v1", config, 8, 32);
    rig.collect();
    const PolicyMetrics metrics = rig.learn(0.05f);
    EXPECT_EQ(metrics.stopped, target_kl > 0.0f);
    return rig.learner();
  };
  const std::vector<float> stopped = run(4, 1e-6f);
  EXPECT_EQ(stopped.back(), 1.0f) << "the first minibatch has no divergence and must be applied";
  EXPECT_EQ(stopped, run(1, 1e-6f));
  EXPECT_NE(stopped, run(1, 0.0f));
}

TEST(Ppo, AStopLastsForOneIteration) {
  PpoConfig config;
  config.target_kl = 1e-6f;
  PpoRig rig("CartPole-v1", config, 8, 32);
  for (std::int64_t iteration = 0; iteration < 3; ++iteration) {
    rig.collect();
    EXPECT_EQ(rig.learn(0.05f, static_cast<std::uint64_t>(iteration)).optimizer_steps, iteration + 1);
  }
}

TEST(Ppo, ANonFiniteLossKeepsTheLastGoodLearner) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    PpoRig rig("CartPole-v1", PpoConfig{}, 8, 32);
    rig.collect();
    EXPECT_FALSE(rig.learn(0.01f).failed);
    const std::vector<float> good = rig.learner();
    rig.collect();
    rig.ring().records(5)[1] = float_bits(bad);  // one reward
    EXPECT_TRUE(rig.learn(0.01f, 1).failed);
    EXPECT_EQ(rig.learner(), good);
    rig.collect();
    EXPECT_TRUE(rig.learn(0.01f, 2).failed) << "a failure must not be forgotten";
    EXPECT_EQ(rig.learner(), good);
  }
}

TEST(Ppo, LargerEntropyWeightGivesAFlatterPolicy) {
  const auto entropy_after = [](float weight) {
    PpoConfig config;
    config.entropy_weight = weight;
    PpoRig rig("FrozenLake-v1", config, 33, 16);
    double entropy = 0.0;
    for (std::uint64_t iteration = 0; iteration < 12; ++iteration) {
      rig.collect();
      entropy = rig.learn(0.02f, iteration).entropy;
    }
    return entropy;
  };
  const double without = entropy_after(0.0f), with = entropy_after(0.5f);
  EXPECT_GT(with, without + 0.01);
  EXPECT_NEAR(with, std::log(4.0), 0.05);
}

// A wide Gaussian on Pendulum's [-2, 2]: the environment gets the clipped action, the learner its own sample.
TEST(Ppo, ContinuousSamplesAreStoredUnclipped) {
  PpoConfig config;
  config.actor_critic.initial_log_sigma = 1.0f;
  PpoRig rig("Pendulum-v1", config, 257, 2);
  rig.collect();
  int clipped = 0;
  const int stride = rig.view().shape.extra_size;
  for (std::size_t index = 0; index < 514; ++index) {
    const float* const e = rig.view().extra + index * static_cast<std::size_t>(stride);
    const float sample = e[RolloutExtra::kAction], executed = bits_float(rig.view().record(index)[0]);
    EXPECT_EQ(executed, clamp(sample, -2.0f, 2.0f));
    clipped += sample != executed;
    // The mean is close to 0 at first, so the density is known up to that.
    const double z = static_cast<double>(sample) / std::exp(1.0);
    EXPECT_NEAR(e[RolloutExtra::kLogProb], -0.5 * z * z - 1.0 - 0.5 * std::log(2 * M_PI), 0.1);
  }
  EXPECT_GT(clipped, 514 * 0.3);
  EXPECT_LT(clipped, 514 * 0.6);
}

TEST(Ppo, GreedyActionsAreTheModeAndDrawNothing) {
  PpoRig rig("Pendulum-v1", PpoConfig{}, 33, 2);
  rig.agent().act(rig.stream(), rig.request(0, 0, ActionMode::kGreedy));
  const std::vector<std::uint32_t> first(rig.ring().records(0), rig.ring().records(0) + 33 * 4);
  rig.agent().act(rig.stream(), rig.request(0, 100, ActionMode::kGreedy));
  EXPECT_EQ(first, std::vector<std::uint32_t>(rig.ring().records(0), rig.ring().records(0) + 33 * 4));
  rig.agent().act(rig.stream(), rig.request(0, 0, ActionMode::kSample));
  EXPECT_NE(first, std::vector<std::uint32_t>(rig.ring().records(0), rig.ring().records(0) + 33 * 4));
}

TEST(Ppo, ActionsDoNotDependOnTheBatchAroundThem) {
  PpoRig rig("CartPole-v1", PpoConfig{}, 257, 2);
  rig.agent().act(rig.stream(), rig.request(0, 7, ActionMode::kSample));
  const std::vector<std::uint32_t> whole(rig.ring().records(0), rig.ring().records(0) + 257 * 4);
  for (int begin = 0; begin < 257; begin += 64) {
    ActorCritic::ActRequest part = rig.request(0, 7, ActionMode::kSample);
    part.begin = begin;
    part.end = std::min(257, begin + 64);
    rig.agent().act(rig.stream(), part);
  }
  EXPECT_EQ(whole, std::vector<std::uint32_t>(rig.ring().records(0), rig.ring().records(0) + 257 * 4));
}

std::vector<std::uint32_t> ring_values(const RingView& ring) {
  const int rows = (ring.shape.rows + 1) * ring.shape.environments;
  std::vector<std::uint32_t> bits;
  for (int r = 0; r < rows; ++r)
    bits.push_back(float_bits(ring.extra[r * ring.shape.extra_size + RolloutExtra::kValue]));
  return bits;
}

TEST(Ppo, ARolloutEvaluatedAtOnceHasTheValuesOfActing) {
  for (const char* env : {"Pendulum-v1", "CartPole-v1", "FrozenLake-v1"}) {
    for (const int environments : {1, 5, 31}) {
      PpoConfig config = one_pass();
      config.actor_critic.normalize_observations = true;
      PpoRig rig(env, config, environments, 37);
      rig.collect();
      rig.learn(0.01f);
      rig.collect();
      const RingView& ring = rig.view();
      const std::vector<std::uint32_t> acting = ring_values(ring);
      for (int r = 0; r < 38 * environments; ++r) {
        ring.extra[r * ring.shape.extra_size + RolloutExtra::kValue] = std::numeric_limits<float>::quiet_NaN();
      }
      rig.agent().evaluate_rollout(rig.stream(), ring);
      EXPECT_EQ(ring_values(ring), acting) << env << environments;
    }
  }
}

TEST(Ppo, ActionsAreTheSameWhenValuesFollow) {
  PpoRig rig("Pendulum-v1", PpoConfig{}, 5, 37);
  rig.agent().act(rig.stream(), rig.request(0, 7, ActionMode::kSample));
  const float* const extra = rig.ring().extra(0);
  const std::vector<std::uint32_t> records(rig.ring().records(0), rig.ring().records(0) + 5 * 4);
  const float log_prob = extra[RolloutExtra::kLogProb], action = extra[RolloutExtra::kAction];
  ActorCritic::ActRequest later = rig.request(0, 7, ActionMode::kSample);
  later.values_follow = true;
  rig.agent().act(rig.stream(), later);
  EXPECT_EQ(records, std::vector<std::uint32_t>(rig.ring().records(0), rig.ring().records(0) + 5 * 4));
  EXPECT_EQ(log_prob, extra[RolloutExtra::kLogProb]);
  EXPECT_EQ(action, extra[RolloutExtra::kAction]);
}

TEST(Ppo, OnlyACriticOfItsOwnWaitsForTheRolloutOfFewEnvironments) {
  PpoRig apart("CartPole-v1", PpoConfig{}, 5, 37);
  EXPECT_TRUE(apart.agent().evaluates_later(apart.stream(), 5));
  EXPECT_FALSE(apart.agent().evaluates_later(apart.stream(), 64));
  PpoConfig config;
  config.actor_critic.shared_torso = true;
  PpoRig shared("CartPole-v1", config, 5, 37);
  EXPECT_FALSE(shared.agent().evaluates_later(shared.stream(), 5));
}

TEST(Ppo, LearningRateAndClipAnnealToTheirEnds) {
  const Keys keys{
      {"num_envs", "3"},    {"rollout_steps", "11"},   {"total_steps", "330"},       {"schedule_steps", "330"},
      {"minibatches", "2"}, {"learning_rate", "0.01"}, {"learning_rate_final", "0"}, {"clip", "0.2"},
      {"clip_final", "0.5"}};
  TrainingRun run("ppo", "FrozenLake-v1", keys);
  const auto metric = [&](const std::string& name) {
    for (const auto& [key, value] : run.trainer().read_metrics().values) {
      if (key == name) return value;
    }
    return -1.0;
  };
  run.iterate(1);
  EXPECT_DOUBLE_EQ(metric("charts/learning_rate"), 0.01);
  EXPECT_DOUBLE_EQ(metric("charts/clip_range"), 0.2);
  run.iterate(9);
  EXPECT_NEAR(metric("charts/learning_rate"), 0.001, 1e-12);
  EXPECT_NEAR(metric("charts/clip_range"), 0.11, 1e-12);
}

}  // namespace
}  // namespace stampede
