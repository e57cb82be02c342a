// SPDX-License-Identifier: Apache-2.0
// A ring of made-up transitions, and an agent that learns from it, without environments.
#pragma once

#include <functional>
#include <memory>

#include "agents/networks/mlp_network.h"
#include "agents/replay_batch.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// A reward whose best action is half of the first observation.
inline float quadratic(const float* obs, const float* action) {
  const float off = action[0] - 0.5f * obs[0];
  return 1.0f - off * off;
}

// Observations of three numbers in [-1, 1], actions of `Agent`'s space, rewards from a function of both.
template <class Agent, class AgentConfig>
class ActorCriticRig {
 public:
  using Reward = std::function<float(const float* obs, const float* coded_action)>;

  ActorCriticRig(const AgentConfig& config, const Space& action, const Reward& reward, int threads = 1)
      : stream_(Stream::cpu(threads)),
        arena_(Device{}),
        shape_{kEnvironments, kRows, 3, ObsType::kFloat32, RecordLayout::for_action_size(action.size), 0} {
    const Space observation = Space::box<3>({-1, -1, -1}, {1, 1, 1});
    const auto make = [&] {
      ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
      agent_ = std::make_unique<Agent>(config, action, Agent::networks(config, observation, action, factory), shape_,
                                       threads, kEnvironments, 9, stream_, arena_);
    };
    make();
    arena_.allocate("test");
    make();
    agent_->initialize(stream_);
    fill(action_code(action), reward);
  }

  void learn(int updates, float critic_rate, float actor_rate) {
    for (int k = 0; k < updates; ++k) agent_->learn(stream_, *ring_, update_++, critic_rate, actor_rate);
  }
  Agent& agent() { return *agent_; }
  TrajectoryRing& ring() { return *ring_; }
  const Stream& stream() const { return stream_; }

  static constexpr int kEnvironments = 4, kRows = 64;

 private:
  static std::unique_ptr<Network> factory(const NetworkSpec& spec) { return std::make_unique<MlpNetwork>(spec); }

  void fill(const ActionCode& code, const Reward& reward) {
    for (int t = 0; t < kRows; ++t) {
      auto* const obs = static_cast<float*>(ring_->obs(t));
      for (int i = 0; i < kEnvironments; ++i) {
        Rng rng({11, static_cast<std::uint64_t>(t), Purpose::kEnvironmentStep}, static_cast<std::uint32_t>(i));
        for (int k = 0; k < 3; ++k) obs[i * 3 + k] = rng.uniform(-1.0f, 1.0f);
        float coded[kMaxSpaceSize] = {};
        for (int j = 0; j < code.size; ++j) coded[j] = rng.uniform(-1.0f, 1.0f);
        std::uint32_t* const record = ring_->records(t) + i * shape_.record.words;
        code.write(coded, record);
        code.read(record, coded);
        record[shape_.record.action_size] = float_bits(reward(obs + i * 3, coded));
        record[shape_.record.action_size + 1] = kValid | kTerminated;
      }
      ring_->advance();
    }
  }

  Stream stream_;
  Arena arena_;
  RingShape shape_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<Agent> agent_;
  std::uint64_t update_ = 0;
};

}  // namespace stampede
