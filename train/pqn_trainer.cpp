// SPDX-License-Identifier: Apache-2.0
#include "train/pqn_trainer.h"

#include "agents/pqn.h"
#include "kernels/buffer.h"
#include "train/collecting_trainer.h"
#include "train/env_blocks.h"
#include "train/epsilon_keys.h"
#include "train/shared_keys.h"
#include "train/value_rollout.h"

namespace stampede {
namespace {

BootstrapKind bootstrap_kind(const Config& config) {
  const std::string name = config.text("target");
  if (name == "sarsa") return BootstrapKind::kSarsa;
  return name == "expected_sarsa" ? BootstrapKind::kExpectedSarsa : BootstrapKind::kMax;
}

PqnConfig pqn_config(const Config& config) {
  PqnConfig pqn;
  pqn.gamma = static_cast<float>(config.real("gamma"));
  pqn.lambda = static_cast<float>(config.real("q_lambda"));
  pqn.epochs = static_cast<int>(config.integer("epochs"));
  pqn.minibatches = static_cast<int>(config.integer("minibatches"));
  pqn.bootstrap = bootstrap_kind(config);
  pqn.loss = config.text("loss") == "huber" ? TdLoss::kHuber : TdLoss::kSquared;
  pqn.target_interval = static_cast<int>(config.integer("target_interval"));
  pqn.target_tau = static_cast<float>(config.real("target_tau"));
  pqn.epsilon_ends = config.reals("epsilon_ends");
  pqn.epsilon_shares = config.reals("epsilon_shares");
  pqn.network = network_shape(config);
  pqn.optimizer = optimizer_config(config);
  return pqn;
}

class PqnTrainer final : public CollectingTrainer {
 public:
  explicit PqnTrainer(const TrainerSetup& setup)
      : CollectingTrainer(setup, static_cast<int>(setup.config.integer("rollout_steps")), QRolloutExtra::kSize, true),
        config_(pqn_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        epsilon_(epsilon_schedule(setup.config)),
        collector_options_({fused_use(setup.config)}) {
    Pqn::check(config_, rows_per_iteration());
    measure();
  }

  std::int64_t rows_per_iteration() const override { return static_cast<std::int64_t>(shape_.rows) * environments_; }

  void iterate() override {
    const std::int64_t row = rows();  // schedules start at their first value: they look at the rows before this rollout
    collect();
    pqn_->learn(stream_, *ring_, static_cast<std::uint64_t>(updates_), static_cast<float>(learning_rate_.at(row)));
    updates_ += static_cast<std::int64_t>(config_.epochs) * config_.minibatches;
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/td_loss",       "losses/q_values", "losses/absolute_td_error", "losses/td_target",
            "losses/gradient_norm", "charts/epsilon",  "charts/learning_rate"};
  }

 protected:
  void build_agent() override {
    pqn_ = std::make_unique<Pqn>(config_, spec_.action,
                                 network_factory_(Pqn::network_spec(config_, spec_.observation, spec_.action)), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void built() override {
    ValueRolloutSetup setup{pqn_->network(), pqn_->seed(), spec_.action};
    setup.values.bootstraps = true;
    setup.values.bootstrap = config_.bootstrap;
    setup.values.exploration.final_epsilons = pqn_->final_epsilons().data();
    setup.values.exploration.start = static_cast<float>(epsilon_.start);
    if (pqn_->target_parameters().size() > 0) setup.target = pqn_->target_parameters().data;
    rollout_ = make_value_rollout(collector_options_, stream_, *env_, setup);
  }
  void initialize_agent() override { pqn_->initialize(stream_); }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const Epsilon epsilon{mode == EvaluationMode::kGreedy ? 0.0f : static_cast<float>(epsilon_.last())};
    pqn_->act(stream,
              {acts.obs, acts.records, nullptr, acts.begin, acts.end, acts.row, acts.worker, epsilon, acts.seed});
  }

  void request_agent_metrics() override { pqn_->request_metrics(stream_); }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const PqnMetrics m = pqn_->take_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {
        {"losses/td_loss", m.loss},
        {"losses/q_values", m.mean_q},
        {"losses/absolute_td_error", m.mean_absolute_error},
        {"losses/td_target", m.mean_target},
        {"losses/gradient_norm", m.gradient_norm},
        {"charts/epsilon", epsilon_.at(metrics.rows)},
        {"charts/learning_rate", learning_rate_.at(std::max<std::int64_t>(0, metrics.rows - rows_per_iteration()))}};
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(pqn_->network(), "network.", blocks);
    const auto add = [&](const char* name, View<float> view, const NetworkSpec* spec) {
      if (view.size() > 0) blocks.push_back({name, StateBlock::Type::kF32, {view.size()}, view.data, spec});
    };
    add("target.parameters", pqn_->target_parameters(), &pqn_->network().spec());
    add("final_epsilons", pqn_->final_epsilons().block(), nullptr);
    if (executes_head_actions()) {
      blocks.push_back({"head_records", StateBlock::Type::kU32, {head_words()}, head_records()});
    }
    return blocks;
  }

