// SPDX-License-Identifier: Apache-2.0
#include "train/sac_trainer.h"

#include "agents/sac.h"
#include "train/off_policy_trainer.h"
#include "train/state_noise_keys.h"
#include "train/temperature_keys.h"

namespace stampede {
namespace {

SacConfig sac_config(const Config& config, const Space& action) {
  SacConfig sac;
  read_off_policy(config, sac);
  sac.value_network = config.flag("value_network");
  // Haarnoja et al. 2018b, appendix D: -dim(A).
  sac.temperature = temperature_config(config, -static_cast<double>(action.size));
  sac.noise = noise_config(config);
  sac.state_noise = state_noise_config(config, config.integer("train_interval"));
  sac.initial_log_sigma = static_cast<float>(config.real("log_sigma"));
  return sac;
}

class SacTrainer final : public OffPolicyTrainer {
 public:
  explicit SacTrainer(const TrainerSetup& setup)
      : OffPolicyTrainer(setup, true), config_(sac_config(setup.config, spec_.action)) {
    Sac::check(config_, spec_.observation, spec_.action, shape_);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    return with_shared_names({"losses/policy_loss", "losses/entropy", "losses/value_loss", "losses/alpha"});
  }

 protected:
  void build_agent() override {
    sac_ = std::make_unique<Sac>(config_, spec_.action,
                                 Sac::networks(config_, spec_.observation, spec_.action, network_factory_), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  OffPolicyActorCritic& agent() const override { return *sac_; }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const SoftMetrics m = sac_->take_metrics(stream_);
    report(m,
           {{"losses/policy_loss", m.policy_loss},
            {"losses/entropy", m.entropy},
            {"losses/value_loss", m.value_loss},
            {"losses/alpha", m.alpha}},
           metrics);
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(sac_->actor(), "actor.", blocks);
    add_critic_blocks(sac_->critic(), "critic.", blocks);
    if (sac_->value() != nullptr) add_critic_blocks(*sac_->value(), "value.", blocks);
    add_temperature_blocks(sac_->temperature(), blocks);
    add_noise_blocks(sac_->noise(), blocks);
    return blocks;
  }

 private:
  SacConfig config_;
  std::unique_ptr<Sac> sac_;
};

}  // namespace

KeyList sac_keys() {
  using enum ConfigType;
  KeyList keys = {
      {.name = "value_network",
       .type = kFlag,
       .default_text = "false",
       .help = "a separate V(s) with a target instead of target critics (Haarnoja et al. 2018a)"},
      {.name = "log_sigma",
       .default_text = "-2",
       .min = -20,
       .max = 2,
       .help = "sde: initial log standard deviation, before tanh, where features are 1"},
  };
  for (const KeyList& group : {temperature_keys(), noise_keys(), state_noise_keys(), off_policy_keys()}) {
    append(keys, group);
  }
  return keys;
}

std::unique_ptr<Trainer> make_sac_trainer(const TrainerSetup& setup) { return std::make_unique<SacTrainer>(setup); }

}  // namespace stampede
