// SPDX-License-Identifier: Apache-2.0
// The device steps of deterministic policy gradients: actions with noise, smoothed target actions, the policy's
// gradient through the critic. Discrete actions are Gumbel-softmax samples. Critics learn from executed, one-hot
// actions alone, so their slope between those says nothing: a relaxed action a is worth sum_j a_j Q(s, e_j).
#pragma once

#include "agents/losses/td3_loss.h"
#include "agents/off_policy_act.h"
#include "agents/replay_batch.h"
#include "agents/twin_critic.h"

namespace stampede {

// Output rows of an actor: pre-tanh actions, or logits of discrete ones.
struct ActorOutputs {
  const float* values;  // [rows, stride]
  int stride;

  HD const float* row(int r) const { return values + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride); }
};

// Writes the requested actions into records. Stream-ordered.
void act_deterministic(const Stream& stream, const ActRows& rows, const ActorOutputs& actor, const NoiseView& noise);

// What the noise of target actions is: Gaussian, in units of coded actions.
struct SmoothingConfig {
  float sigma = 0.2f, limit = 0.5f;
};

// The target policy's action into columns [obs_size, obs_size + A) of the critic's rows. Stream-ordered.
struct ChosenActions {
  ActorOutputs actor;
  RandomKey key;   // index = sample of the update
  int begin;       // sample of row 0
  CriticRows out;  // [rows, stride]
  int obs_size;
};
void choose_target_actions(const Stream& stream, int rows, const ChosenActions& chosen,
                           const SmoothingConfig& smoothing);

// The policy's action likewise. softened [rows, A] gets a discrete one before it is rounded to one-hot, else null.
void choose_policy_actions(const Stream& stream, int rows, const ChosenActions& chosen, float temperature,
                           float* softened);

// -Q_1(s, mu(s)): d_outputs of the critics [rows, row_stride] and metrics [Td3RowMetrics::kSize, rows].
// Stream-ordered.
void td3_policy_tile_loss(const Stream& stream, int rows, const CriticOutputs& q, float weight, float* d_outputs,
                          float* metrics);

// The loss -sum_j a_j Q_1(s, e_j) of relaxed discrete actions, one j = `action` after the other.
struct LinearExtension {
  CriticRows out;          // [rows, stride], takes e_j
  const float* softened;   // [rows, A]
  float* d_critic_inputs;  // [rows, stride], takes dL/da_j
  int obs_size;
  int action;
};
// e_j into the critic's rows. Stream-ordered.
void write_one_hot_actions(const Stream& stream, int rows, const LinearExtension& extension);
// q: values of those rows. metrics [Td3RowMetrics::kSize, rows] sum over calls with action = 0, 1, ... Stream-ordered.
void linear_extension_loss(const Stream& stream, int rows, const LinearExtension& extension, const CriticOutputs& q,
                           float weight, float* metrics);

// From dL/da, which the critic passed back, to the actor's outputs. Stream-ordered.
struct Td3PolicyGradient {
  ActorOutputs actor;
  CriticRows chosen;             // with the actions of choose_policy_actions
  const float* softened;         // [rows, A] for discrete actions
  const float* d_critic_inputs;  // [rows, critic stride]
  int obs_size;
  float temperature;
  float output_penalty;  // weight of the mean square of the outputs: keeps Gumbel samples explorative and tanh alive
  float weight;
  float* d_outputs;  // [rows, stride] of the actor
};
void td3_policy_gradient(const Stream& stream, int rows, const Td3PolicyGradient& gradient);

}  // namespace stampede
