// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo.h"

#include <string>
#include <utility>

#include "kernels/error.h"

namespace stampede {
namespace {

std::int64_t rollout_rows(const RingShape& shape) { return static_cast<std::int64_t>(shape.rows) * shape.environments; }

int largest_minibatch(const PpoConfig& config, const RingShape& shape) {
  return static_cast<int>((rollout_rows(shape) + config.minibatches - 1) / config.minibatches);
}

}  // namespace

void Ppo::check(const PpoConfig& config, std::int64_t rollout_rows) {
  if (config.minibatches < 1 || config.minibatches > rollout_rows) {
    throw UsageError("minibatches: " + std::to_string(config.minibatches) + " minibatches cannot be cut from " +
                     std::to_string(rollout_rows) + " rows (num_envs x rollout_steps)");
  }
  if (config.epochs < 1) throw UsageError("epochs: needs at least 1");
}

Ppo::Ppo(const PpoConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      seed_(seed),
      rows_(rollout_rows(shape)),
      agent_(config.actor_critic, action, std::move(network),
             {shape, workers, act_rows, largest_minibatch(config, shape)}, seed, stream, arena),
      batch_(RolloutBatch::take(shape, action, largest_minibatch(config, shape), arena)),
      moment_parts_(arena.take<MomentPart>(kMomentParts)),
      moments_(arena.take<MinibatchMoments>(1)) {}

void Ppo::learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule) {
  const RingView& view = ring.view();
  agent_.begin_update(stream, view, config_.gamma);
  compute_gae(stream, view, config_.gamma, config_.lambda, agent_.reward_scaler().scale());
  const PpoLossConfig loss{schedule.clip, config_.clip_value ? schedule.clip : 0.0f, schedule.entropy_weight,
                           config_.value_weight};
  for (int epoch = 0; epoch < config_.epochs; ++epoch) {
    const RandomKey key{
        seed_, schedule.iteration * static_cast<std::uint64_t>(config_.epochs) + static_cast<std::uint64_t>(epoch),
        Purpose::kPermutation};
    const Permutation permutation(key, static_cast<std::uint32_t>(rows_));
    for (int m = 0; m < config_.minibatches; ++m) {
      // On CUDA the remaining updates are enqueued as no-ops; a CPU can see the flag and save the work.
      if (!stream.is_cuda() && agent_.network().state()->stop) break;
      const auto begin = static_cast<int>(m * rows_ / config_.minibatches);
      const auto end = static_cast<int>((m + 1) * rows_ / config_.minibatches);
      update_minibatch(stream, view, {permutation, begin, end - begin}, loss, schedule.learning_rate);
    }
  }
  agent_.end_update(stream, view);
}

void Ppo::update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch,
                           const PpoLossConfig& loss, float learning_rate) {
  gather_minibatch(stream, ring, agent_.action(), minibatch, batch_);
  measure_minibatch(stream, batch_, minibatch.size, config_.normalize_advantage, moment_parts_.data, moments_.data);
  const int groups =
      agent_.accumulate(stream, batch_.obs, minibatch.size, [&](const Stream& serial, const PolicyTile& tile) {
        ppo_tile_loss(serial, loss, agent_.layout(), batch_, moments_.data, tile);
      });
  agent_.update(stream, groups, config_.target_kl, learning_rate);
}

}  // namespace stampede
