// SPDX-License-Identifier: Apache-2.0
#include "train/a2c_trainer.h"

#include "agents/a2c.h"
#include "train/policy_keys.h"
#include "train/rollout_trainer.h"
#include "train/state_noise_keys.h"

namespace stampede {
namespace {

A2cConfig a2c_config(const Config& config) {
  A2cConfig a2c;
  a2c.actor_critic = actor_critic_config(config);
  a2c.gamma = static_cast<float>(config.real("gamma"));
  a2c.lambda = static_cast<float>(config.real("gae_lambda"));
  a2c.epochs = static_cast<int>(config.integer("epochs"));
  a2c.vtrace = config.text("advantage") == "vtrace";
  a2c.value_weight = static_cast<float>(config.real("value_coef"));
  a2c.scaling = config.flag("normalize_advantage") ? AdvantageScaling::kNormalize : AdvantageScaling::kNone;
  a2c.temperature = static_cast<float>(config.real("temperature"));
  return a2c;
}

class A2cTrainer final : public RolloutTrainer {
 public:
  explicit A2cTrainer(const TrainerSetup& setup) : RolloutTrainer(setup), config_(a2c_config(setup.config)) {
    measure();
  }

 protected:
  ActorCritic& actor_critic() const override { return a2c_->actor_critic(); }

  void build_agent() override {
    a2c_ = std::make_unique<A2c>(config_, spec_.action, make_network(config_.actor_critic), shape_, workers(),
                                 act_rows(), seed_, stream_, agent_arena_);
  }

  std::int64_t learn(std::int64_t row, std::uint64_t /*iteration*/) override {
    a2c_->learn(stream_, *ring_, {learning_rate(row), entropy_weight(row)});
    return config_.epochs;
  }

 private:
  A2cConfig config_;
  std::unique_ptr<A2c> a2c_;
};

}  // namespace

KeyList a2c_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "normalize_advantage", .type = kFlag, .default_text = "false", .help = "over the rollout"},
      {.name = "epochs",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1000,
       .help = "gradient steps on each rollout"},
      {.name = "advantage",
       .type = kChoice,
       .default_text = "gae",
       .choices = "gae|vtrace",
       .help = "vtrace: estimated anew each epoch, corrected for how far the policy has moved"},
      {.name = "temperature",
       .default_text = "0",
       .min = 0,
       .max = 100,
       .help = "weight of the entropy inside the return; 0 = none"},
  };
  KeyList keys = rollout_keys();
  append(keys, kKeys);
  append(keys, actor_critic_keys());
  append(keys, state_noise_keys());
  set_default(keys, "rollout_steps", "5");
  set_default(keys, "gae_lambda", "1");
  set_default(keys, "optimizer", "rmsprop");
  set_default(keys, "learning_rate", "0.0007");
  return keys;
}

std::unique_ptr<Trainer> make_a2c_trainer(const TrainerSetup& setup) { return std::make_unique<A2cTrainer>(setup); }

}  // namespace stampede
