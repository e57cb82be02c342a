// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo.h"

#include <utility>

#include "kernels/error.h"

namespace stampede {
namespace {

std::int64_t rollout_rows(const RingShape& shape) { return static_cast<std::int64_t>(shape.rows) * shape.environments; }

bool needs_ratios(const PpoConfig& config) {
  return config.objective == PpoObjective::kKlPenalty || config.estimator == AdvantageEstimator::kVtrace;
}

}  // namespace

void Ppo::check(const PpoConfig& config, std::int64_t rollout_rows) {
  check_minibatches("minibatches", config.minibatches, rollout_rows);
  if (config.epochs < 1) throw UsageError("epochs: needs at least 1");
}

Ppo::Ppo(const PpoConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      seed_(seed),
      rows_(rollout_rows(shape)),
      agent_(
          config.actor_critic, action, std::move(network),
          {shape, workers, act_rows, largest_minibatch(rows_, config.minibatches), config.epochs * config.minibatches},
          seed, stream, arena),
      batch_(RolloutBatch::take(shape, action, largest_minibatch(rows_, config.minibatches), arena)),
      moment_parts_(arena.take<MomentPart>(kMomentParts)),
      moments_(arena.take<MinibatchMoments>(1)),
      kl_weight_(arena.take<float>(1)),
      ratios_(arena.take<float>(needs_ratios(config) ? static_cast<std::size_t>(rows_) : 0)) {}

void Ppo::initialize(const Stream& stream) {
  agent_.initialize(stream);
  set_kl_weight(stream, config_.kl_weight, kl_weight_.data);
}

void Ppo::learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule) {
  const RingView& view = ring.view();
  const float value_clip = config_.clip_value ? schedule.clip : 0.0f;
  const PpoLossConfig clipped{schedule.clip, value_clip, schedule.entropy_weight, config_.value_weight};
  const PpoPenaltyLoss penalised{kl_weight_.data, schedule.entropy_weight, config_.value_weight, schedule.clip,
                                 value_clip};
  const auto epochs = static_cast<std::uint64_t>(config_.epochs);
  agent_.begin_update(stream, view, config_.gamma);
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    estimate_advantages(stream, view, schedule.iteration, static_cast<int>(epoch));
    if (config_.objective == PpoObjective::kClip) update_epoch(stream, view, schedule, epoch, clipped);
    if (config_.objective == PpoObjective::kKlPenalty) update_epoch(stream, view, schedule, epoch, penalised);
  }
  if (config_.objective == PpoObjective::kKlPenalty) {
    agent_.reevaluate(stream, view, ratios_.data);
    adapt_kl_weight(stream, view, ratios_.data, config_.kl_target, moment_parts_.data, kl_weight_.data);
  }
  agent_.end_update(stream, view);
}

void Ppo::estimate_advantages(const Stream& stream, const RingView& ring, std::uint64_t iteration, int epoch) {
  const float* const scale = agent_.reward_scaler().scale();
  if (epoch > 0 && config_.estimator == AdvantageEstimator::kGae) return;
  if (epoch == 0) {
    compute_gae(stream, ring, config_.gamma, config_.lambda, scale);
  } else {
    agent_.reevaluate(stream, ring, ratios_.data);
    compute_vtrace(stream, ring, {.gamma = config_.gamma, .lambda = config_.lambda}, ratios_.data, scale);
  }
  if (FusedPolicyUpdate* const fused = agent_.fused()) {
    fused->measure(stream, ring, {permutation_key(iteration, 0), true, static_cast<int>(rows_)}, config_.epochs,
                   config_.minibatches);
  }
}

RandomKey Ppo::permutation_key(std::uint64_t iteration, std::uint64_t epoch) const {
  return {seed_, iteration * static_cast<std::uint64_t>(config_.epochs) + epoch, Purpose::kPermutation};
}

template <class Loss>
void Ppo::update_epoch(const Stream& stream, const RingView& ring, const PpoSchedule& schedule, std::uint64_t epoch,
                       const Loss& loss) {
  if (const FusedPolicyUpdate* const fused = agent_.fused()) {
    for (int m = 0; m < config_.minibatches; ++m) {
      fused->update(stream, ring,
                    {static_cast<int>(epoch), m, config_.scaling, AnyPolicyLoss(loss), config_.target_kl,
                     schedule.learning_rate});
    }
    return;
  }
  const Permutation permutation(permutation_key(schedule.iteration, epoch), static_cast<std::uint32_t>(rows_));
  for (int m = 0; m < config_.minibatches; ++m) {
    // On CUDA the remaining updates are enqueued as no-ops; a CPU can see the flag and save the work.
    if (!stream.is_cuda() && agent_.network().state()->stop) return;
    const Minibatch minibatch = cut_minibatch(permutation, rows_, m, config_.minibatches);
    gather_minibatch(stream, ring, agent_.action(), minibatch, batch_);
    measure_minibatch(stream, batch_, minibatch.size, config_.scaling, moment_parts_.data, moments_.data);
    const int groups =
        agent_.accumulate(stream, batch_.obs, minibatch.size, [&](const Stream& serial, const PolicyTile& tile) {
          ppo_tile_loss(serial, loss, agent_.layout(), batch_, moments_.data, tile);
        });
    agent_.update(stream, groups, config_.target_kl, schedule.learning_rate);
  }
}

}  // namespace stampede
