// SPDX-License-Identifier: Apache-2.0
// Rows of a value-based method twice: step by step on the CPU, and by the fused kernel under the emulator.
#pragma once

#include "tests/emulator/simt.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/dqn.h"
#include "agents/networks/mlp_network.h"
#include "agents/pqn.h"
#include "sim/registry.h"
#include "tests/emulator/guarded_array.h"
#include "tests/emulator/rollout_launch.h"
#include "train/fused/bf16_policy_blocks.h"
#include "train/fused/fp32_policy_blocks.h"
#include "train/value_rollout.h"

namespace stampede {

struct ValueCase {
  int environments = 33;
  int ring_rows = 5;
  NetworkShape network = {.hidden = {64, 64}, .activation = Activation::kRelu};
  EnvParameters parameters = {};
};

// What acting leaves behind.
struct ActedRows {
  std::vector<std::uint32_t> obs, records, extra, environments;
  int launches = 0;
};

template <class T>
std::vector<std::uint32_t> words_of(const View<T>& view) {
  std::vector<std::uint32_t> copy(view.size() * sizeof(T) / 4);
  if (!copy.empty()) std::memcpy(copy.data(), view.data, view.size() * sizeof(T));
  return copy;
}

// Larger weights than initial ones, so that values and actions differ from row to row; norms' gains stay near 1.
inline std::vector<float> random_parameters(const NetworkSpec& spec, std::uint64_t seed) {
  std::vector<float> host(spec.parameter_count(), 0.0f);
  Rng rng({seed, 0, Purpose::kInitialization}, 0);
  for (const TensorLayout& tensor : spec.tensors()) {
    const int columns = tensor.columns > 0 ? tensor.columns : 1;
    const float scale = tensor.columns > 0 ? 1.5f / std::sqrt(static_cast<float>(columns)) : 0.3f;
    for (int r = 0; r < tensor.rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        host[tensor.offset + static_cast<std::size_t>(r) * tensor.row_stride +
             static_cast<std::size_t>(c) * tensor.column_stride] =
            tensor.initial.value_or(0.0f) + rng.uniform(-scale, scale);
      }
    }
  }
  return host;
}

// Environments and a ring, and what the fused kernel does to them. A derived class has the agent.
template <class E, class Policy>
class ValueSide {
 public:
  explicit ValueSide(const ValueCase& c, int extra_size)
      : case_(c), extra_size_(extra_size), entry_(builtin_environments().find(E::specs[0].id)), arena_(Device{}) {
    const EnvSpec spec = entry_.resolve(c.parameters);
    action_ = spec.action;
    observation_ = spec.observation;
  }

  // `rows` more rows by launches of value_rows().
  ActedRows collect_fused(const ValueRolloutSetup& setup, int rows, const float* parameters, bool chosen,
                          const ValueRollout::ExplorationOf& exploration, std::size_t pairs,
                          const simt::Schedule& schedule) {
    FusedNetwork network = fused_network(setup.network);
    if (setup.target) network = with_target(network, setup.target);
    network.tower[0].parameters = parameters;
    int launches = 0;
    for (int done = 0; done < rows; ++launches) {
      FusedRows part = value_rows(setup, *ring_, ring_->head() + done, rows - done, chosen && done == 0, exploration);
      launch(part, network, pairs, schedule);
      done += part.steps;
    }
    return left_behind(launches);
  }

 protected:
  void allocate() {
    build();
    arena_.allocate("test");
    build();
    env_->reset(stream_, ring_->obs(0));
  }
  virtual void build() {
    const bool discrete = observation_.is_discrete();
    shape_ = {case_.environments,
              case_.ring_rows,
              discrete ? 1 : observation_.size,
              discrete ? ObsType::kInt32 : ObsType::kFloat32,
              RecordLayout::for_action_size(action_.size),
              extra_size_};
    env_ = entry_.make(case_.parameters, case_.environments, 3, 0, arena_);
    ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
  }
  void step_environments(int slot, int next, std::int64_t row) {
    env_->step(stream_, 0, case_.environments,
               {ring_->records(slot), ring_->obs(next), static_cast<std::uint64_t>(row)});
  }
  ActedRows left_behind(int launches = 0) {
    return {words_of(ring_->obs_bytes()), words_of(ring_->record_words()), words_of(ring_->extra_values()),
            words_of(env_->checkpoint_bytes()), launches};
  }

