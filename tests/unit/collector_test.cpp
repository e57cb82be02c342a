// SPDX-License-Identifier: Apache-2.0
// Where the fused rollout fits, how it is launched, and what a request that cannot be met is told.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agents/networks/mlp_network.h"
#include "kernels/error.h"
#include "sim/registry.h"
#include "train/collector.h"
#include "train/fused/fused_network.h"

namespace stampede {
namespace {

constexpr std::size_t kShared = 227 * 1024;

TEST(FusedLaunch, SpreadsPairsOfWarpsOverAllMultiprocessors) {
  const DeviceLimits limits{kShared, 132};
  const auto launch = [&](int environments) { return fused_launch(20000, 9216, environments, limits); };
  EXPECT_EQ(launch(1).grid, 1u);
  EXPECT_EQ(launch(1).environments, 64u);
  EXPECT_EQ(launch(1).shared, 20000u + 2 * 9216u);
  EXPECT_EQ(launch(64).grid, 1u);
  EXPECT_EQ(launch(65).grid, 2u);
  EXPECT_EQ(launch(132 * 64).grid, 132u);
  EXPECT_EQ(launch(132 * 64).environments, 64u);
  EXPECT_EQ(launch(132 * 64 + 1).environments, 128u);
  EXPECT_EQ(launch(1 << 20).environments, 192u);
  EXPECT_EQ(launch(1 << 20).grid, ((1u << 20) / 64 + 2) / 3);
}

TEST(FusedLaunch, TakesWhatSharedMemoryHolds) {
  const DeviceLimits limits{100000, 1};
  EXPECT_EQ(fused_launch(40000, 15000, 1 << 16, limits).environments, 128u);
  EXPECT_EQ(fused_launch(40000, 30000, 1 << 16, limits).environments, 64u);
  EXPECT_EQ(fused_launch(40000, 30000, 1 << 16, limits).shared, 100000u);
  EXPECT_EQ(fused_launch(40001, 30000, 1 << 16, limits).grid, 0u);
}

TEST(FusedLaunch, BlocksThatAreAloneFetchWithMoreThreads) {
  const DeviceLimits limits{227 * 1024, 132};
  const auto threads = [&](int environments) { return fused_launch(20000, 9216, environments, limits).block; };
  EXPECT_EQ(threads(1), 256u);
  EXPECT_EQ(threads(132 * 64), 256u);
  EXPECT_EQ(threads(132 * 192), 256u);
  EXPECT_EQ(threads(132 * 192 + 1), 192u);
}

class Collectors : public testing::Test {
 protected:
  void build(const std::string& env, const ActorCriticConfig& config) {
    const EnvEntry& entry = registry_.find(env);
    const EnvSpec& spec = entry.spec;
    const RingShape shape{4, 2, 1, ObsType::kFloat32, RecordLayout::for_action_size(spec.action.size), 8};
    env_ = entry.make({}, 4, 1, 0, arena_);
    agent_ = std::make_unique<ActorCritic>(
        config, spec.action,
        std::make_shared<MlpNetwork>(ActorCritic::network_spec(config, spec.observation, spec.action)),
        ActorCriticShape{shape}, 1, Stream::cpu(), arena_);
  }
  std::string refusal(const ActorCriticConfig& config, const std::string& env = "CartPole-v1",
                      Precision precision = Precision::kFp32) {
    build(env, config);
    return fused_network_refusal(*agent_, precision);
  }
  static ActorCriticConfig with_hidden(std::vector<int> hidden) {
    ActorCriticConfig config;
    config.network.hidden = std::move(hidden);
    return config;
  }

  EnvRegistry registry_ = builtin_environments();
  Arena arena_{Device{}};
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<ActorCritic> agent_;
};

TEST_F(Collectors, NetworksThatDoNotFitSayWhy) {
  EXPECT_EQ(refusal(with_hidden({64, 64})), "");
  EXPECT_EQ(refusal(with_hidden({8, 128})), "");
  EXPECT_NE(refusal(with_hidden({64})).find("two hidden layers"), std::string::npos);
  EXPECT_NE(refusal(with_hidden({64, 64, 64})).find("two hidden layers"), std::string::npos);
  EXPECT_NE(refusal(with_hidden({64, 136})).find("at most 128"), std::string::npos);
  EXPECT_NE(refusal(with_hidden({60, 64})).find("multiples of 8"), std::string::npos);
  ActorCriticConfig config = with_hidden({64, 64});
  config.network.layer_norm = true;
  EXPECT_EQ(refusal(config), "");
  EXPECT_NE(refusal(config, "CartPole-v1", Precision::kBf16).find("normalisation of layers"), std::string::npos);
  config.network.layer_norm = false;
  config.continuous = ContinuousPolicy::kBeta;
  EXPECT_NE(refusal(config, "Pendulum-v1").find("gaussian"), std::string::npos);
}

TEST_F(Collectors, ACpuCollectsStepByStepAndSaysSoWhenAskedForMore) {
  build("CartPole-v1", with_hidden({64, 64}));
  const auto make = [&](const CollectorOptions& options) {
    return make_collector(options, Stream::cpu(), *env_, *agent_);
  };
  EXPECT_NE(dynamic_cast<StepwiseCollector*>(make({}).get()), nullptr);
  EXPECT_NE(dynamic_cast<StepwiseCollector*>(make({.fused = FusedUse::kNever}).get()), nullptr);
  EXPECT_THROW(make({.fused = FusedUse::kAlways}), UsageError);
  EXPECT_THROW(make({.precision = Precision::kBf16}), UsageError);
  EXPECT_THROW(make({.fused = FusedUse::kNever, .precision = Precision::kBf16}), UsageError);
}

}  // namespace
}  // namespace stampede
