// SPDX-License-Identifier: Apache-2.0
#include "train/ppo_trainer.h"

#include "agents/ppo.h"
#include "kernels/error.h"
#include "train/collecting_trainer.h"
#include "train/env_blocks.h"
#include "train/shared_keys.h"

namespace stampede {
namespace {

PpoConfig ppo_config(const Config& config) {
  PpoConfig ppo;
  ppo.gamma = static_cast<float>(config.real("gamma"));
  ppo.lambda = static_cast<float>(config.real("gae_lambda"));
  ppo.epochs = static_cast<int>(config.integer("epochs"));
  ppo.minibatches = static_cast<int>(config.integer("minibatches"));
  ppo.clip_value = config.flag("clip_value");
  ppo.value_weight = static_cast<float>(config.real("value_coef"));
  ppo.normalize_advantage = config.flag("normalize_advantage");
  ppo.target_kl = static_cast<float>(config.real("target_kl"));
  ppo.normalize_observations = config.flag("normalize_observations");
  ppo.normalize_rewards = config.flag("normalize_rewards");
  ppo.network = network_shape(config);
  ppo.shared_torso = config.flag("shared_torso");
  ppo.initial_log_sigma = static_cast<float>(config.real("log_sigma"));
  ppo.optimizer = optimizer_config(config);
  return ppo;
}

class PpoTrainer final : public CollectingTrainer {
 public:
  explicit PpoTrainer(const TrainerSetup& setup)
      : CollectingTrainer(setup, static_cast<int>(setup.config.integer("rollout_steps")),
                          RolloutExtra::size(!setup.env.spec.action.is_discrete(), setup.env.spec.action.size), true),
        config_(ppo_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        clip_(annealed(setup.config, "clip", "clip_final")),
        entropy_(annealed(setup.config, "entropy_coef", "entropy_final")) {
    Ppo::check(config_, rows_per_iteration());
    measure();
  }

  std::int64_t rows_per_iteration() const override { return static_cast<std::int64_t>(shape_.rows) * environments_; }

  void iterate() override {
    collect();
    learn();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/policy_loss",   "losses/value_loss",    "losses/entropy",
            "losses/approx_kl",     "losses/clipfrac",      "losses/explained_variance",
            "losses/gradient_norm", "charts/learning_rate", "charts/clip_range"};
  }

 protected:
  void build_agent() override {
    ppo_ = std::make_unique<Ppo>(config_, spec_.observation, spec_.action,
                                 network_factory_(Ppo::network_spec(config_, spec_.observation, spec_.action)), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void initialize_agent() override { ppo_->initialize(stream_); }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const ActionMode action = mode == EvaluationMode::kGreedy ? ActionMode::kGreedy : ActionMode::kSample;
    ppo_->act(stream,
              {acts.obs, acts.records, nullptr, acts.begin, acts.end, acts.row, acts.worker, action, acts.seed});
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    const PpoMetrics m = ppo_->read_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {{"losses/policy_loss", m.policy_loss},
                      {"losses/value_loss", m.value_loss},
                      {"losses/entropy", m.entropy},
                      {"losses/approx_kl", m.approx_kl},
                      {"losses/clipfrac", m.clip_fraction},
                      {"losses/explained_variance", m.explained_variance},
                      {"losses/gradient_norm", m.gradient_norm},
                      {"charts/learning_rate", learning_rate_.at(last_row_)},
                      {"charts/clip_range", clip_.at(last_row_)}};
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(ppo_->network(), "network.", blocks);
    const auto add_moments = [&](const char* name, View<RunningMoments> view) {
      blocks.push_back({name, StateBlock::Type::kF64, {view.size(), 3}, view.data});
    };
    add_moments("observation_moments", ppo_->observation_normalizer().moments());
    add_moments("return_moments", ppo_->reward_scaler().moments());
    const View<float> running = ppo_->reward_scaler().running_returns();
    blocks.push_back({"running_returns", StateBlock::Type::kF32, {running.size()}, running.data});
    return blocks;
  }

  void agent_restored() override {
    ppo_->network().refresh(stream_);
    ppo_->observation_normalizer().refresh(stream_);
    ppo_->reward_scaler().refresh(stream_);
  }

 private:
  void collect() {
    ring_->begin_rollout(stream_);
    const std::int64_t first = ring_->head();
    for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
      for (int t = 0; t < shape_.rows; ++t) {
        const auto row = static_cast<std::uint64_t>(first + t);
        ppo_->act(stream,
                  {ring_->obs(t), ring_->records(t), ring_->extra(t), begin, end, row, worker, ActionMode::kSample});
        env_->step(stream, begin, end, {ring_->records(t), ring_->obs(t + 1), row});
      }
      const int head = shape_.rows;
      ppo_->evaluate_head(stream, {ring_->obs(head), ring_->records(head), ring_->extra(head), begin, end,
                                   static_cast<std::uint64_t>(first + head), worker, ActionMode::kSample});
    });
    ring_->advance(shape_.rows);
    ring_head_ = ring_->head();
  }

