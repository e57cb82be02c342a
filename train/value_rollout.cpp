// SPDX-License-Identifier: Apache-2.0
#include "train/value_rollout.h"

#include <algorithm>
#include <utility>

namespace stampede {
namespace {

FusedNetwork acting_network(const ValueRolloutSetup& setup) {
  const FusedNetwork network = fused_network(setup.network);
  return setup.target ? with_target(network, setup.target) : network;
}

std::unique_ptr<ValueRollout> make_fused_values(Precision precision, const Stream& stream, const VectorEnv& env,
                                                const ValueRolloutSetup& setup, std::string& reason) {
  reason = "it runs on device=cuda only";
  if (!stream.is_cuda()) return nullptr;
  reason = setup.refusal.empty() ? fused_network_refusal(setup.network, precision) : setup.refusal;
  if (!reason.empty()) return nullptr;
  const FusedNetwork network = acting_network(setup);
  FusedLaunch shape;
  std::unique_ptr<FusedRollout> rollout = find_launchable_rollout(stream, env, network, precision, shape, reason);
  if (rollout == nullptr) return nullptr;
  return std::make_unique<ValueRollout>(std::move(rollout), setup, network, shape);
}

}  // namespace

FusedRows value_rows(const ValueRolloutSetup& setup, const TrajectoryRing& ring, std::int64_t first, int left,
                     bool first_is_chosen, const ValueRollout::ExplorationOf& exploration) {
  const RingShape& shape = ring.shape();
  FusedRows rows{.first_obs = static_cast<const std::uint32_t*>(ring.obs(ring.slot(first))),
                 .obs = static_cast<std::uint32_t*>(ring.obs(0)),
                 .records = ring.records(0),
                 .extra = shape.extra_size > 0 ? ring.extra(0) : nullptr,
                 .extra_size = shape.extra_size,
                 .slots = shape.rows + 1,
                 .first_slot = ring.slot(first),
                 .environments = shape.environments,
                 .steps = std::min(left, FusedExploration::kMostRows),
                 .first_row = static_cast<std::uint64_t>(first),
                 .seed = setup.seed,
                 .acts_on_head = setup.values.bootstraps && left <= FusedExploration::kMostRows,
                 .head = FusedHead::kValues,
                 .log_sigma = nullptr,
                 .action = setup.action,
                 .values = setup.values};
  rows.values.first_is_chosen = first_is_chosen;
  const int acts = rows.steps + (rows.acts_on_head ? 1 : 0);
  for (int t = 0; t < acts; ++t) rows.values.exploration.row[t] = exploration(first + t);
  return rows;
}

void ValueRollout::collect(const Stream& stream, const TrajectoryRing& ring, int rows, const float* parameters,
                           bool first_is_chosen, const ExplorationOf& exploration) {
  network_.tower[0].parameters = parameters;
  for (int done = 0; done < rows;) {
    const FusedRows part =
        value_rows(setup_, ring, ring.head() + done, rows - done, first_is_chosen && done == 0, exploration);
    rollout_->launch(stream, shape_, network_, part);
    done += part.steps;
  }
}

std::unique_ptr<ValueRollout> make_value_rollout(const CollectorOptions& options, const Stream& stream,
                                                 const VectorEnv& env, const ValueRolloutSetup& setup) {
  std::string reason;
  if (options.fused != FusedUse::kNever) {
    if (auto fused = make_fused_values(options.precision, stream, env, setup, reason)) return fused;
  }
  check_refusal(options, reason);
  return nullptr;
}

}  // namespace stampede
