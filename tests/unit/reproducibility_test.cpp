// SPDX-License-Identifier: Apache-2.0
// The same seed gives the same bits on any number of threads, and another seed others; training allocates nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "tests/unit/training_run.h"

namespace {

// Replaceable allocation functions can reach nothing but static storage.
std::atomic<long> allocations{0};

#ifndef __SANITIZE_ADDRESS__
void* counted_allocation(std::size_t size, std::size_t alignment) {
  ++allocations;
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
#endif

}  // namespace

#ifndef __SANITIZE_ADDRESS__  // which has allocation functions of its own
void* operator new(std::size_t size) { return counted_allocation(size > 0 ? size : 1, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted_allocation(size > 0 ? size : 1, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace stampede {
namespace {

struct Case {
  std::string algorithm, env;
  Keys keys;
  int iterations;
};

// Odd sizes, and more environments than one block holds, so that threads get blocks of other sizes.
const std::vector<Case> kCases = {
    {"ppo",
     "CartPole-v1",
     {{"num_envs", "257"},
      {"rollout_steps", "9"},
      {"minibatches", "3"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"hidden", "31,16"}},
     4},
    {"ppo",
     "Pendulum-v1",
     {{"num_envs", "257"}, {"rollout_steps", "9"}, {"hidden", "33"}, {"entropy_coef", "0.01"}},
     4},
    {"ppo", "FrozenLake-v1", {{"num_envs", "130"}, {"rollout_steps", "17"}, {"hidden", "16"}}, 4},
    {"ppo_kl",
     "Pendulum-v1",
     {{"num_envs", "130"},
      {"rollout_steps", "9"},
      {"hidden", "16"},
      {"objective", "kl"},
      {"advantage", "vtrace"},
      {"distribution", "beta"}},
     4},
    {"a2c",
     "CartPole-v1",
     {{"num_envs", "257"}, {"rollout_steps", "5"}, {"normalize_rewards", "true"}, {"hidden", "31,16"}},
     6},
    {"a2c",
     "Pendulum-v1",
     {{"num_envs", "130"},
      {"rollout_steps", "7"},
      {"epochs", "3"},
      {"advantage", "vtrace"},
      {"distribution", "squashed_gaussian"},
      {"hidden", "16"}},
     4},
    {"soft_pg",
     "Pendulum-v1",
     {{"num_envs", "65"}, {"temperature", "0.1"}, {"distribution", "multi_categorical"}, {"hidden", "16"}},
     4},
    {"reinforce",
     "CartPole-v1",
     {{"num_envs", "130"}, {"rollout_steps", "33"}, {"baseline", "learned"}, {"hidden", "16"}},
     4},
    {"trpo",
     "CartPole-v1",
     {{"num_envs", "130"},
      {"rollout_steps", "9"},
      {"critic_epochs", "2"},
      {"critic_minibatches", "3"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"hidden", "31,16"}},
     4},
    {"trpo",
     "Pendulum-v1",
     {{"num_envs", "257"}, {"rollout_steps", "5"}, {"critic_epochs", "2"}, {"hidden", "33"}, {"entropy_coef", "0.01"}},
     4},
    {"trpo", "FrozenLake-v1", {{"num_envs", "65"}, {"rollout_steps", "17"}, {"hidden", "16"}}, 4},
    {"q_learning", "FrozenLake-v1", {{"num_envs", "257"}, {"rollout_steps", "33"}, {"episodes", "20"}}, 4},
    {"q_learning", "Taxi-v4", {{"num_envs", "65"}, {"double_q", "true"}, {"bonus", "0.1"}, {"rollout_steps", "31"}}, 4},
    {"sarsa", "CliffWalking-v1", {{"target", "sampled"}, {"num_envs", "130"}, {"n_step", "3"}}, 3},
    {"mc_control", "FrozenLake-v1", {{"target", "return"}, {"num_envs", "65"}, {"rate_power", "0.5"}}, 3},
    {"dyna_q", "GridWorld-v0", {{"num_envs", "65"}, {"planning_steps", "3"}}, 3},
    {"linear_sarsa",
     "MountainCar-v0",
     {{"target", "sampled"}, {"num_envs", "65"}, {"lambda", "0.9"}, {"traces", "replacing"}, {"rollout_steps", "31"}},
     3},
    {"dqn",
     "CartPole-v1",
     {{"num_envs", "257"},
      {"buffer_size", "5140"},
      {"batch_size", "257"},
      {"hidden", "33,16"},
      {"n_step", "3"},
      {"target_interval", "3"}},
     25},
    {"sac",
     "Pendulum-v1",
     {{"num_envs", "130"},
      {"buffer_size", "3900"},
      {"batch_size", "257"},
      {"hidden", "33,16"},
      {"n_step", "2"},
      {"noise", "gaussian"},
      {"learning_starts", "260"}},
     8},
    {"sac_v",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"batch_size", "33"}, {"hidden", "16"}, {"value_network", "true"}},
     50},
    {"sac_discrete", "CartPole-v1", {{"num_envs", "65"}, {"batch_size", "65"}, {"hidden", "31"}}, 12},
    {"sac_discrete", "FrozenLake-v1", {{"num_envs", "9"}, {"batch_size", "31"}, {"hidden", "16"}, {"n_step", "3"}}, 20},
    {"td3",
     "MountainCarContinuous-v0",
     {{"num_envs", "130"},
      {"batch_size", "129"},
      {"hidden", "31,16"},
      {"noise", "ornstein_uhlenbeck"},
      {"warmup", "policy"},
      {"learning_starts", "130"}},
     12},
    {"ddpg",
     "Pendulum-v1",
     {{"num_envs", "65"}, {"batch_size", "65"}, {"hidden", "16"}, {"learning_starts", "64"}, {"batch_norm", "all"}},
     12},
    {"ddpg", "CartPole-v1", {{"num_envs", "65"}, {"batch_size", "65"}, {"hidden", "16"}, {"critics", "1"}}, 12},
    {"dqn", "Taxi-v4", {{"num_envs", "65"}, {"buffer_size", "2000"}, {"batch_size", "31"}, {"hidden", "16"}}, 25},
    {"rainbow",
     "CartPole-v1",
     {{"num_envs", "130"},
      {"buffer_size", "2600"},
      {"batch_size", "257"},
      {"hidden", "33,16"},
      {"double", "true"},
      {"dueling", "true"},
      {"n_step", "3"},
      {"prioritized", "true"},
      {"noisy", "all"},
      {"exploration", "none"},
      {"distribution", "c51"},
      {"atoms", "17"},
      {"target_interval", "3"}},
     25},
    {"soft_q",
     "FrozenLake-v1",
     {{"num_envs", "65"},
      {"buffer_size", "2000"},
      {"batch_size", "131"},
      {"hidden", "16"},
      {"soft", "true"},
      {"n_step", "3"},
      {"exploration", "boltzmann"},
      {"distribution", "quantile"},
      {"atoms", "5"},
      {"prioritized", "true"},
      {"priority_kind", "rank"},
      {"dropout", "0.1"}},
     25},
    // One worker: with more, updates meet in an order of their own.
    {"async_q",
     "CartPole-v1",
     {{"workers", "1"}, {"num_envs", "3"}, {"rollout_steps", "7"}, {"hidden", "33,16"}, {"target_interval", "500"}},
     3},
    {"async_q",
     "FrozenLake-v1",
     {{"workers", "1"},
      {"num_envs", "31"},
      {"rollout_steps", "5"},
      {"n_step", "0"},
      {"target", "sarsa"},
      {"hidden", "16"}},
     3},
    {"a3c", "CartPole-v1", {{"workers", "1"}, {"num_envs", "3"}, {"rollout_steps", "7"}, {"hidden", "33,16"}}, 3},
    {"a3c",
     "Pendulum-v1",
     {{"workers", "1"},
      {"num_envs", "31"},
      {"hidden", "16"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"entropy_coef", "0.01"}},
     3},
    {"pqn", "CartPole-v1", {{"num_envs", "257"}, {"rollout_steps", "9"}, {"minibatches", "3"}, {"hidden", "31,16"}}, 4},
    {"pqn",
     "Taxi-v4",
     {{"num_envs", "257"},
      {"rollout_steps", "5"},
      {"hidden", "33"},
      {"target", "expected_sarsa"},
      {"target_interval", "3"},
      {"epsilon_ends", "0.1,0.5"}},
     6},
    {"ppo",
     "Pendulum-v1",
     {{"num_envs", "257"},
      {"rollout_steps", "9"},
      {"hidden", "33"},
      {"sde", "true"},
      {"sde_interval", "4"},
      {"sde_learn_features", "true"}},
     4},
    {"a2c", "Pendulum-v1", {{"num_envs", "130"}, {"hidden", "31"}, {"sde", "true"}, {"shared_torso", "true"}}, 6},
    {"sac",
     "Pendulum-v1",
     {{"num_envs", "130"},
      {"buffer_size", "3900"},
      {"batch_size", "257"},
      {"hidden", "33,16"},
      {"sde", "true"},
      {"learning_starts", "260"}},
     8},
};

StateBytes state_after(const Case& c, const Keys& more, int threads) {
  Keys keys = c.keys;
  keys.insert(keys.end(), more.begin(), more.end());
  TrainingRun run(c.algorithm, c.env, keys, threads);
  run.iterate(c.iterations);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
  EXPECT_GT(run.trainer().updates(), 0);
  return run.state();
}

TEST(Reproducibility, SameBitsOnAnyNumberOfThreads) {
  for (const Case& c : kCases) {
    const StateBytes one = state_after(c, {}, 1);
    for (const int threads : {1, 2, 3}) {
      EXPECT_EQ(differing_entries(one, state_after(c, {}, threads)), std::vector<std::string>{})
          << c.algorithm << ' ' << c.env << ' ' << threads;
    }
  }
}

TEST(Reproducibility, AnotherSeedIsAnotherRun) {
  for (const Case& c : kCases) {
    const StateBytes one = state_after(c, {{"seed", "1"}}, 1), two = state_after(c, {{"seed", "2"}}, 1);
    const std::vector<std::string> differing = differing_entries(one, two);
    for (const char* name : {".parameters", "environments"}) {
      const auto named = [&](const std::string& entry) { return entry.ends_with(name); };
      EXPECT_TRUE(std::any_of(differing.begin(), differing.end(), named)) << c.algorithm << c.env << name;
    }
  }
}

// Several workers do the same work, in an order of their own.
TEST(Allocations, AsynchronousWorkersAllocateNothing) {
  for (const char* algorithm : {"a3c", "async_q"}) {
    TrainingRun run(algorithm, "CartPole-v1", {{"workers", "3"}, {"num_envs", "3"}, {"hidden", "16"}}, 1);
    run.iterate(2);
    const long before = allocations;
    run.iterate(3);
    EXPECT_EQ(allocations - before, 0) << algorithm;
  }
}

// After the first iteration nothing comes from the heap any more.
TEST(Allocations, TrainingAllocatesNothing) {
  for (const Case& c : kCases) {
    for (const int threads : {1, 2}) {
      TrainingRun run(c.algorithm, c.env, c.keys, threads);
      run.iterate(c.iterations);
      const long before = allocations;
      run.iterate(3);
      EXPECT_EQ(allocations - before, 0) << c.algorithm << ' ' << c.env << ' ' << threads;
    }
  }
}

TEST(Allocations, AreCounted) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer has its own allocation functions";
#endif
  const long before = allocations;
  std::vector<int> some(1000);
  EXPECT_EQ(some[999], 0);
  EXPECT_EQ(allocations - before, 1);
}

}  // namespace
}  // namespace stampede
