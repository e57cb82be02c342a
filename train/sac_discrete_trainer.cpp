// SPDX-License-Identifier: Apache-2.0
#include "train/sac_discrete_trainer.h"

#include <cmath>

#include "agents/sac_discrete.h"
#include "train/off_policy_trainer.h"
#include "train/temperature_keys.h"

namespace stampede {
namespace {

SacDiscreteConfig sac_discrete_config(const Config& config, const Space& action) {
  SacDiscreteConfig sac;
  read_off_policy(config, sac);
  sac.temperature = temperature_config(config, std::log(static_cast<double>(action.count)));
  return sac;
}

class SacDiscreteTrainer final : public OffPolicyTrainer {
 public:
  explicit SacDiscreteTrainer(const TrainerSetup& setup)
      : OffPolicyTrainer(setup, true), config_(sac_discrete_config(setup.config, spec_.action)) {
    SacDiscrete::check(config_, spec_.action, shape_);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    return with_shared_names({"losses/policy_loss", "losses/entropy", "losses/alpha"});
  }

 protected:
  void build_agent() override {
    sac_ = std::make_unique<SacDiscrete>(
        config_, spec_.action, SacDiscrete::networks(config_, spec_.observation, spec_.action, network_factory_),
        shape_, workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  OffPolicyActorCritic& agent() const override { return *sac_; }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const SoftMetrics m = sac_->take_metrics(stream_);
    report(m, {{"losses/policy_loss", m.policy_loss}, {"losses/entropy", m.entropy}, {"losses/alpha", m.alpha}},
           metrics);
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(sac_->actor(), "actor.", blocks);
    add_critic_blocks(sac_->critic(), "critic.", blocks);
    add_temperature_blocks(sac_->temperature(), blocks);
    return blocks;
  }

 private:
  SacDiscreteConfig config_;
  std::unique_ptr<SacDiscrete> sac_;
};

}  // namespace

KeyList sac_discrete_keys() {
  KeyList keys = temperature_keys();
  append(keys, off_policy_keys());
  set_default(keys, "target_entropy_scale", "0.98");
  return keys;
}

std::unique_ptr<Trainer> make_sac_discrete_trainer(const TrainerSetup& setup) {
  return std::make_unique<SacDiscreteTrainer>(setup);
}

}  // namespace stampede
