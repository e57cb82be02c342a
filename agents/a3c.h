// SPDX-License-Identifier: Apache-2.0
// Asynchronous advantage actor-critic: Mnih et al. 2016 (arXiv:1602.01783), algorithm S3, on CPU threads; its n-step
// advantages are generalised to GAE(lambda).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "agents/a2c.h"
#include "agents/shared_network.h"

namespace stampede {

// Every worker is an actor-critic with N environments and a ring of the T rows of one rollout (an on-policy ring, begun
// by the caller). Methods that name a worker may run at the same time for different workers; a call belongs to one
// thread. Gradients are means over a rollout's rows, as in A2C, so that both take the same hyper-parameters.
class A3c {
 public:
  // shape: of one worker's ring, extra_size = RolloutExtra::size(...). worker_arenas: one per worker, so that no two
  // share a cache line. Evaluations act with worker 0 on `evaluation_workers` threads, `evaluation_rows` rows at most.
  A3c(const A2cConfig& config, const RmsPropConfig& optimizer, const Space& action,
      std::shared_ptr<const Network> network, const RingShape& shape, int evaluation_workers, int evaluation_rows,
      std::uint64_t seed, const Stream& stream, Arena& arena, std::span<Arena> worker_arenas);

  // Fresh parameters, of which every worker has a snapshot.
  void initialize(const Stream& stream);
  // After parameters and normalisers were restored from a checkpoint.
  void restored(const Stream& stream);

  // Actions of all the worker's environments at the ring's head, into its records and extra floats.
  void act(const Stream& stream, int worker, const TrajectoryRing& ring) const;
  // Adds the gradient of the rollout in the ring to the shared parameters.
  void learn(const Stream& stream, int worker, const TrajectoryRing& ring, const A2cSchedule& schedule);
  // The first half of learn(): the rollout's gradient in the first groups of the worker's network; their number.
  int accumulate(const Stream& stream, int worker, const TrajectoryRing& ring, float entropy_weight);

  // Worker 0's parameters become the shared ones, for an evaluation. Not while workers run.
  void synchronize(const Stream& stream) { shared_.snapshot(stream, agent(0).network()); }
  // Means over the updates of all workers since the last call. Not while workers run.
  PolicyMetrics read_metrics(const Stream& stream);
  // How far the worker's snapshot is from the policy that collected the rollout in its ring. Not while workers run.
  PolicyDrift read_drift(const Stream& stream, int worker, const TrajectoryRing& ring);

  SharedNetwork& shared() { return shared_; }
  const SharedNetwork& shared() const { return shared_; }
  ActorCritic& agent(int worker) const { return workers_[static_cast<std::size_t>(worker)]->agent; }

 private:
  struct alignas(128) Worker {
    PolicyGradient gradient;
    ActorCritic agent;
    std::int64_t steps_read = 0;  // optimiser steps when metrics were last read
  };

  A2cConfig config_;
  RingShape shape_;
  std::uint64_t seed_;
  SharedNetwork shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace stampede