  ValueCase case_;
  int extra_size_;
  EnvEntry entry_;
  Space action_, observation_;
  RingShape shape_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;

 private:
  void launch(FusedRows part, const FusedNetwork& network, std::size_t pairs, const simt::Schedule& schedule) {
    simt::GuardedArray<std::uint32_t> obs(words_of(ring_->obs_bytes())), records(words_of(ring_->record_words())),
        extra(words_of(ring_->extra_values()));
    part.first_obs = obs.data() + (part.first_obs - part.obs);
    part.obs = obs.data();
    part.records = records.data();
    part.extra = extra_size_ > 0 ? reinterpret_cast<float*>(extra.data()) : nullptr;
    const RolloutKernel<E, Policy> kernel{dynamic_cast<const BatchedEnv<E>&>(*env_).batch(), {network}, part, 0};
    launch_rollout(kernel, case_.environments, pairs, schedule);
    copy_back(obs.values(), ring_->obs_bytes().data);
    copy_back(records.values(), ring_->record_words().data);
    copy_back(extra.values(), ring_->extra_values().data);
  }
  static void copy_back(const std::vector<std::uint32_t>& from, void* to) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size() * 4);
  }
};

// DQN's way to act: rows one after the other into a ring that wraps.
template <class E, class Policy = Fp32Policy<E>>
class DqnSide final : public ValueSide<E, Policy> {
 public:
  DqnSide(const ValueCase& c, const DqnConfig& config) : ValueSide<E, Policy>(c, 0), config_(config) {
    config_.network = c.network;
    config_.batch_size = 1;
    this->allocate();
    dqn_->initialize(this->stream_);
    dqn_->network().load(this->stream_, random_parameters(dqn_->network().spec(), 11).data());
  }

  // Some rows with final epsilons where the configuration has them.
  Exploration exploration(std::int64_t row) {
    const float shared = 0.05f + 0.05f * static_cast<float>(row % 5), *const own = dqn_->final_epsilons().data();
    return {{shared, row % 3 == 0 ? own : nullptr, kStart, 0.25f * static_cast<float>(row % 4)},
            row % 4 == 1 ? 0.4f : 0.0f};
  }

  ActedRows act_stepwise(int rows) {
    for (int t = 0; t < rows; ++t) {
      const std::int64_t row = this->ring_->head();
      const int slot = this->ring_->slot(row);
      dqn_->prepare_acting(this->stream_, static_cast<std::uint64_t>(row));
      dqn_->act(this->stream_, {this->ring_->obs(slot), this->ring_->records(slot), 0, this->case_.environments,
                                static_cast<std::uint64_t>(row), 0, exploration(row)});
      this->step_environments(slot, this->ring_->slot(row + 1), row);
      this->ring_->advance();
    }
    return this->left_behind();
  }
  ActedRows act_fused(int rows, std::size_t pairs, const simt::Schedule& schedule) {
    ValueRolloutSetup setup{dqn_->network(), dqn_->seed(), this->action_};
    setup.values.dueling = config_.dueling;
    setup.values.exploration.final_epsilons = dqn_->final_epsilons().data();
    setup.values.exploration.start = kStart;
    const auto row_of = [this](std::int64_t row) {
      const Exploration now = exploration(row);
      return FusedExploration::row_of(now.epsilon, now.temperature);
    };
    dqn_->prepare_acting(this->stream_, static_cast<std::uint64_t>(this->ring_->head()));
    ActedRows acted = this->collect_fused(setup, rows, dqn_->acting_parameters(), false, row_of, pairs, schedule);
    this->ring_->advance(rows);
    return acted;
  }
  // The environments stepped with the actions of another side's latest row.
  ActedRows replay(const ActedRows& other) {
    std::memcpy(this->ring_->record_words().data, other.records.data(), other.records.size() * 4);
    const std::int64_t row = this->ring_->head();
    this->step_environments(this->ring_->slot(row), this->ring_->slot(row + 1), row);
    this->ring_->advance();
    return this->left_behind();
  }

