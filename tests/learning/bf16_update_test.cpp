// SPDX-License-Identifier: Apache-2.0
// PPO whose rollouts and updates both run on the emulator's tensor cores.
#include "tests/emulator/fused_rollout_rig.h"

#include <gtest/gtest.h>

#include "environments/environment_types.h"
#include "replay/returns.h"
#include "tests/emulator/emulated_policy_update.h"
#include "train/fused/bf16_policy_blocks.h"

namespace stampede {
namespace {

double mean_return(const std::vector<Episode>& episodes) {
  double sum = 0.0;
  for (const Episode& episode : episodes) sum += static_cast<double>(episode.episode_return);
  return sum / static_cast<double>(episodes.size());
}

// A random policy keeps the pole up for some 22 steps. In fp32 the same run comes to 43.
TEST(Bf16Learning, PpoImprovesOnCartPole) {
  constexpr int kIterations = 16;
  RolloutSide<CartPole, Bf16Policy<CartPole>> side({.environments = 64, .steps = 32});
  ActorCritic& agent = side.agent();
  agent.initialize(side.stream());
  EmulatedPolicyUpdate update(agent, Precision::kBf16, 16);
  double latest = 0.0;
  for (int k = 0; k < kIterations; ++k) {
    const RolloutResult rollout = side.collect_fused(1, {});
    if (k >= kIterations - 4) latest += mean_return(rollout.episodes) / 4.0;
    const RingView ring = side.ring().view();
    agent.begin_update(side.stream(), ring, 0.99f);
    compute_gae(side.stream(), ring, 0.99f, 0.95f, nullptr);
    const auto first_epoch = static_cast<std::uint64_t>(4 * k);
    update.learn(ring, {4, 4, first_epoch, {.entropy_weight = 0.01f}, 1.5e-3f}, [&](int updates_before) {
      if (updates_before == 0) {
        EXPECT_EQ(update.total(PolicyRowMetrics::kApproxKl), 0.0) << k;
      }
    });
    EXPECT_GT(update.total(PolicyRowMetrics::kApproxKl), 0.0) << k;
    agent.end_update(side.stream(), ring);
  }
  EXPECT_GT(latest, 35.0);
}

}  // namespace
}  // namespace stampede
