// SPDX-License-Identifier: Apache-2.0
// What a checkpoint keeps of an actor-critic's normalisers.
#pragma once

#include <string>
#include <vector>

#include "agents/actor_critic.h"
#include "train/trainer.h"

namespace stampede {

// Appends moments and running returns, their names behind `prefix`.
inline void add_normalizer_blocks(ActorCritic& agent, const std::string& prefix, std::vector<StateBlock>& blocks) {
  const auto add_moments = [&](const char* name, View<RunningMoments> view) {
    blocks.push_back({prefix + name, StateBlock::Type::kF64, {view.size(), 3}, view.data});
  };
  add_moments("observation_moments", agent.observation_normalizer().moments());
  add_moments("return_moments", agent.reward_scaler().moments());
  const View<float> running = agent.reward_scaler().running_returns();
  blocks.push_back({prefix + "running_returns", StateBlock::Type::kF32, {running.size()}, running.data});
}

}  // namespace stampede
