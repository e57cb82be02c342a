// SPDX-License-Identifier: Apache-2.0
#include "train/dqn_trainer.h"

#include <string>

#include "agents/dqn.h"
#include "kernels/error.h"
#include "train/collecting_trainer.h"
#include "train/env_blocks.h"
#include "train/shared_keys.h"

namespace stampede {
namespace {

DqnConfig dqn_config(const Config& config) {
  DqnConfig dqn;
  dqn.gamma = static_cast<float>(config.real("gamma"));
  dqn.batch_size = static_cast<int>(config.integer("batch_size"));
  dqn.n_step = static_cast<int>(config.integer("n_step"));
  dqn.loss = config.text("loss") == "huber" ? TdLoss::kHuber : TdLoss::kSquared;
  dqn.target_tau = static_cast<float>(config.real("target_tau"));
  dqn.network = network_shape(config);
  dqn.optimizer = optimizer_config(config);
  return dqn;
}

class DqnTrainer final : public CollectingTrainer {
 public:
  explicit DqnTrainer(const TrainerSetup& setup)
      : CollectingTrainer(setup, ring_rows(setup.config), 0, false),
        config_(dqn_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        epsilon_(epsilon_schedule(setup.config)),
        learning_starts_(setup.config.integer("learning_starts")),
        train_interval_(setup.config.integer("train_interval")),
        gradient_steps_(setup.config.integer("gradient_steps")),
        target_interval_(setup.config.integer("target_interval")) {
    Dqn::check(config_, shape_);
    measure();
  }

  std::int64_t rows_per_iteration() const override { return train_interval_ * environments_; }

  void iterate() override {
    for (std::int64_t t = 0; t < train_interval_; ++t) step();
    // Enough rows that n-step transitions exist, whatever learning_starts says.
    if (rows() < learning_starts_ || ring_->stored_rows() < config_.n_step + 1) return;
    for (std::int64_t k = 0; k < gradient_steps_; ++k) update();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/td_loss",       "losses/q_values", "losses/absolute_td_error", "losses/td_target",
            "losses/gradient_norm", "charts/epsilon",  "charts/learning_rate"};
  }

 protected:
  void build_agent() override {
    dqn_ = std::make_unique<Dqn>(config_, spec_.action,
                                 network_factory_(Dqn::network_spec(config_, spec_.observation, spec_.action)), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void initialize_agent() override { dqn_->initialize(stream_); }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const float epsilon = mode == EvaluationMode::kGreedy ? 0.0f : static_cast<float>(epsilon_.end);
    dqn_->act(stream, {acts.obs, acts.records, acts.begin, acts.end, acts.row, acts.worker, epsilon, acts.seed});
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    const DqnMetrics m = dqn_->read_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {{"losses/td_loss", m.loss},
                      {"losses/q_values", m.mean_q},
                      {"losses/absolute_td_error", m.mean_absolute_error},
                      {"losses/td_target", m.mean_target},
                      {"losses/gradient_norm", m.gradient_norm},
                      {"charts/epsilon", epsilon_at(rows())},
                      {"charts/learning_rate", learning_rate_.at(rows())}};
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(dqn_->network(), "network.", blocks);
    const View<float> target = dqn_->target_parameters();
    blocks.push_back(
        {"target.parameters", StateBlock::Type::kF32, {target.size()}, target.data, &dqn_->network().spec()});
    return blocks;
  }

  void agent_restored() override { dqn_->network().refresh(stream_); }

 private:
  // Actions are random until learning starts.
  double epsilon_at(std::int64_t row) const { return row < learning_starts_ ? 1.0 : epsilon_.at(row); }

  void step() {
    const std::int64_t row = ring_->head();
    const int slot = ring_->slot(row), next = ring_->slot(row + 1);
    const auto epsilon = static_cast<float>(epsilon_at(row * environments_));
    for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
      dqn_->act(stream,
                {ring_->obs(slot), ring_->records(slot), begin, end, static_cast<std::uint64_t>(row), worker, epsilon});
      env_->step(stream, begin, end, {ring_->records(slot), ring_->obs(next), static_cast<std::uint64_t>(row)});
    });
    ring_->advance();
    ring_head_ = ring_->head();
  }

  void update() {
    dqn_->learn(stream_, *ring_, static_cast<std::uint64_t>(updates_), static_cast<float>(learning_rate_.at(rows())));
    ++updates_;
    if (updates_ % target_interval_ == 0) dqn_->update_target(stream_);
  }

  DqnConfig config_;
  Schedule learning_rate_, epsilon_;
  std::int64_t learning_starts_, train_interval_, gradient_steps_, target_interval_;
  std::unique_ptr<Dqn> dqn_;
};

}  // namespace

KeyList dqn_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "n_step",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1000,
       .help = "steps folded into a target"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "target_interval",
       .type = kInteger,
       .default_text = "500",
       .min = 1,
       .max = 1e12,
       .help = "updates between target network updates"},
      {.name = "target_tau",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "1 copies the network, below 1 averages (Polyak)",
       .above_min = true},
      {.name = "loss",
       .type = kChoice,
       .default_text = "huber",
       .choices = "huber|squared",
       .help = "of the temporal-difference error"},
  };
  KeyList keys(std::begin(kKeys), std::end(kKeys));
  for (const KeyList& group : {replay_keys(), epsilon_keys(), optimizer_keys(), network_keys()}) append(keys, group);
  set_default(keys, "learning_rate", "0.0005");
  set_default(keys, "max_grad_norm", "10");
  set_default(keys, "activation", "relu");
  set_default(keys, "initialization", "kaiming_uniform");
  return keys;
}

std::unique_ptr<Trainer> make_dqn_trainer(const TrainerSetup& setup) { return std::make_unique<DqnTrainer>(setup); }

std::int64_t dqn_batch_rows(const Config& config) { return config.integer("batch_size"); }

}  // namespace stampede
