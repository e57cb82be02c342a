// SPDX-License-Identifier: Apache-2.0
// Returns and advantages along the columns of a ring, cut at episode ends and bootstrapped through truncations.
#pragma once

#include "kernels/stream.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Where a rollout keeps its numbers among the ring's extra floats. A continuous policy's own sample follows at kAction:
// the record holds the action the environment executed, clipped to its bounds.
struct RolloutExtra {
  static constexpr int kLogProb = 0;
  static constexpr int kValue = 1;
  static constexpr int kAdvantage = 2;
  static constexpr int kReturn = 3;
  static constexpr int kAction = 4;

  static constexpr int size(bool continuous, int action_size) {
    return continuous ? kAction + (action_size + 3) / 4 * 4 : kAction;
  }
};

// Generalised advantage estimation, Schulman et al. 2016 (arXiv:1506.02438), equation 16. Reads the values of slots
// 0 ... T (an invalid row's value is the bootstrap of the truncation before it) and writes advantages and returns
// (= advantage + value) of slots 0 ... T - 1; 0 on invalid rows. lambda = 1 gives Monte Carlo minus V, lambda = 0 the
// TD error. Rewards are multiplied by *reward_scale (device memory; null = 1). temperature adds the entropy of maximum-
// entropy returns (Haarnoja et al. 2017, arXiv:1702.08165, equation 1), estimated by -log pi of the action taken, to
// every reward. Stream-ordered.
void compute_gae(const Stream& stream, const RingView& ring, float gamma, float lambda, const float* reward_scale,
                 float temperature = 0.0f);

// V-trace targets for data that an older policy collected: Espeholt et al. 2018 (arXiv:1802.01561), equation 1, with
// the traces' lambda of its remark 2. ratios [T * N] = pi(a) / mu(a); kValue holds values of the present parameters.
// Writes kReturn = the target v_s and kAdvantage = r + gamma (lambda v_s+1 + (1 - lambda) V_s+1) - V_s, times the
// clipped ratio when weighted (for losses without a ratio of their own). With all ratios 1 this is compute_gae.
// Stream-ordered.
struct VtraceConfig {
  float gamma = 0.99f;
  float lambda = 1.0f;
  float ratio_bar = 1.0f;  // rho bar: most weight of a temporal difference
  float trace_bar = 1.0f;  // c bar: most weight of a trace
  bool weighted = false;
  float temperature = 0.0f;  // as for compute_gae
};
void compute_vtrace(const Stream& stream, const RingView& ring, const VtraceConfig& config, const float* ratios,
                    const float* reward_scale);

// Discounted returns without bootstrap beyond terminations: kReturn of slots 0 ... T - 1 from rewards and the values of
// truncated and last rows. Equals compute_gae with lambda = 1 plus the value.
void compute_discounted_returns(const Stream& stream, const RingView& ring, float gamma, const float* reward_scale);

// Where Q-learning on rollouts keeps its numbers among the ring's extra floats.
struct QRolloutExtra {
  static constexpr int kBootstrap = 0;  // what the row's observation is worth to the row before it
  static constexpr int kReturn = 1;
  static constexpr int kSize = 2;
};

// Q(lambda) returns after Peng & Williams 1996, as Gallici et al. 2024 (arXiv:2407.04811), equation 14: backwards along
// every column, G_t = r_t + gamma ((1 - lambda) b_{t+1} + lambda G_{t+1}). Reads the bootstraps b of slots 1 ... T (an
// invalid row's is that of the truncation before it) and writes the returns of slots 0 ... T - 1; 0 on invalid rows. A
// truncated or last row takes b_{t+1} alone, a terminated one its reward. lambda = 0 gives one-step targets, lambda = 1
// returns to the end of the episode or rollout. Stream-ordered.
void compute_q_lambda(const Stream& stream, const RingView& ring, float gamma, float lambda);

// n-step target pieces of the row at flat position (slot, environment): the folded reward, the factor of the bootstrap
// value (gamma^k, 0 after a termination) and the slot whose observation bootstraps. Cut at the first episode end.
struct NStepTarget {
  float reward = 0.0f;
  float discount = 0.0f;
  int bootstrap_slot = 0;
  int steps = 0;
};
HD NStepTarget fold_n_step(const RingView& ring, int slot, int environment, int n, float gamma) {
  NStepTarget target;
  float factor = 1.0f;
  const int slots = ring.slots();
  int s = slot;
  for (int k = 0; k < n; ++k) {
    const std::size_t index = ring.index(s, environment);
    const std::uint32_t flags = ring.flags(index);
    target.reward = fused(factor, ring.reward(index), target.reward);
    factor *= gamma;
    s = s + 1 == slots ? 0 : s + 1;
    target.steps = k + 1;
    if (flags & kTerminated) factor = 0.0f;
    if (flags & kEpisodeEnd) break;
  }
  target.discount = factor;
  target.bootstrap_slot = s;
  return target;
}

}  // namespace stampede
