// SPDX-License-Identifier: Apache-2.0
#include "train/reinforce_trainer.h"

#include "agents/reinforce.h"
#include "train/policy_keys.h"
#include "train/rollout_trainer.h"
#include "train/state_noise_keys.h"

namespace stampede {
namespace {

Baseline baseline(const Config& config) {
  const std::string name = config.text("baseline");
  if (name == "mean") return Baseline::kMean;
  return name == "learned" ? Baseline::kLearned : Baseline::kNone;
}

ReinforceConfig reinforce_config(const Config& config) {
  ReinforceConfig reinforce;
  reinforce.actor_critic = actor_critic_config(config);
  reinforce.gamma = static_cast<float>(config.real("gamma"));
  reinforce.baseline = baseline(config);
  reinforce.value_weight = static_cast<float>(config.real("value_coef"));
  reinforce.normalize_returns = config.flag("normalize_returns");
  return reinforce;
}

class ReinforceTrainer final : public RolloutTrainer {
 public:
  explicit ReinforceTrainer(const TrainerSetup& setup)
      : RolloutTrainer(setup), config_(reinforce_config(setup.config)) {
    measure();
  }

 protected:
  ActorCritic& actor_critic() const override { return reinforce_->actor_critic(); }

  void build_agent() override {
    reinforce_ = std::make_unique<Reinforce>(config_, spec_.action, make_network(config_.actor_critic), shape_,
                                             workers(), act_rows(), seed_, stream_, agent_arena_);
  }

  std::int64_t learn(std::int64_t row, std::uint64_t /*iteration*/) override {
    reinforce_->learn(stream_, *ring_, {learning_rate(row), entropy_weight(row)});
    return 1;
  }

 private:
  ReinforceConfig config_;
  std::unique_ptr<Reinforce> reinforce_;
};

}  // namespace

KeyList reinforce_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "512",
       .min = 1,
       .max = 1 << 20,
       .help = "rows per environment between updates (T); only episodes that end in them count"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "baseline",
       .type = kChoice,
       .default_text = "learned",
       .choices = "none|mean|learned",
       .help = "subtracted from returns"},
      {.name = "normalize_returns", .type = kFlag, .default_text = "true", .help = "minus the baseline, per update"},
  };
  KeyList keys(std::begin(kKeys), std::end(kKeys));
  append(keys, collector_keys());
  append(keys, actor_critic_keys());
  append(keys, state_noise_keys());
  return keys;
}

std::unique_ptr<Trainer> make_reinforce_trainer(const TrainerSetup& setup) {
  return std::make_unique<ReinforceTrainer>(setup);
}

}  // namespace stampede
