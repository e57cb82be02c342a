// SPDX-License-Identifier: Apache-2.0
// A ring of made-up rows and two equal actor-critics: one learns step by step on the CPU, the other one by the fused
// kernels under the emulator.
#pragma once

#include "tests/emulator/fused_launch.h"

#include <memory>
#include <vector>

#include "agents/actor_critic.h"
#include "agents/networks/mlp_network.h"
#include "agents/policy_gradient_steps.h"
#include "agents/ppo_steps.h"

namespace stampede {

inline void tile_loss(const Stream& stream, const PpoLossConfig& loss, const PolicyLayout& layout,
                      const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  ppo_tile_loss(stream, loss, layout, batch, moments, tile);
}
inline void tile_loss(const Stream& stream, const PpoPenaltyLoss& loss, const PolicyLayout& layout,
                      const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  ppo_tile_loss(stream, loss, layout, batch, moments, tile);
}
inline void tile_loss(const Stream& stream, const PolicyGradientLoss& loss, const PolicyLayout& layout,
                      const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  policy_gradient_tile_loss(stream, loss, layout, batch, moments, tile);
}

struct FusedCase {
  std::string name;
  int width = 64;
  bool shared_torso = false;
  Activation activation = Activation::kTanh;
  Space action = Space::discrete(2);
  int inputs = 4;
  int rows = 33;  // of the rollout: one environment each
  int minibatches = 1;
  bool permuted = true;
  bool normalize = false;  // observations
  AdvantageScaling scaling = AdvantageScaling::kNormalize;
  OptimizerConfig optimizer{.epsilon = 1e-5f, .max_norm = 0.5f};
  float target_kl = 0.0f;
  int blocks = kMostBlocks;
  Precision precision = Precision::kFp32;  // of the fused update
};

class FusedUpdateRig {
 public:
  explicit FusedUpdateRig(const FusedCase& setup)
      : case_(setup),
        shape_{setup.rows,
               1,
               setup.inputs,
               ObsType::kFloat32,
               RecordLayout::for_action_size(setup.action.size),
               RolloutExtra::size(!setup.action.is_discrete(), setup.action.size)},
        arena_(Device{}) {
    make();
    arena_.allocate("test");
    make();
    for (ActorCritic* agent : {&*stepwise_, &*fused_agent_}) {
      agent->initialize(stream_);
      agent->begin_update(stream_, ring_->view(), 0.9f);
    }
    fill();
    if (case_.normalize) {
      stepwise_->end_update(stream_, ring_->view());
      fused_agent_->end_update(stream_, ring_->view());
    }
  }

  // The next learn_fused() is that of a new iteration.
  void begin() { fused_->begin(); }

  // Epochs of updates by the launches of CUDA. Returns how many there were.
  template <class Loss>
  int learn_fused(const Loss& loss, const simt::Schedule& schedule, int first = 0, int epochs = 1) {
    int launches = 0;
    learn_fused_with(EmulatedLaunch{schedule, &launches}, loss, first, epochs);
    return launches;
  }

  // The same by launches of any kind.
  template <class Launch, class Loss>
  void learn_fused_with(const Launch& launch, const Loss& loss, int first = 0, int epochs = 1) {
    fused_->launch_moments(launch, ring_->view(), {key(), case_.permuted, case_.rows}, first + epochs,
                           case_.minibatches);
    for (int k = 0; k < epochs * case_.minibatches; ++k) {
      fused_->launch_update(launch, ring_->view(),
                            {first + k / case_.minibatches, k % case_.minibatches, case_.scaling, AnyPolicyLoss(loss),
                             case_.target_kl, 0.01f});
    }
  }

  // The same on the CPU.
  template <class Loss>
  void learn_stepwise(const Loss& loss, std::uint64_t epoch = 0) {
    RandomKey epoch_key = key();
    epoch_key.row += epoch;
    const Permutation permutation(epoch_key, static_cast<std::uint32_t>(case_.rows));
    for (std::int64_t m = 0; m < case_.minibatches; ++m) {
      const auto begin = static_cast<int>(m * case_.rows / case_.minibatches);
      const int size = static_cast<int>((m + 1) * case_.rows / case_.minibatches) - begin;
      const void* obs = batch_.obs;
      if (case_.permuted) {
        gather_minibatch(stream_, ring_->view(), case_.action, {permutation, begin, size}, batch_);
      } else {
        copy_rollout(stream_, ring_->view(), case_.action, batch_);
        obs = ring_->view().obs;
      }
      measure_minibatch(stream_, batch_, size, case_.scaling, parts_.data, moments_.data);
      const int groups = stepwise_->accumulate(stream_, obs, size, [&](const Stream& serial, const PolicyTile& tile) {
        tile_loss(serial, loss, stepwise_->layout(), batch_, moments_.data, tile);
      });
      stepwise_->update(stream_, groups, case_.target_kl, 0.01f);
    }
  }

