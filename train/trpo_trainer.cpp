// SPDX-License-Identifier: Apache-2.0
#include "train/trpo_trainer.h"

#include "agents/trpo.h"
#include "train/policy_keys.h"
#include "train/rollout_trainer.h"

namespace stampede {
namespace {

TrpoConfig trpo_config(const Config& config) {
  TrpoConfig trpo;
  trpo.actor_critic = actor_critic_config(config);
  trpo.trust_region = {.iterations = static_cast<int>(config.integer("cg_iterations")),
                       .tolerance = static_cast<float>(config.real("cg_tolerance")),
                       .damping = static_cast<float>(config.real("cg_damping")),
                       .backtrack_ratio = static_cast<float>(config.real("backtrack_ratio")),
                       .backtrack_steps = static_cast<int>(config.integer("backtrack_steps"))};
  trpo.gamma = static_cast<float>(config.real("gamma"));
  trpo.lambda = static_cast<float>(config.real("gae_lambda"));
  trpo.scaling = config.flag("normalize_advantage") ? AdvantageScaling::kNormalize : AdvantageScaling::kNone;
  trpo.value_weight = static_cast<float>(config.real("value_coef"));
  trpo.critic_epochs = static_cast<int>(config.integer("critic_epochs"));
  trpo.critic_minibatches = static_cast<int>(config.integer("critic_minibatches"));
  return trpo;
}

class TrpoTrainer final : public RolloutTrainer {
 public:
  explicit TrpoTrainer(const TrainerSetup& setup)
      : RolloutTrainer(setup),
        config_(trpo_config(setup.config)),
        max_kl_(annealed(setup.config, "max_kl", "max_kl_final")) {
    Trpo::check(config_, rows_per_iteration());
    measure();
  }

  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names;
    for (auto& [name, value] : report({})) names.push_back(name);
    names.emplace_back("charts/learning_rate");
    names.emplace_back("charts/max_kl");
    return names;
  }

 protected:
  ActorCritic& actor_critic() const override { return trpo_->actor_critic(); }

  void build_agent() override {
    trpo_ = std::make_unique<Trpo>(
        config_, spec_.action,
        Trpo::Networks{make_network(config_.actor_critic),
                       network_factory_(Trpo::policy_spec(config_, spec_.observation, spec_.action)),
                       network_factory_(Trpo::critic_spec(config_, spec_.observation))},
        shape_, workers(), act_rows(), seed_, stream_, agent_arena_);
  }

  std::int64_t learn(std::int64_t row, std::uint64_t iteration) override {
    trpo_->learn(stream_, *ring_,
                 {learning_rate(row), static_cast<float>(max_kl_.at(row)), entropy_weight(row), iteration});
    return 1;
  }

  void request_agent_metrics() override { trpo_->request_metrics(stream_); }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const TrpoMetrics m = trpo_->take_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = report(m);
    metrics.values.emplace_back("charts/learning_rate", static_cast<double>(learning_rate(schedule_row(metrics))));
    metrics.values.emplace_back("charts/max_kl", max_kl_.at(schedule_row(metrics)));
  }

 private:
  static std::vector<std::pair<std::string, double>> report(const TrpoMetrics& m) {
    return {{"losses/surrogate_before", m.surrogate_before},
            {"losses/surrogate_after", m.surrogate_after},
            {"losses/kl", m.kl},
            {"losses/clipfrac", m.clip_fraction},
            {"losses/step_fraction", m.step_fraction},
            {"losses/line_search_failures", m.line_search_failures},
            {"losses/cg_residual", m.cg_residual},
            {"losses/entropy", m.entropy},
            {"losses/explained_variance", m.explained_variance},
            {"losses/value_loss", m.value_loss},
            {"losses/gradient_norm_actor", m.gradient_norm},
            {"losses/gradient_norm_critic", m.critic_gradient_norm}};
  }

  TrpoConfig config_;
  Schedule max_kl_;
  std::unique_ptr<Trpo> trpo_;
};

}  // namespace

KeyList trpo_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "max_kl",
       .default_text = "0.01",
       .min = 0,
       .max = 100,
       .help = "delta: largest mean KL of a step",
       .above_min = true},
      {.name = "max_kl_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "cg_iterations",
       .type = kInteger,
       .default_text = "15",
       .min = 1,
       .max = 1000,
       .help = "conjugate-gradient steps, one Fisher product each"},
      {.name = "cg_damping", .default_text = "0.1", .min = 0, .max = 1e6, .help = "added to the Fisher matrix"},
      {.name = "cg_tolerance",
       .default_text = "1e-10",
       .min = 0,
       .max = 1,
       .help = "squared residual, relative to the gradient's, that ends them early"},
      {.name = "backtrack_ratio",
       .default_text = "0.8",
       .min = 0,
       .max = 1,
       .help = "of successive steps of the line search",
       .above_min = true},
      {.name = "backtrack_steps",
       .type = kInteger,
       .default_text = "10",
       .min = 1,
       .max = 100,
       .help = "candidates of the line search before the policy stays"},
      {.name = "critic_epochs",
       .type = kInteger,
       .default_text = "10",
       .min = 1,
       .max = 1000,
       .help = "passes of the critic over a rollout"},
      {.name = "critic_minibatches",
       .type = kInteger,
       .default_text = "16",
       .min = 1,
       .max = 1 << 20,
       .help = "per epoch"},
      {.name = "normalize_advantage", .type = kFlag, .default_text = "true", .help = "per rollout"},
  };
  KeyList keys = rollout_keys();
  append(keys, kKeys);
  append(keys, actor_critic_keys());
  set_default(keys, "value_coef", "1");
  set_default(keys, "max_grad_norm", "0");
  return keys;
}

std::unique_ptr<Trainer> make_trpo_trainer(const TrainerSetup& setup) { return std::make_unique<TrpoTrainer>(setup); }

std::int64_t trpo_batch_rows(const Config& config) { return rollout_rows(config); }

}  // namespace stampede