  void learn() {
    last_row_ = first_row_of_iteration();
    const auto iteration = static_cast<std::uint64_t>(ring_head_ / shape_.rows - 1);
    ppo_->learn(stream_, *ring_,
                {static_cast<float>(learning_rate_.at(last_row_)), static_cast<float>(clip_.at(last_row_)),
                 static_cast<float>(entropy_.at(last_row_)), iteration});
    updates_ += static_cast<std::int64_t>(config_.epochs) * config_.minibatches;
  }

  // Schedules start at their first value, so they look at the rows before this rollout.
  std::int64_t first_row_of_iteration() const { return rows() - rows_per_iteration(); }

  PpoConfig config_;
  Schedule learning_rate_, clip_, entropy_;
  std::unique_ptr<Ppo> ppo_;
  std::int64_t last_row_ = 0;
};

}  // namespace

KeyList ppo_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "128",
       .min = 1,
       .max = 1 << 20,
       .help = "rows per environment between updates (T)"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "gae_lambda",
       .default_text = "0.95",
       .min = 0,
       .max = 1,
       .help = "lambda of generalised advantage estimation"},
      {.name = "epochs", .type = kInteger, .default_text = "4", .min = 1, .max = 1000, .help = "passes over a rollout"},
      {.name = "minibatches", .type = kInteger, .default_text = "4", .min = 1, .max = 1 << 20, .help = "per epoch"},
      {.name = "clip",
       .default_text = "0.2",
       .min = 0,
       .max = 10,
       .help = "epsilon of the ratio's interval",
       .above_min = true},
      {.name = "clip_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "clip_value", .type = kFlag, .default_text = "false", .help = "clip value changes too"},
      {.name = "entropy_coef", .default_text = "0", .min = 0, .max = 100, .help = "weight of the entropy bonus"},
      {.name = "entropy_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "value_coef", .default_text = "0.5", .min = 0, .max = 100, .help = "weight of the value loss"},
      {.name = "normalize_advantage", .type = kFlag, .default_text = "true", .help = "per minibatch"},
      {.name = "target_kl",
       .default_text = "0",
       .min = 0,
       .max = 100,
       .help = "stops an iteration's updates beyond 1.5 times this KL; 0 = never"},
      {.name = "normalize_observations", .type = kFlag, .default_text = "false", .help = "running mean and deviation"},
      {.name = "normalize_rewards",
       .type = kFlag,
       .default_text = "false",
       .help = "by the deviation of discounted returns"},
      {.name = "shared_torso",
       .type = kFlag,
       .default_text = "false",
       .help = "actor and critic share their hidden layers"},
      {.name = "log_sigma",
       .default_text = "0",
       .min = -20,
       .max = 5,
       .help = "initial log standard deviation of continuous actions"},
  };
  KeyList keys(std::begin(kKeys), std::end(kKeys));
  append(keys, optimizer_keys());
  append(keys, network_keys());
  set_default(keys, "optimizer_epsilon", "1e-5");
  set_default(keys, "max_grad_norm", "0.5");
  return keys;
}

std::unique_ptr<Trainer> make_ppo_trainer(const TrainerSetup& setup) { return std::make_unique<PpoTrainer>(setup); }

std::int64_t ppo_batch_rows(const Config& config) {
  const std::int64_t rows = config.integer("num_envs") * config.integer("rollout_steps");
  return rows / config.integer("minibatches");
}

}  // namespace stampede