  // Actions, log-probabilities and values of the untrained agents in place of the made-up ones.
  void store_own_policy() {
    stepwise_->act(stream_,
                   {ring_->obs(0), ring_->records(0), ring_->extra(0), 0, case_.rows, 3, 0, ActionMode::kSample});
  }

  ActorCritic& stepwise() { return *stepwise_; }
  ActorCritic& fused() { return *fused_agent_; }
  TrajectoryRing& ring() { return *ring_; }
  const Stream& stream() const { return stream_; }
  PolicyMetrics stepwise_metrics() { return stepwise_->read_metrics(stream_); }
  View<double> fused_totals() const { return totals_; }

 private:
  static constexpr int kEpochs = 4;  // at most

  static RandomKey key() { return {5, 70, Purpose::kPermutation}; }

  void make() {
    ActorCriticConfig config;
    config.network.hidden = {case_.width, case_.width};
    config.network.activation = case_.activation;
    config.shared_torso = case_.shared_torso;
    config.normalize_observations = case_.normalize;
    config.initial_log_sigma = -0.3f;
    config.optimizer = case_.optimizer;
    Space observation = Space::box<1>({-10}, {10});
    observation.size = case_.inputs;
    const auto network = std::make_shared<MlpNetwork>(ActorCritic::network_spec(config, observation, case_.action));
    ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
    for (auto* agent : {&stepwise_, &fused_agent_}) {
      agent->emplace(config, case_.action, network, ActorCriticShape{shape_, 1, case_.rows, case_.rows}, 9, stream_,
                     arena_);
    }
    totals_ = arena_.take<double>(PolicyRowMetrics::kSize);
    fused_.emplace(fused_agent_->network(), fused_agent_->layout(), fused_agent_->observation_normalizer(), totals_,
                   kEpochs * case_.minibatches, case_.precision, arena_, case_.blocks);
    batch_ = RolloutBatch::take(shape_, case_.action, case_.rows, arena_);
    parts_ = arena_.take<MomentPart>(kMomentParts);
    moments_ = arena_.take<MinibatchMoments>(1);
  }

  // Every seventh row is invalid; its numbers must not matter.
  void fill() {
    auto* const obs = static_cast<float*>(ring_->obs(0));
    for (int r = 0; r < case_.rows; ++r) {
      Rng rng({11, 3, Purpose::kEnvironmentStep}, static_cast<std::uint32_t>(r));
      for (int k = 0; k < case_.inputs; ++k) obs[r * case_.inputs + k] = rng.uniform(-2.0f, 2.0f);
      std::uint32_t* const record = ring_->records(0) + r * shape_.record.words;
      float* const extra = ring_->extra(0) + r * shape_.extra_size;
      if (case_.action.is_discrete()) record[0] = rng.below(static_cast<std::uint32_t>(case_.action.count));
      for (int a = 0; !case_.action.is_discrete() && a < case_.action.size; ++a) {
        extra[RolloutExtra::kAction + a] = rng.uniform(-1.5f, 1.5f);
      }
      const bool valid = r % 7 != 6;
      record[shape_.record.action_size + 1] = valid ? kValid : 0;
      extra[RolloutExtra::kLogProb] = rng.uniform(-1.5f, -0.4f);
      extra[RolloutExtra::kValue] = rng.uniform(-1.0f, 1.0f);
      extra[RolloutExtra::kAdvantage] = valid ? rng.uniform(-1.0f, 2.0f) : 50.0f;
      extra[RolloutExtra::kReturn] = valid ? rng.uniform(-1.0f, 2.0f) : -50.0f;
    }
    ring_->advance();
  }

  FusedCase case_;
  RingShape shape_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::optional<ActorCritic> stepwise_, fused_agent_;
  View<double> totals_;
  std::optional<FusedPolicyUpdate> fused_;
  RolloutBatch batch_;
  View<MomentPart> parts_;
  View<MinibatchMoments> moments_;
};

}  // namespace stampede
