// SPDX-License-Identifier: Apache-2.0
// Whole rollouts: the bits of one CPU thread on two, and on CUDA from the fused kernel and step by step.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agents/networks/mlp_network.h"
#include "sim/registry.h"
#include "tests/parity/device_array.h"
#include "train/collector.h"

namespace stampede {
namespace {

constexpr int kRows = 40;

struct Rollout {
  std::vector<std::byte> obs;
  std::vector<std::uint32_t> records;
  std::vector<float> extra;
  std::vector<std::byte> environments;
};

// Environments, a ring and an agent on a stream's device.
class Rig {
 public:
  Rig(const EnvEntry& entry, const Stream& stream, int environments, bool shared_torso,
      Precision precision = Precision::kFp32)
      : entry_(entry),
        stream_(stream),
        environments_(environments),
        shared_torso_(shared_torso),
        precision_(precision),
        arena_(stream.device()) {
    build();
    arena_.allocate("test");
    build();
    env_->reset(stream_, ring_->obs(0));
    agent_->initialize(stream_);
  }

  Rollout collect(FusedUse use) {
    const auto collector = make_collector({.fused = use, .precision = precision_}, stream_, *env_, *agent_);
    for (int rollout = 0; rollout < 2; ++rollout) {
      collector->collect(stream_, *env_, *agent_, *ring_);
      ring_->advance(kRows);
    }
    return {to_host(stream_, ring_->obs_bytes()), to_host(stream_, ring_->record_words()),
            to_host(stream_, ring_->extra_values()), to_host(stream_, env_->checkpoint_bytes())};
  }

  // What an update on the whole rollout says of it. CUDA only.
  PolicyMetrics learn() {
    const RingView ring = ring_->view();
    agent_->begin_update(stream_, ring, 0.99f);
    agent_->fused()->measure(stream_, ring, {{}, false, environments_ * kRows}, 1, 1);
    agent_->fused()->update(stream_, ring,
                            {0, 0, AdvantageScaling::kNone, AnyPolicyLoss(PpoLossConfig{}), 0.0f, 1e-3f});
    return agent_->read_metrics(stream_);
  }

 private:
  void build() {
    const EnvSpec& spec = entry_.spec;
    const bool discrete = spec.observation.is_discrete();
    const RingShape shape{environments_,
                          kRows,
                          discrete ? 1 : spec.observation.size,
                          discrete ? ObsType::kInt32 : ObsType::kFloat32,
                          RecordLayout::for_action_size(spec.action.size),
                          RolloutExtra::size(!spec.action.is_discrete(), spec.action.size)};
    ActorCriticConfig config;
    config.shared_torso = shared_torso_;
    config.precision = precision_;
    env_ = entry_.make({}, environments_, 5, 0, arena_);
    ring_ = std::make_unique<TrajectoryRing>(shape, arena_);
    auto network = std::make_shared<MlpNetwork>(ActorCritic::network_spec(config, spec.observation, spec.action));
    const ActorCriticShape sizes{shape, stream_.threads(), environments_, 64, 1};
    agent_ = std::make_unique<ActorCritic>(config, spec.action, std::move(network), sizes, 9, stream_, arena_);
  }

  const EnvEntry& entry_;
  Stream stream_;
  int environments_;
  bool shared_torso_;
  Precision precision_;
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<ActorCritic> agent_;
};

void expect_equal(const Rollout& expected, const Rollout& got, const std::string& what) {
  EXPECT_TRUE(same_bits(expected.obs, got.obs)) << what << ": observations";
  EXPECT_TRUE(same_bits(expected.records, got.records)) << what << ": records";
  EXPECT_TRUE(same_bits(expected.extra, got.extra)) << what << ": log-probabilities and values";
  EXPECT_TRUE(same_bits(expected.environments, got.environments)) << what << ": environments";
}

TEST(RolloutParity, SameBitsOnEveryStream) {
  const EnvRegistry registry = builtin_environments();
  const int environments = on_software_device() ? 67 : 257;
  for (const EnvEntry& entry : registry.entries()) {
    for (const bool shared_torso : {true, false}) {
      const Rollout expected = Rig(entry, Stream::cpu(1), environments, shared_torso).collect(FusedUse::kNever);
      for (const Stream& stream : streams_to_compare()) {
        const std::string what = std::string(entry.spec.id) + " on " + std::string(device_name(stream.device()));
        expect_equal(expected, Rig(entry, stream, environments, shared_torso).collect(FusedUse::kNever), what);
        if (!stream.is_cuda()) continue;
        expect_equal(expected, Rig(entry, stream, environments, shared_torso).collect(FusedUse::kAlways),
                     what + ", fused");
      }
    }
  }
}

// Rollout and update put the same numbers into the same products of tensor cores.
TEST(RolloutParity, FirstRatioInBf16IsOne) {
  if (const std::string reason = cuda_unavailable_reason(); !reason.empty()) GTEST_SKIP() << reason;
  const EnvRegistry registry = builtin_environments();
  for (const char* id : {"CartPole-v1", "Acrobot-v1", "Pendulum-v1"}) {
    for (const bool shared_torso : {true, false}) {
      Rig rig(registry.find(id), Stream::cuda(), 257, shared_torso, Precision::kBf16);
      rig.collect(FusedUse::kAlways);
      const PolicyMetrics metrics = rig.learn();
      EXPECT_EQ(metrics.approx_kl, 0.0) << id;
      EXPECT_EQ(metrics.clip_fraction, 0.0) << id;
      EXPECT_EQ(metrics.optimizer_steps, 1) << id;
    }
  }
}

}  // namespace
}  // namespace stampede