  void agent_restored() override { pqn_->network().refresh(stream_); }

 private:
  // SARSA's bootstrap of a cut rollout is the value of an action, which the next rollout must begin with.
  bool executes_head_actions() const { return config_.bootstrap == BootstrapKind::kSarsa; }
  std::size_t head_words() const {
    return static_cast<std::size_t>(environments_) * static_cast<std::size_t>(shape_.record.words);
  }
  std::uint32_t* head_records() const { return ring_->records(ring_->slot(ring_->head())); }

  Epsilon epsilon_of_row(std::int64_t row) const {
    return epsilon_at(epsilon_, row * environments_, pqn_->final_epsilons().data());
  }

  void collect() {
    const bool chosen = executes_head_actions() && ring_->head() > 0;
    if (chosen && head_records() != ring_->records(0)) {
      copy_on_device(stream_, ring_->records(0), head_records(), head_words() * sizeof(std::uint32_t));
    }
    ring_->begin_rollout(stream_);
    if (rollout_) {
      rollout_->collect(stream_, *ring_, shape_.rows, pqn_->network().parameters(), chosen,
                        [this](std::int64_t row) { return FusedExploration::row_of(epsilon_of_row(row), 0.0f); });
    } else {
      collect_stepwise(chosen);
    }
    ring_->advance(shape_.rows);
    ring_head_ = ring_->head();
  }

  void collect_stepwise(bool chosen) {
    const std::int64_t first = ring_->head();
    for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
      for (int t = 0; t <= shape_.rows; ++t) {
        const std::int64_t row = first + t;
        if (t > 0 || !chosen) {
          pqn_->act(stream, {ring_->obs(t), ring_->records(t), ring_->extra(t), begin, end,
                             static_cast<std::uint64_t>(row), worker, epsilon_of_row(row)});
        }
        if (t == shape_.rows) break;
        env_->step(stream, begin, end, {ring_->records(t), ring_->obs(t + 1), static_cast<std::uint64_t>(row)});
      }
    });
  }

  PqnConfig config_;
  Schedule learning_rate_, epsilon_;
  CollectorOptions collector_options_;
  std::unique_ptr<Pqn> pqn_;
  std::unique_ptr<ValueRollout> rollout_;  // on CUDA where it fits
};

}  // namespace

KeyList pqn_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "32",
       .min = 1,
       .max = 1 << 20,
       .help = "rows per environment between updates (T)"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "q_lambda",
       .default_text = "0.65",
       .min = 0,
       .max = 1,
       .help = "lambda of the returns; 0 = one step, 1 = to the end of the rollout"},
      {.name = "target",
       .type = kChoice,
       .default_text = "q",
       .choices = "q|sarsa|expected_sarsa",
       .help = "value of the next state: best action, next action, expectation over the policy"},
      {.name = "epochs", .type = kInteger, .default_text = "2", .min = 1, .max = 1000, .help = "passes over a rollout"},
      {.name = "minibatches", .type = kInteger, .default_text = "4", .min = 1, .max = 1 << 20, .help = "per epoch"},
      {.name = "target_interval",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 2147483647.0,
       .help = "updates between target network updates; 0 = no target network"},
      {.name = "target_tau",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "1 copies the network, below 1 averages (Polyak)",
       .above_min = true},
      {.name = "loss",
       .type = kChoice,
       .default_text = "squared",
       .choices = "huber|squared",
       .help = "of the temporal-difference error"},
  };
  KeyList keys(std::begin(kKeys), std::end(kKeys));
  for (const KeyList& group : {fused_keys(), epsilon_keys(), final_epsilon_keys(), optimizer_keys(), network_keys()})
    append(keys, group);
  set_default(keys, "max_grad_norm", "10");
  set_default(keys, "activation", "relu");
  set_default(keys, "layer_norm", "true");
  return keys;
}

std::unique_ptr<Trainer> make_pqn_trainer(const TrainerSetup& setup) { return std::make_unique<PqnTrainer>(setup); }

std::int64_t pqn_batch_rows(const Config& config) {
  const std::int64_t rows = config.integer("num_envs") * config.integer("rollout_steps");
  return rows / config.integer("minibatches");
}

}  // namespace stampede
