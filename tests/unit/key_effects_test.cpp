// SPDX-License-Identifier: Apache-2.0
// Keys of every program reach what they say: parameters come out otherwise when one is set otherwise. And schedules
// stand where the first rollout begins.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/training_run.h"

namespace stampede {
namespace {

Keys with(Keys keys, const Keys& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

// Parameters, targets included, after a short run.
StateBytes learnt(const std::string& algorithm, const std::string& env, const Keys& keys, int iterations) {
  TrainingRun run(algorithm, env, keys);
  run.iterate(iterations);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
  StateBytes state = run.state();
  std::erase_if(state, [](const auto& entry) { return entry.first.find("parameters") == std::string::npos; });
  EXPECT_FALSE(state.empty());
  return state;
}

struct Effects {
  std::string algorithm, env;
  Keys base;
  int iterations;
  std::vector<Keys> options;
};

const Keys kRollouts{{"num_envs", "4"}, {"rollout_steps", "32"}, {"hidden", "16"}, {"total_steps", "256"}};
const Keys kReplay{{"num_envs", "3"},         {"buffer_size", "600"},  {"batch_size", "13"},  {"hidden", "16"},
                   {"learning_starts", "30"}, {"gradient_steps", "3"}, {"total_steps", "150"}};
const Keys kTables{{"num_envs", "4"}, {"rollout_steps", "64"}, {"total_steps", "1024"}};

std::vector<Effects> of_rollouts() {
  const std::vector<Keys> shared{{{"gamma", "0.9"}},
                                 {{"entropy_coef", "0.1"}},
                                 {{"value_coef", "0.1"}},
                                 {{"learning_rate", "0.02"}},
                                 {{"learning_rate_final", "0.1"}},
                                 {{"max_grad_norm", "0.001"}},
                                 {{"normalize_observations", "true"}},
                                 {{"normalize_rewards", "true"}},
                                 {{"activation", "relu"}},
                                 {{"initialization", "kaiming_uniform"}},
                                 {{"seed", "2"}}};
  const auto and_shared = [&](std::vector<Keys> own) {
    own.insert(own.end(), shared.begin(), shared.end());
    return own;
  };
  const Keys fast = with(kRollouts, {{"learning_rate", "0.01"}});
  return {
      {"ppo", "CartPole-v1", with(fast, {{"epochs", "2"}, {"minibatches", "3"}}), 4,
       and_shared({{{"gae_lambda", "0.5"}},
                   {{"epochs", "3"}},
                   {{"minibatches", "4"}},
                   {{"objective", "kl"}},
                   {{"advantage", "vtrace"}},
                   {{"clip", "0.01"}},
                   {{"clip_final", "0.01"}},
                   {{"normalize_advantage", "false"}},
                   {{"target_kl", "1e-6"}},
                   {{"optimizer", "adamw"}, {"weight_decay", "0.1"}},
                   {{"optimizer", "radam"}},
                   {{"optimizer", "sgd"}},
                   {{"optimizer_epsilon", "0.1"}},
                   {{"max_grad_value", "1e-4"}}})},
      {"ppo",
       "CartPole-v1",
       with(fast, {{"optimizer", "rmsprop"}}),
       2,
       {{{"rms_decay", "0.5"}}, {{"epsilon_inside_root", "true"}}}},
      {"ppo", "CartPole-v1", with(fast, {{"objective", "kl"}}), 4, {{{"kl_coef", "5"}}, {{"kl_target", "10"}}}},
      {"ppo", "CartPole-v1", with(fast, {{"entropy_coef", "0.1"}}), 4, {{{"entropy_final", "0.1"}}}},
      {"ppo",
       "Pendulum-v1",
       fast,
       3,
       {{{"log_sigma", "-1"}}, {{"clip_value", "true"}}, {{"distribution", "squashed_gaussian"}}, {{"sde", "true"}}}},
      {"ppo",
       "Pendulum-v1",
       with(fast, {{"sde", "true"}}),
       3,
       {{{"sde_interval", "3"}}, {{"sde_learn_features", "true"}}}},
      {"a2c", "CartPole-v1", with(fast, {{"epochs", "2"}}), 4,
       and_shared({{{"gae_lambda", "0.5"}},
                   {{"epochs", "3"}},
                   {{"advantage", "vtrace"}},
                   {{"normalize_advantage", "true"}},
                   {{"temperature", "0.1"}}})},
      {"a2c", "CartPole-v1", with(fast, {{"entropy_coef", "0.1"}}), 4, {{{"entropy_final", "0.1"}}}},
      {"reinforce", "CartPole-v1", fast, 4,
       and_shared({{{"baseline", "mean"}}, {{"baseline", "none"}}, {{"normalize_returns", "false"}}})},
      {"reinforce", "CartPole-v1", with(fast, {{"entropy_coef", "0.1"}}), 4, {{{"entropy_final", "0.1"}}}},
      {"trpo", "CartPole-v1", with(fast, {{"critic_minibatches", "3"}}), 4,
       and_shared({{{"gae_lambda", "0.5"}},
                   {{"max_kl", "0.001"}},
                   {{"max_kl_final", "0.1"}},
                   {{"cg_iterations", "2"}},
                   {{"cg_damping", "1"}},
                   {{"cg_tolerance", "0.5"}},
                   {{"critic_epochs", "2"}},
                   {{"critic_minibatches", "4"}},
                   {{"normalize_advantage", "false"}}})},
      {"trpo", "CartPole-v1", with(fast, {{"entropy_coef", "0.1"}}), 4, {{{"entropy_final", "0.1"}}}},
      {"a3c", "CartPole-v1", with(fast, {{"rollout_steps", "8"}, {"total_steps", "4096"}}), 2,
       and_shared({{{"gae_lambda", "0.5"}}, {{"rms_decay", "0.5"}}, {{"optimizer_epsilon", "0.1"}}})},
      {"a3c",
       "CartPole-v1",
       with(fast, {{"rollout_steps", "8"}, {"total_steps", "4096"}, {"entropy_coef", "0.1"}}),
       2,
       {{{"entropy_final", "0.1"}}}},
  };
}

std::vector<Effects> of_values() {
  const Keys prioritized = with(kReplay, {{"prioritized", "true"}}), soft = with(kReplay, {{"soft", "true"}});
  const Keys rollouts = with(kRollouts, {{"epsilon_fraction", "0.5"}, {"minibatches", "3"}});
  return {
      {"dqn",
       "CartPole-v1",
       prioritized,
       50,
       {{{"priority_alpha", "0.1"}},
        {{"priority_beta", "0.9"}},
        {{"priority_beta_final", "0.4"}},
        {{"priority_epsilon", "1"}},
        {{"learning_rate_final", "0.1"}}}},
      {"dqn", "CartPole-v1", soft, 50, {{{"temperature", "1"}}, {{"temperature_final", "0.01"}}}},
      {"dqn", "CartPole-v1", with(kReplay, {{"exploration", "boltzmann"}}), 50, {{{"temperature_final", "0.01"}}}},
      {"dqn", "CartPole-v1", with(kReplay, {{"noisy", "heads"}}), 50, {{{"noise_sigma", "0.1"}}}},
      {"pqn",
       "CartPole-v1",
       rollouts,
       3,
       {{{"gamma", "0.9"}},
        {{"q_lambda", "0"}},
        {{"target", "sarsa"}},
        {{"target", "expected_sarsa"}},
        {{"epochs", "3"}},
        {{"minibatches", "4"}},
        {{"target_interval", "2"}},
        {{"loss", "huber"}},
        {{"epsilon_start", "0.5"}},
        {{"epsilon_end", "0.5"}},
        {{"epsilon_fraction", "1"}},
        {{"epsilon_schedule", "exponential"}},
        {{"epsilon_ends", "0.1,0.9"}},
        {{"learning_rate_final", "0.1"}}}},
      {"pqn", "CartPole-v1", with(rollouts, {{"target_interval", "2"}}), 3, {{{"target_tau", "0.5"}}}},
      {"async_q",
       "CartPole-v1",
       {{"num_envs", "4"}, {"rollout_steps", "8"}, {"hidden", "16"}, {"total_steps", "8192"}},
       3,
       {{{"gamma", "0.9"}},
        {{"n_step", "3"}},
        {{"n_step", "0"}},
        {{"target", "sarsa"}},
        {{"target_interval", "100"}},
        {{"learning_rate_final", "0.1"}},
        {{"epsilon_ends", "[]"}, {"epsilon_shares", "[]"}},
        {{"epsilon_shares", "1,0,0"}},
        {{"max_grad_norm", "0.001"}}}},
      {"q_learning",
       "FrozenLake-v1",
       kTables,
       8,
       {{{"learning_rate", "0.5"}},
        {{"initial_value", "1"}},
        {{"bonus", "0.1"}},
        {{"rate_power", "1"}},
        {{"n_step", "3"}},
        {{"lambda", "0.9"}},
        {{"planning_steps", "2"}}}},
      {"q_learning",
       "FrozenLake-v1",
       with(kTables, {{"initial_value", "1"}}),
       8,
       {{{"gamma", "0.9"}},
        {{"learning_rate_final", "0.1"}},
        {{"epsilon_start", "0.9"}},
        {{"target", "expected"}},
        {{"target", "sampled"}},
        {{"target", "return"}},
        {{"target", "soft"}}}},
      {"q_learning",
       "FrozenLake-v1",
       with(kTables, {{"initial_value", "1"}, {"lambda", "0.9"}}),
       8,
       {{{"traces", "replacing"}}}},
      {"q_learning",
       "FrozenLake-v1",
       with(kTables, {{"initial_value", "1"}, {"planning_steps", "2"}}),
       8,
       {{{"model_outcomes", "1"}}}},
      {"mc_control",
       "FrozenLake-v1",
       with(kTables, {{"initial_value", "1"}, {"target", "return"}}),
       8,
       {{{"first_visit", "false"}}}},
      {"soft_q_tabular",
       "FrozenLake-v1",
       with(kTables, {{"target", "soft"}, {"temperature", "0.1"}}),
       8,
       {{{"temperature", "1"}}, {{"temperature_final", "0.1"}}}},
      {"linear_q",
       "MountainCar-v0",
       kTables,
       8,
       {{{"tilings", "4"}},
        {{"tiles", "4"}},
        {{"bias", "true"}},
        {{"feature_low", "-1.2,-0.05"}},
        {{"features", "fourier"}},
        {{"target", "return"}}}},
      {"linear_q", "MountainCar-v0", with(kTables, {{"features", "fourier"}}), 8, {{{"fourier_order", "2"}}}},
      {"linear_q",
       "MountainCar-v0",
       with(kTables, {{"bonus", "0.1"}}),
       8,
       {{{"count_bins", "4"}}, {{"count_cells", "8"}}}},
  };
}

std::vector<Effects> of_actor_critics() {
  const std::vector<Keys> shared{{{"gamma", "0.9"}},
                                 {{"n_step", "3"}},
                                 {{"target_tau", "0.5"}},
                                 {{"actor_rate_scale", "0.1"}},
                                 {{"warmup", "policy"}},
                                 {{"batch_size", "12"}},
                                 {{"learning_rate_final", "0.1"}},
                                 {{"train_interval", "2"}},
                                 {{"gradient_steps", "2"}},
                                 {{"learning_starts", "60"}}};
  const auto and_shared = [&](std::vector<Keys> own) {
    own.insert(own.end(), shared.begin(), shared.end());
    return own;
  };
  return {
      {"sac", "Pendulum-v1", kReplay, 30,
       and_shared({{{"alpha", "0.1"}},
                   {{"automatic_temperature", "false"}},
                   {{"target_entropy_scale", "2"}},
                   {{"noise", "gaussian"}}})},
      {"sac",
       "Pendulum-v1",
       with(kReplay, {{"noise", "ornstein_uhlenbeck"}}),
       30,
       {{{"noise_sigma", "0.5"}}, {{"noise_theta", "0.5"}}, {{"noise_dt", "0.5"}}}},
      {"sac",
       "Pendulum-v1",
       with(kReplay, {{"sde", "true"}}),
       30,
       {{{"log_sigma", "-1"}}, {{"sde_interval", "5"}}, {{"sde_learn_features", "true"}}}},
      {"td3", "Pendulum-v1", kReplay, 30,
       and_shared({{{"policy_delay", "1"}},
                   {{"target_noise", "0"}},
                   {{"target_noise_clip", "0.01"}},
                   {{"saturation_penalty", "1"}}})},
      {"ddpg", "CartPole-v1", kReplay, 30, {{{"gumbel_temperature", "2"}}, {{"logit_penalty", "1"}}}},
      {"sac_discrete", "CartPole-v1", kReplay, 30, and_shared({{{"target_entropy_scale", "0.5"}}})},
  };
}

void expect_effects(const std::vector<Effects>& cases) {
  for (const Effects& c : cases) {
    const StateBytes plain = learnt(c.algorithm, c.env, c.base, c.iterations);
    for (const Keys& option : c.options) {
      const StateBytes other = learnt(c.algorithm, c.env, with(c.base, option), c.iterations);
      EXPECT_NE(differing_entries(plain, other), std::vector<std::string>{})
          << c.algorithm << ' ' << c.env << ": " << option[0].first << '=' << option[0].second << " changes nothing";
    }
  }
}

TEST(KeyEffects, OfMethodsWithRollouts) { expect_effects(of_rollouts()); }
TEST(KeyEffects, OfValueBasedMethods) { expect_effects(of_values()); }
TEST(KeyEffects, OfOffPolicyActorCritics) { expect_effects(of_actor_critics()); }

// A schedule over no rows has its first value in the first rollout and its last one in the second.
TEST(KeyEffects, SchedulesStandWhereARolloutBegins) {
  struct Case {
    std::string algorithm, key;
    Keys base;
  };
  const std::vector<Case> cases{{"ppo", "learning_rate_final", {}},
                                {"ppo", "clip_final", {{"learning_rate", "0.01"}}},
                                {"ppo", "entropy_final", {{"entropy_coef", "0.1"}}},
                                {"a2c", "learning_rate_final", {}},
                                {"a2c", "entropy_final", {{"entropy_coef", "0.1"}}},
                                {"reinforce", "learning_rate_final", {}},
                                {"trpo", "learning_rate_final", {}},
                                {"trpo", "max_kl_final", {}},
                                {"pqn", "learning_rate_final", {}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.algorithm + " " + c.key);
    const Keys constant = with(with(kRollouts, {{"schedule_steps", "1"}, {c.key, "1"}}), c.base);
    const Keys falling = with(constant, {{c.key, "0.01"}});
    for (const int iterations : {1, 2}) {
      const auto parameters = [&](const Keys& keys) { return learnt(c.algorithm, "CartPole-v1", keys, iterations); };
      const bool same = differing_entries(parameters(constant), parameters(falling)).empty();
      EXPECT_EQ(same, iterations == 1) << iterations;
    }
  }
}

}  // namespace
}  // namespace stampede
