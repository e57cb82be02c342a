// SPDX-License-Identifier: Apache-2.0
// PPO with environments and a ring of its own, driven step by step.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "agents/ppo.h"
#include "tests/unit/toy_environments.h"

namespace stampede {

// One hidden layer of 16; environments draw from seed 3, the agent from seed 9.
class PpoRig {
 public:
  PpoRig(const std::string& env, PpoConfig config, int environments, int rows)
      : registry_(registry_with_toys()),
        entry_(registry_.find(env)),
        config_(config),
        stream_(Stream::cpu()),
        arena_(Device{}) {
    config_.actor_critic.network.hidden = {16};
    const EnvSpec& spec = entry_.spec;
    const bool continuous = !spec.action.is_discrete();
    shape_ = {environments,
              rows,
              spec.observation.is_discrete() ? 1 : spec.observation.size,
              spec.observation.is_discrete() ? ObsType::kInt32 : ObsType::kFloat32,
              RecordLayout::for_action_size(spec.action.size),
              RolloutExtra::size(continuous, spec.action.size)};
    make();
    arena_.allocate("test");
    make();
    env_->reset(stream_, ring_->obs(0));
    ppo_->initialize(stream_);
  }

  void collect() {
    ring_->begin_rollout(stream_);
    const auto first = static_cast<std::uint64_t>(ring_->head());
    for (int t = 0; t < shape_.rows; ++t) {
      agent().act(stream_, request(t, first, ActionMode::kSample));
      env_->step(stream_, 0, shape_.environments,
                 {ring_->records(t), ring_->obs(t + 1), first + static_cast<std::uint64_t>(t)});
    }
    agent().evaluate_head(stream_, request(shape_.rows, first, ActionMode::kSample));
    ring_->advance(shape_.rows);
  }
  ActorCritic::ActRequest request(int t, std::uint64_t first, ActionMode mode) {
    return {ring_->obs(t),
            ring_->records(t),
            ring_->extra(t),
            0,
            shape_.environments,
            first + static_cast<std::uint64_t>(t),
            0,
            mode};
  }
  PolicyMetrics learn(float learning_rate, std::uint64_t iteration = 0) {
    ppo_->learn(stream_, *ring_, {learning_rate, config_.clip, config_.entropy_weight, iteration});
    return agent().read_metrics(stream_);
  }
  // Parameters, moments and step.
  std::vector<float> learner() const {
    std::vector<float> all;
    const TrainableNetwork& n = ppo_->actor_critic().network();
    for (const View<float>& view : {n.parameter_block(), n.first_moment(), n.second_moment()}) {
      all.insert(all.end(), view.data, view.data + view.size());
    }
    all.push_back(static_cast<float>(n.state()->step));
    return all;
  }

  const RingView& view() const { return ring_->view(); }
  TrajectoryRing& ring() { return *ring_; }
  ActorCritic& agent() { return ppo_->actor_critic(); }
  const Stream& stream() const { return stream_; }

 private:
  void make() {
    env_ = entry_.make({}, shape_.environments, 3, 0, arena_);
    ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
    const NetworkSpec spec =
        ActorCritic::network_spec(config_.actor_critic, entry_.spec.observation, entry_.spec.action);
    ppo_ = std::make_unique<Ppo>(config_, entry_.spec.action, std::make_shared<MlpNetwork>(spec), shape_, 1,
                                 shape_.environments, 9, stream_, arena_);
  }

  EnvRegistry registry_;
  const EnvEntry& entry_;
  PpoConfig config_;
  Stream stream_;
  Arena arena_;
  RingShape shape_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<Ppo> ppo_;
};

}  // namespace stampede
