// SPDX-License-Identifier: Apache-2.0
// One rollout twice: step by step on the CPU, and by the fused kernel under the emulator, from the same start.
#pragma once

#include "tests/emulator/simt.h"

#include <memory>
#include <string>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "sim/registry.h"
#include "tests/emulator/guarded_array.h"
#include "tests/emulator/rollout_launch.h"
#include "train/collector.h"
#include "train/fused/fp32_policy_blocks.h"

namespace stampede {

struct RolloutCase {
  int environments = 33, steps = 4;
  std::vector<int> hidden = {64, 64};
  Activation activation = Activation::kTanh;
  bool shared_torso = true;
  bool normalize_observations = false;
  EnvParameters parameters = {};

  std::string name() const {
    std::string text = std::to_string(environments) + " x " + std::to_string(steps) + ",";
    for (const int width : hidden) text.append(" ").append(std::to_string(width));
    return text + (activation == Activation::kTanh ? " tanh" : " relu") + (shared_torso ? " shared" : " apart") +
           (normalize_observations ? " normalised" : "");
  }
};

// Everything a rollout leaves behind.
struct RolloutResult {
  std::vector<std::uint32_t> obs, records;
  std::vector<float> extra;
  std::vector<std::uint32_t> environments;
  std::vector<Episode> episodes;
};

// Environments, ring and agent; parameters are the same for all sides of one case.
template <class E, class Policy = Fp32Policy<E>>
class RolloutSide {
 public:
  explicit RolloutSide(const RolloutCase& c)
      : case_(c), entry_(builtin_environments().find(E::specs[0].id)), arena_(Device{}) {
    build();
    arena_.allocate("test");
    build();
    env_->reset(stream_, ring_->obs(0));
    agent_->initialize(stream_);
    randomise_parameters();
    if (c.normalize_observations) set_statistics();
  }

  RolloutResult collect_stepwise() {
    StepwiseCollector().collect(stream_, *env_, *agent_, *ring_);
    ring_->advance(case_.steps);
    return result(words(ring_->obs_bytes()), words(ring_->record_words()), floats(ring_->extra_values()));
  }

  // pairs: of warps per block.
  RolloutResult collect_fused(std::size_t pairs, const simt::Schedule& schedule) {
    const auto first_word =
        static_cast<const std::uint32_t*>(ring_->start_rollout()) - static_cast<const std::uint32_t*>(ring_->obs(0));
    simt::GuardedArray<std::uint32_t> obs(words(ring_->obs_bytes())), records(words(ring_->record_words()));
    simt::GuardedArray<float> extra(floats(ring_->extra_values()));
    const RolloutKernel<E, Policy> kernel{dynamic_cast<const BatchedEnv<E>&>(*env_).batch(),
                                          {fused_network(*agent_)},
                                          rows(obs.data(), first_word, records.data(), extra.data()),
                                          0};
    launch_rollout(kernel, case_.environments, pairs, schedule);
    copy_back(obs.values(), ring_->obs_bytes().data);
    copy_back(records.values(), ring_->record_words().data);
    copy_back(extra.values(), ring_->extra_values().data);
    ring_->advance(case_.steps);
    return result(obs.values(), records.values(), extra.values());
  }

  // The environments stepped with the actions of another side's records.
  RolloutResult replay(const std::vector<std::uint32_t>& actions) {
    ring_->begin_rollout(stream_);
    copy_back(actions, ring_->record_words().data);
    for (int t = 0; t < case_.steps; ++t) {
      const auto row = static_cast<std::uint64_t>(ring_->head() + t);
      env_->step(stream_, 0, case_.environments, {ring_->records(t), ring_->obs(t + 1), row});
    }
    ring_->advance(case_.steps);
    return result(words(ring_->obs_bytes()), words(ring_->record_words()), floats(ring_->extra_values()));
  }

  ActorCritic& agent() { return *agent_; }
  TrajectoryRing& ring() { return *ring_; }
  const Stream& stream() const { return stream_; }

  void restate() { agent_->restate(stream_, ring_->view()); }

  // Of the rollout in the ring from what fp32 makes of its observations and actions.
  struct Distance {
    float value = 0.0f, log_prob = 0.0f;  // largest
    double other_actions = 0.0;           // share of rows where fp32 would have chosen another action
  };
  Distance distance_from_fp32() {
    const RingShape& shape = ring_->shape();
    const std::size_t rows = static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.environments);
    const std::vector<float> extra = floats(ring_->extra_values());
    std::vector<float> ratios(rows);
    agent_->reevaluate(stream_, ring_->view(), ratios.data());
    Distance distance;
    const auto step = static_cast<std::size_t>(shape.extra_size);
    for (std::size_t at = RolloutExtra::kValue; at < extra.size(); at += step) {
      distance.value = std::max(distance.value, std::abs(extra[at] - ring_->extra_values()[at]));
    }
    for (const float ratio : ratios) distance.log_prob = std::max(distance.log_prob, std::abs(log_of(ratio)));
    distance.other_actions = static_cast<double>(count_other_actions()) / static_cast<double>(rows);
    return distance;
  }

