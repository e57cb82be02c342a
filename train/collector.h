// SPDX-License-Identifier: Apache-2.0
// How a rollout gets into the ring: step by step on any device, or as one CUDA kernel. Both write the same rows.
#pragma once

#include <memory>
#include <string>

#include "agents/actor_critic.h"
#include "agents/fused/fused_use.h"
#include "sim/vector_env.h"
#include "train/fused/fused_rollout.h"

namespace stampede {

class Collector {
 public:
  virtual ~Collector() = default;

  // Moves the ring's head to slot 0 and collects T rows of every environment from there, and the values of the last
  // slot: records, observations, and of the extra floats log-probability, value and a continuous policy's own sample.
  // Does not advance the ring. Stream-ordered.
  virtual void collect(const Stream& stream, VectorEnv& env, const ActorCritic& agent, TrajectoryRing& ring) const = 0;
};

// Acting and stepping alternate; on a CPU a thread takes a block of environments through all rows.
class StepwiseCollector final : public Collector {
 public:
  void collect(const Stream& stream, VectorEnv& env, const ActorCritic& agent, TrajectoryRing& ring) const override;
};

struct CollectorOptions {
  FusedUse fused = FusedUse::kAuto;
  Precision precision = Precision::kFp32;  // of the fused policy
};

// Throws UsageError where options insist on a fused rollout that is refused for this reason.
void check_refusal(const CollectorOptions& options, const std::string& reason);

// The fused kernel where one fits, unless kNever. Throws UsageError with the reason where none does although kAlways or
// kBf16 asks for it. Where the agent does not learn in the precision that acts, log-probabilities and values are
// evaluated again.
std::unique_ptr<Collector> make_collector(const CollectorOptions& options, const Stream& stream, const VectorEnv& env,
                                          const ActorCritic& agent);

}  // namespace stampede
