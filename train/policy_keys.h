// SPDX-License-Identifier: Apache-2.0
// Configuration keys that the policy-gradient methods share, and what they are read into.
#pragma once

#include "agents/actor_critic.h"
#include "train/collector.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList collector_keys();     // fused, precision: how rollouts are collected
KeyList rollout_keys();       // rollout_steps, gamma, gae_lambda and those
KeyList actor_critic_keys();  // weights of value and entropy, normalisers, log_sigma, optimizer, network

ActorCriticConfig actor_critic_config(const Config& config);
CollectorOptions collector_options(const Config& config);
// Rows of one rollout over all environments.
std::int64_t rollout_rows(const Config& config);

}  // namespace stampede
