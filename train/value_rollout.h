// SPDX-License-Identifier: Apache-2.0
// Rows of a value-based method as CUDA kernels: acting, stepping and storing many rows in one launch, with the bits of
// the stepwise path.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agents/fused/fused_use.h"
#include "agents/trainable_network.h"
#include "replay/trajectory_ring.h"
#include "sim/vector_env.h"
#include "train/collector.h"
#include "train/fused/fused_rollout.h"

namespace stampede {

// An agent that acts by the values of a network with two hidden layers.
struct ValueRolloutSetup {
  const TrainableNetwork& network;
  std::uint64_t seed;  // of the agent
  Space action;
  FusedValues values = {};        // its exploration but for the rows
  const float* target = nullptr;  // parameters of the network that bootstraps, null: the one that acts
  std::string refusal = {};       // why such an agent cannot be collected this way, where it cannot
};

class ValueRollout {
 public:
  using ExplorationOf = std::function<FusedExploration::Row(std::int64_t row)>;

  ValueRollout(std::unique_ptr<FusedRollout> rollout, const ValueRolloutSetup& setup, const FusedNetwork& network,
               const FusedLaunch& shape)
      : rollout_(std::move(rollout)), setup_(setup), network_(network), shape_(shape) {}

  // Rows [head, head + rows) of the ring, in launches of at most FusedExploration::kMostRows; where values bootstrap,
  // acts on the slot behind them as well. parameters: what acts, such as noisy ones. Does not advance the ring.
  // Stream-ordered, CUDA only.
  void collect(const Stream& stream, const TrajectoryRing& ring, int rows, const float* parameters,
               bool first_is_chosen, const ExplorationOf& exploration);

 private:
  std::unique_ptr<FusedRollout> rollout_;
  ValueRolloutSetup setup_;
  FusedNetwork network_;
  FusedLaunch shape_;
};

// The rows of one launch: as many of `left` as fit, from the ring's row `first` on.
FusedRows value_rows(const ValueRolloutSetup& setup, const TrajectoryRing& ring, std::int64_t first, int left,
                     bool first_is_chosen, const ValueRollout::ExplorationOf& exploration);

// Null where no kernel fits; throws UsageError with the reason where options insist on one.
std::unique_ptr<ValueRollout> make_value_rollout(const CollectorOptions& options, const Stream& stream,
                                                 const VectorEnv& env, const ValueRolloutSetup& setup);

}  // namespace stampede
