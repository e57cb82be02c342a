// SPDX-License-Identifier: Apache-2.0
// One or two action-value functions in one network, and the target network that follows it: Fujimoto et al. 2018
// (arXiv:1802.09477), section 4; van Hasselt 2010 for the idea of two.
#pragma once

#include <memory>

#include "agents/losses/critic_loss.h"
#include "agents/trainable_network.h"

namespace stampede {

// Output rows of the critics' network: critic k's values start at column k * stride.
struct CriticOutputs {
  const float* values;  // [rows, row_stride]
  int critics, stride, row_stride;

  HD const float* row(int r) const {
    return values + static_cast<std::size_t>(r) * static_cast<std::size_t>(row_stride);
  }
  HD float smallest(int r) const { return row(r)[smallest_critic(row(r), critics, stride) * stride]; }
};

class TwinCritic {
 public:
  // A tower per critic. outputs: 1 for Q(s, a), the number of actions for Q(s, .).
  static NetworkSpec network_spec(const NetworkShape& shape, int inputs, bool one_hot, int outputs, int critics);

  TwinCritic(std::shared_ptr<const Network> network, const OptimizerConfig& optimizer, int groups, Arena& arena);

  void initialize(const Stream& stream, std::uint64_t seed);
  // target = target + tau (online - target). Stream-ordered.
  void update_target(const Stream& stream, float tau);

  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  View<float> target_parameters() const { return target_; }
  int critics() const { return network_.spec().tower_count(); }
  CriticOutputs outputs(const float* values) const;

 private:
  TrainableNetwork network_;
  View<float> target_;  // [P]
};

// The squared errors of a tile's critics to y = rewards + discounts * bootstrap. Stream-ordered.
struct CriticTile {
  CriticOutputs q;
  const float* rewards;    // [rows]
  const float* discounts;  // [rows]
  const float* bootstrap;  // [rows], the target networks' value of the next state
  int rows;
  float weight;      // of every derivative
  float* d_outputs;  // [rows, row_stride], padding written zero
  float* metrics;    // [CriticRowMetrics::kSize, rows]
};
void critic_tile_loss(const Stream& stream, const CriticTile& tile);

// bootstrap[r] = min_k Q_k. Stream-ordered.
void smallest_values(const Stream& stream, int rows, const CriticOutputs& q, float* bootstrap);

}  // namespace stampede
