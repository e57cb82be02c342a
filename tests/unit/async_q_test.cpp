// SPDX-License-Identifier: Apache-2.0
// Asynchronous Q-learning: targets by hand, gradients that add up over workers, the shared target network, Sarsa's next
// action, exploration.
#include "agents/async_q.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/unit/async_q_rig.h"

namespace stampede {
namespace {

float random_float(int index, std::uint64_t purpose) {
  const RandomKey key{5, purpose, Purpose::kPermutation};
  return uniform_float(key.lane_word(static_cast<std::uint32_t>(index))) - 0.5f;
}

// Step `slot` of environment `environment` in a batch of any size and division: always the same.
void write_step(AsyncQRig& rig, int worker, int slot, int local, int environment) {
  const int id = slot * 100 + environment;
  const std::uint32_t flags = id % 7 == 3 ? kValid | kTerminated : id % 11 == 5 ? kValid | kTruncated : kValid;
  rig.write(worker, slot, local, {random_float(id, 0), random_float(id, 1)}, id % kRigActions, random_float(id, 2),
            id % 13 == 6 ? 0 : flags);
}

// The sum of the workers' gradients is that of one worker with all their data: sums, not means.
TEST(AsyncQ, GradientsOfWorkersAddUpToThatOfOneWithAllData) {
  constexpr int kRows = 7, kEnvironments = 6;
  for (const int n_step : {1, 3, 0}) {
    AsyncQRig one({.n_step = n_step}, 1, kEnvironments, kRows);
    for (int t = 0; t <= kRows; ++t) {
      for (int e = 0; e < kEnvironments; ++e) write_step(one, 0, t, e, e);
    }
    one.finish_rollout(0);
    const std::vector<float> expected = one.gradient(0);
    EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 0.1f);
    for (const int workers : {2, 3, 6}) {
      const int share = kEnvironments / workers;
      AsyncQRig many({.n_step = n_step}, workers, share, kRows);
      std::vector<float> sum(expected.size(), 0.0f);
      for (int w = 0; w < workers; ++w) {
        for (int t = 0; t <= kRows; ++t) {
          for (int e = 0; e < share; ++e) write_step(many, w, t, e, w * share + e);
        }
        many.finish_rollout(w);
        const std::vector<float> part = many.gradient(w);
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += part[k];
      }
      for (std::size_t k = 0; k < sum.size(); ++k) {
        ASSERT_NEAR(sum[k], expected[k], 2e-5f) << workers << ' ' << n_step << ' ' << k;
      }
    }
  }
}

// Rewards 1 ... 5; terminated after the second step, truncated after the fourth, cut after the fifth, a reset row
// behind each end. The target network says `value` everywhere.
double mean_target(int n_step, bool sarsa, float value) {
  AsyncQRig rig({.gamma = 0.9f, .n_step = n_step, .bootstrap = sarsa ? BootstrapKind::kSarsa : BootstrapKind::kMax}, 1,
                1, 7);
  const NetworkSpec& spec = rig.q().shared().spec();
  const View<float> parameters = rig.q().shared().parameters();
  std::fill_n(parameters.data, parameters.size(), 0.0f);
  const LayerLayout& last = spec.layers().back();
  for (int a = 0; a < kRigActions; ++a) parameters[last.bias + static_cast<std::size_t>(a)] = value;
  rig.q().update_target();
  const std::uint32_t flags[] = {kValid, kValid | kTerminated, 0, kValid, kValid | kTruncated, 0, kValid, 0};
  const float rewards[] = {1, 2, 0, 3, 4, 0, 5, 0};
  for (int t = 0; t < 8; ++t) rig.write(0, t, 0, {0.1f, 0.2f}, t % 3, rewards[t], flags[t]);
  rig.finish_rollout(0);
  rig.gradient(0);
  return rig.q().read_metrics().mean_target;
}

TEST(AsyncQTarget, HandComputedWithOneStep) {
  for (const bool sarsa : {false, true}) {
    for (const double v : {0.0, 2.0}) {
      EXPECT_NEAR(mean_target(1, sarsa, static_cast<float>(v)), (15 + 4 * 0.9 * v) / 5, 1e-5);
    }
  }
}

TEST(AsyncQTarget, HandComputedWithStepsToTheEndOfTheRollout) {
  for (const int n_step : {0, 5}) {
    for (const double v : {0.0, 2.0}) {
      const double expected = 2.8 + 2 + (3 + 0.9 * (4 + 0.9 * v)) + (4 + 0.9 * v) + (5 + 0.9 * v);
      EXPECT_NEAR(mean_target(n_step, false, static_cast<float>(v)), expected / 5, 1e-5) << n_step;
    }
  }
}

void write_random(AsyncQRig& rig, int worker, int rows) {
  for (int t = 0; t <= rows; ++t) write_step(rig, worker, t, 0, worker);
  rig.finish_rollout(worker);
}

// One worker copies the parameters into the target network; every worker bootstraps from the copy.
TEST(AsyncQ, TheTargetNetworkIsShared) {
  constexpr int kRows = 5;
  AsyncQRig rig({.gamma = 0.9f}, 2, 1, kRows);
  const Epsilon epsilon{1.0f};
  for (const int w : {0, 1}) write_random(rig, w, kRows);
  const std::vector<float> before = rig.gradient(1);
  rig.q().learn(rig.stream(), 0, rig.ring(0), epsilon, 0.1f);
  EXPECT_EQ(rig.gradient(1), before) << "the target moved without being copied";
  rig.q().update_target();
  EXPECT_NE(rig.gradient(1), before) << "worker 1 keeps a target network of its own";
  const View<float> target = rig.q().target_parameters();
  EXPECT_EQ(std::vector<float>(target.data, target.data + target.size()), rig.parameters());
  rig.q().learn(rig.stream(), 0, rig.ring(0), epsilon, 0.1f);
  EXPECT_NE(std::vector<float>(target.data, target.data + target.size()), rig.parameters());
}

// What Sarsa bootstraps from is what the next rollout executes, whatever epsilon is then.
TEST(AsyncQSarsa, TheNextActionIsTheOneExecutedNext) {
  constexpr int kRows = 3, kEnvironments = 33;
  AsyncQRig rig({.bootstrap = BootstrapKind::kSarsa}, 1, kEnvironments, kRows);
  const Epsilon always{1.0f}, never{0.0f};
  TrajectoryRing& ring = rig.ring(0);
  std::vector<std::int32_t> executed(kEnvironments);
  for (int rollout = 0; rollout < 3; ++rollout) {
    ring.begin_rollout(rig.stream());
    for (int t = 0; t < kRows; ++t) {
      rig.q().act(rig.stream(), 0, ring, never);
      if (t == 0 && rollout > 0) {
        const View<std::int32_t> chosen = rig.q().chosen_actions(0);
        for (std::size_t e = 0; e < kEnvironments; ++e) {
          EXPECT_EQ(ring.records(0)[e * 4], static_cast<std::uint32_t>(chosen[e]));
        }
        EXPECT_GT(std::count_if(chosen.data, chosen.data + kEnvironments, [&](int a) { return a != chosen[0]; }), 0)
            << "epsilon 1 chose one action everywhere";
      }
      for (int e = 0; e < kEnvironments; ++e) {
        const std::uint32_t action = ring.records(t)[e * 4];
        rig.write(0, t, e, {0.3f, 0.1f}, static_cast<int>(action), 1.0f, kValid);
      }
      ring.advance();
    }
    rig.q().learn(rig.stream(), 0, ring, always, 0.0f);
  }
}

// Acting greedily, the next action is the best one as long as the target network is the acting network.
TEST(AsyncQSarsa, IsQLearningWithoutExploration) {
  constexpr int kRows = 5;
  std::vector<float> results[2];
  for (const bool sarsa : {false, true}) {
    AsyncQRig rig({.bootstrap = sarsa ? BootstrapKind::kSarsa : BootstrapKind::kMax}, 1, 1, kRows);
    const Epsilon epsilon{0.0f};
    TrajectoryRing& ring = rig.ring(0);
    for (int t = 0; t <= kRows; ++t) write_step(rig, 0, t, 0, 0);
    for (int t = 0; t < kRows; ++t) {
      rig.q().act(rig.stream(), 0, ring, epsilon);
      ring.advance();
    }
    rig.q().learn(rig.stream(), 0, ring, epsilon, 0.1f);
    results[sarsa] = rig.parameters();
  }
  EXPECT_EQ(results[0], results[1]);
}

// The greedy action has its share of the random draws too: 1 - epsilon + epsilon / A.
TEST(AsyncQ, EveryEnvironmentExploresWithItsOwnEpsilon) {
  constexpr int kEnvironments = 2, kDraws = 6000;
  AsyncQRig rig({}, 1, kEnvironments, 1);
  const float final_values[kEnvironments] = {0.3f, 0.9f};
  const Epsilon epsilons{.final_values = final_values, .start = 1.0f, .progress = 1.0f};
  TrajectoryRing& ring = rig.ring(0);
  const Epsilon none{0.0f};
  for (int e = 0; e < kEnvironments; ++e) rig.write(0, 0, e, {0.3f, 0.1f}, 0, 0.0f, kValid);
  rig.q().act(rig.stream(), 0, ring, none);
  const std::uint32_t greedy = ring.records(0)[0];
  double share[kEnvironments] = {};
  for (int row = 0; row < kDraws; ++row) {
    ring.restore(row, row);
    rig.q().act(rig.stream(), 0, ring, epsilons);
    for (int e = 0; e < kEnvironments; ++e) share[e] += (ring.records(0)[e * 4] == greedy) / double{kDraws};
  }
  EXPECT_NEAR(share[0], 0.7 + 0.1, 0.02);
  EXPECT_NEAR(share[1], 0.1 + 0.3, 0.02);
}

}  // namespace
}  // namespace stampede