 private:
  int count_other_actions() {
    const RingShape& shape = ring_->shape();
    const auto words_of_row = static_cast<std::size_t>(shape.environments * shape.record.words);
    std::vector<std::uint32_t> records(words_of_row);
    int others = 0;
    for (int t = 0; t < shape.rows; ++t) {
      const auto row = static_cast<std::uint64_t>(ring_->base() + t);
      agent_->act(stream_,
                  {ring_->obs(t), records.data(), nullptr, 0, shape.environments, row, 0, ActionMode::kSample});
      for (std::size_t w = 0; w < words_of_row; w += static_cast<std::size_t>(shape.record.words)) {
        others += records[w] != ring_->records(t)[w];
      }
    }
    return others;
  }

  void build() {
    const EnvSpec spec = entry_.resolve(case_.parameters);
    const bool discrete = spec.observation.is_discrete();
    const RingShape shape{case_.environments,
                          case_.steps,
                          discrete ? 1 : spec.observation.size,
                          discrete ? ObsType::kInt32 : ObsType::kFloat32,
                          RecordLayout::for_action_size(spec.action.size),
                          RolloutExtra::size(!spec.action.is_discrete(), spec.action.size)};
    ActorCriticConfig config;
    config.network.hidden = case_.hidden;
    config.network.activation = case_.activation;
    config.shared_torso = case_.shared_torso;
    config.normalize_observations = case_.normalize_observations;
    env_ = entry_.make(case_.parameters, case_.environments, 3, 0, arena_);
    ring_ = std::make_unique<TrajectoryRing>(shape, arena_);
    auto network = std::make_shared<MlpNetwork>(ActorCritic::network_spec(config, spec.observation, spec.action));
    agent_ = std::make_unique<ActorCritic>(config, spec.action, std::move(network),
                                           ActorCriticShape{shape, 1, case_.environments, 32}, 9, stream_, arena_);
  }

  // Larger heads and biases than the initial ones: outputs, actions and their probabilities differ from row to row.
  void randomise_parameters() {
    const NetworkSpec& spec = agent_->network().spec();
    std::vector<float> host(spec.parameter_count(), 0.0f);
    Rng rng({11, 0, Purpose::kInitialization}, 0);
    for (const TensorLayout& tensor : spec.tensors()) {
      const int columns = tensor.columns > 0 ? tensor.columns : 1;
      const float scale = tensor.columns > 0 ? 1.5f / std::sqrt(static_cast<float>(columns)) : 0.3f;
      for (int r = 0; r < tensor.rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          host[tensor.offset + static_cast<std::size_t>(r) * tensor.row_stride +
               static_cast<std::size_t>(c) * tensor.column_stride] = rng.uniform(-scale, scale);
        }
      }
    }
    agent_->network().load(stream_, host.data());
  }
  void set_statistics() {
    const View<RunningMoments> moments = agent_->observation_normalizer().moments();
    for (std::size_t k = 0; k < moments.size(); ++k) {
      moments[k] = {10.0, 0.01 * static_cast<double>(k) - 0.02, 0.003 + 0.5 * static_cast<double>(k)};
    }
    agent_->observation_normalizer().refresh(stream_);
  }

  FusedRows rows(std::uint32_t* obs, std::ptrdiff_t first_word, std::uint32_t* records, float* extra) const {
    return {.first_obs = obs + first_word,
            .obs = obs,
            .records = records,
            .extra = extra,
            .extra_size = ring_->shape().extra_size,
            .slots = case_.steps + 1,
            .first_slot = 0,
            .environments = case_.environments,
            .steps = case_.steps,
            .first_row = static_cast<std::uint64_t>(ring_->head()),
            .seed = agent_->seed(),
            .acts_on_head = true,
            .head = FusedHead::kPolicy,
            .log_sigma = agent_->layout().log_sigma,
            .action = agent_->action()};
  }

  template <class T>
  static std::vector<std::uint32_t> words(const View<T>& view) {
    std::vector<std::uint32_t> copy(view.size() * sizeof(T) / 4);
    std::memcpy(copy.data(), view.data, view.size() * sizeof(T));
    return copy;
  }
  static std::vector<float> floats(const View<float>& view) { return {view.data, view.data + view.size()}; }
  template <class T>
  static void copy_back(const std::vector<T>& from, void* to) {
    std::memcpy(to, from.data(), from.size() * sizeof(T));
  }
  RolloutResult result(std::vector<std::uint32_t> obs, std::vector<std::uint32_t> records,
                       std::vector<float> extra) const {
    return {std::move(obs), std::move(records), std::move(extra), words(env_->checkpoint_bytes()),
            env_->episodes().drain(stream_, nullptr)};
  }

  RolloutCase case_;
  EnvEntry entry_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<ActorCritic> agent_;
};

}  // namespace stampede
