// SPDX-License-Identifier: Apache-2.0
#include "train/collector.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/error.h"
#include "train/env_blocks.h"

namespace stampede {
namespace {

FusedRows fused_rows(const ActorCritic& agent, TrajectoryRing& ring) {
  const RingShape& shape = ring.shape();
  return {.first_obs = static_cast<const std::uint32_t*>(ring.start_rollout()),
          .obs = static_cast<std::uint32_t*>(ring.obs(0)),
          .records = ring.records(0),
          .extra = ring.extra(0),
          .extra_size = shape.extra_size,
          .slots = shape.rows + 1,
          .first_slot = 0,
          .environments = shape.environments,
          .steps = shape.rows,
          .first_row = static_cast<std::uint64_t>(ring.head()),
          .seed = agent.seed(),
          .acts_on_head = true,
          .head = FusedHead::kPolicy,
          .log_sigma = agent.layout().log_sigma,
          .action = agent.action()};
}

class FusedCollector final : public Collector {
 public:
  FusedCollector(std::unique_ptr<FusedRollout> rollout, const FusedNetwork& network, const FusedLaunch& shape,
                 Precision precision)
      : rollout_(std::move(rollout)), network_(network), shape_(shape), precision_(precision) {}

  void collect(const Stream& stream, VectorEnv&, const ActorCritic& agent, TrajectoryRing& ring) const override {
    rollout_->launch(stream, shape_, network_, fused_rows(agent, ring));
    if (precision_ != agent.learning_precision()) agent.restate(stream, ring.view());
  }

 private:
  std::unique_ptr<FusedRollout> rollout_;
  FusedNetwork network_;
  FusedLaunch shape_;
  Precision precision_;
};

// Null with the reason where no kernel fits.
std::unique_ptr<Collector> make_fused_collector(Precision precision, const Stream& stream, const VectorEnv& env,
                                                const ActorCritic& agent, std::string& reason) {
  reason = "it runs on device=cuda only";
  if (!stream.is_cuda()) return nullptr;
  reason = fused_network_refusal(agent, precision);
  if (!reason.empty()) return nullptr;
  const FusedNetwork network = fused_network(agent);
  FusedLaunch shape;
  std::unique_ptr<FusedRollout> rollout = find_launchable_rollout(stream, env, network, precision, shape, reason);
  if (rollout == nullptr) return nullptr;
  return std::make_unique<FusedCollector>(std::move(rollout), network, shape, precision);
}

}  // namespace

void StepwiseCollector::collect(const Stream& stream, VectorEnv& env, const ActorCritic& agent,
                                TrajectoryRing& ring) const {
  ring.begin_rollout(stream);
  const int rows = ring.shape().rows;
  const auto first = static_cast<std::uint64_t>(ring.head());
  const bool later = agent.evaluates_later(stream, std::min(env.size(), env_block_size(stream, env.size())));
  const auto request = [&](int t, int begin, int end, int worker) -> ActorCritic::ActRequest {
    return {.obs = ring.obs(t),
            .records = ring.records(t),
            .extra = ring.extra(t),
            .begin = begin,
            .end = end,
            .row = first + static_cast<std::uint64_t>(t),
            .worker = worker,
            .mode = ActionMode::kSample,
            .values_follow = later};
  };
  for_each_env_block(stream, env.size(), [&](int begin, int end, int worker, const Stream& block_stream) {
    for (int t = 0; t < rows; ++t) {
      agent.act(block_stream, request(t, begin, end, worker));
      env.step(block_stream, begin, end, {ring.records(t), ring.obs(t + 1), first + static_cast<std::uint64_t>(t)});
    }
    if (!later) agent.evaluate_head(block_stream, request(rows, begin, end, worker));
  });
  if (later) agent.evaluate_rollout(stream, ring.view());
}

void check_refusal(const CollectorOptions& options, const std::string& reason) {
  const bool low = options.precision != Precision::kFp32;
  if (options.fused == FusedUse::kNever) {
    if (low) throw UsageError("precision: bf16 needs the fused rollout, not fused=false");
    return;
  }
  if (low) throw UsageError("precision: bf16 needs the fused rollout, but " + reason);
  if (options.fused == FusedUse::kAlways) throw UsageError("fused: true asks for the fused rollout, but " + reason);
}

std::unique_ptr<Collector> make_collector(const CollectorOptions& options, const Stream& stream, const VectorEnv& env,
                                          const ActorCritic& agent) {
  std::string reason;
  if (options.fused != FusedUse::kNever) {
    if (auto fused = make_fused_collector(options.precision, stream, env, agent, reason)) return fused;
  }
  check_refusal(options, reason);
  return std::make_unique<StepwiseCollector>();
}

}  // namespace stampede