 private:
  static constexpr float kStart = 0.8f;  // of the way to final epsilons

  void build() override {
    ValueSide<E, Policy>::build();
    const auto network = std::make_shared<MlpNetwork>(Dqn::network_spec(config_, this->observation_, this->action_));
    dqn_.emplace(config_, this->action_, network, this->shape_, 1, this->case_.environments, 9, this->stream_,
                 this->arena_);
  }

  DqnConfig config_;
  std::optional<Dqn> dqn_;
};

// PQN's: rollouts from slot 0 on that store what they bootstrap with, the head included.
template <class E>
class PqnSide final : public ValueSide<E, Fp32Policy<E>> {
 public:
  PqnSide(const ValueCase& c, const PqnConfig& config)
      : ValueSide<E, Fp32Policy<E>>(c, QRolloutExtra::kSize), config_(config) {
    config_.network = c.network;
    config_.minibatches = 1;
    this->allocate();
    pqn_->initialize(this->stream_);
    pqn_->network().load(this->stream_, random_parameters(pqn_->network().spec(), 13).data());
    if (pqn_->target_parameters().size() == 0) return;
    const std::vector<float> target = random_parameters(pqn_->network().spec(), 17);
    std::memcpy(pqn_->target_parameters().data, target.data(), target.size() * sizeof(float));
  }

  ActedRows roll_stepwise() {
    const bool chosen = begin();
    const std::int64_t first = this->ring_->head();
    for (int t = 0; t <= this->case_.ring_rows; ++t) {
      const auto row = static_cast<std::uint64_t>(first + t);
      if (t > 0 || !chosen) {
        pqn_->act(this->stream_, {this->ring_->obs(t), this->ring_->records(t), this->ring_->extra(t), 0,
                                  this->case_.environments, row, 0, epsilon(first + t)});
      }
      if (t < this->case_.ring_rows) this->step_environments(t, t + 1, first + t);
    }
    this->ring_->advance(this->case_.ring_rows);
    return this->left_behind();
  }
  ActedRows roll_fused(std::size_t pairs, const simt::Schedule& schedule) {
    const bool chosen = begin();
    ValueRolloutSetup setup{pqn_->network(), pqn_->seed(), this->action_};
    setup.values.bootstraps = true;
    setup.values.bootstrap = config_.bootstrap;
    setup.values.exploration.final_epsilons = pqn_->final_epsilons().data();
    setup.values.exploration.start = epsilon(0).start;
    if (config_.target_interval > 0) setup.target = pqn_->target_parameters().data;
    const ActedRows acted = this->collect_fused(
        setup, this->case_.ring_rows, pqn_->network().parameters(), chosen,
        [this](std::int64_t row) { return FusedExploration::row_of(epsilon(row), 0.0f); }, pairs, schedule);
    this->ring_->advance(this->case_.ring_rows);
    return acted;
  }

 private:
  Epsilon epsilon(std::int64_t row) {
    const float way = static_cast<float>(row % 7) / 7.0f;
    return {0.5f - 0.4f * way, pqn_->final_epsilons().data(), 0.5f, way};
  }
  // As the trainer: SARSA goes on with the action that the head bootstrapped with.
  bool begin() {
    const bool chosen = config_.bootstrap == BootstrapKind::kSarsa && this->ring_->head() > 0;
    const std::uint32_t* const head = this->ring_->records(this->ring_->slot(this->ring_->head()));
    if (chosen) {
      const auto words = static_cast<std::size_t>(this->case_.environments * this->shape_.record.words);
      std::memmove(this->ring_->records(0), head, words * 4);
    }
    this->ring_->begin_rollout(this->stream_);
    return chosen;
  }
  void build() override {
    ValueSide<E, Fp32Policy<E>>::build();
    const auto network = std::make_shared<MlpNetwork>(Pqn::network_spec(config_, this->observation_, this->action_));
    pqn_.emplace(config_, this->action_, network, this->shape_, 1, this->case_.environments, 9, this->stream_,
                 this->arena_);
  }

  PqnConfig config_;
  std::optional<Pqn> pqn_;
};

}  // namespace stampede
