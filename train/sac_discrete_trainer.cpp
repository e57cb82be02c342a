// SPDX-License-Identifier: Apache-2.0
#include "train/sac_discrete_trainer.h"

#include <cmath>

#include "agents/sac_discrete.h"
#include "train/off_policy_trainer.h"
#include "train/temperature_keys.h"

namespace stampede {
namespace {

SacDiscreteConfig sac_config(const Config& config, const Space& action) {
  SacDiscreteConfig sac;
  sac.gamma = static_cast<float>(config.real("gamma"));
  sac.batch_size = static_cast<int>(config.integer("batch_size"));
  sac.n_step = static_cast<int>(config.integer("n_step"));
  sac.critics = static_cast<int>(config.integer("critics"));
  sac.tau = static_cast<float>(config.real("target_tau"));
  sac.temperature = temperature_config(config, std::log(static_cast<double>(action.count)));
  sac.network = network_shape(config);
  sac.optimizer = optimizer_config(config);
  return sac;
}

class SacDiscreteTrainer final : public OffPolicyTrainer {
 public:
  explicit SacDiscreteTrainer(const TrainerSetup& setup)
      : OffPolicyTrainer(setup),
        config_(sac_config(setup.config, spec_.action)),
        actor_scale_(setup.config.real("actor_rate_scale")) {
    SacDiscrete::check(config_, spec_.action, shape_);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/critic_loss",
            "losses/q_values",
            "losses/absolute_td_error",
            "losses/td_target",
            "losses/policy_loss",
            "losses/entropy",
            "losses/alpha",
            "losses/critic_gradient_norm",
            "losses/actor_gradient_norm",
            "charts/learning_rate"};
  }

 protected:
  void build_agent() override {
    sac_ = std::make_unique<SacDiscrete>(
        config_, spec_.action, SacDiscrete::networks(config_, spec_.observation, spec_.action, network_factory_),
        shape_, workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void initialize_agent() override { sac_->initialize(stream_); }
  void act(const Stream& stream, const ActRequest& request) const override { sac_->act(stream, request); }

  void learn(std::uint64_t update, float learning_rate) override {
    sac_->learn(stream_, *ring_, update, learning_rate, learning_rate * static_cast<float>(actor_scale_));
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    const SacDiscreteMetrics m = sac_->read_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {{"losses/critic_loss", m.critic_loss},
                      {"losses/q_values", m.mean_q},
                      {"losses/absolute_td_error", m.mean_absolute_error},
                      {"losses/td_target", m.mean_target},
                      {"losses/policy_loss", m.policy_loss},
                      {"losses/entropy", m.entropy},
                      {"losses/alpha", m.alpha},
                      {"losses/critic_gradient_norm", m.critic_gradient_norm},
                      {"losses/actor_gradient_norm", m.actor_gradient_norm},
                      {"charts/learning_rate", learning_rate()}};
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(sac_->actor(), "actor.", blocks);
    add_critic_blocks(sac_->critic(), "critic.", blocks);
    add_temperature_blocks(sac_->temperature(), blocks);
    return blocks;
  }

  void agent_restored() override {
    sac_->actor().refresh(stream_);
    sac_->critic().network().refresh(stream_);
    sac_->temperature().refresh(stream_);
  }

 private:
  SacDiscreteConfig config_;
  double actor_scale_;
  std::unique_ptr<SacDiscrete> sac_;
};

}  // namespace

KeyList sac_discrete_keys() {
  KeyList keys = {
      {.name = "critics",
       .type = ConfigType::kInteger,
       .default_text = "2",
       .min = 1,
       .max = kMaxCritics,
       .help = "action-value functions; targets take the smaller value"},
  };
  for (const KeyList& group : {temperature_keys(), off_policy_keys()}) append(keys, group);
  set_default(keys, "target_entropy_scale", "0.98");
  return keys;
}

std::unique_ptr<Trainer> make_sac_discrete_trainer(const TrainerSetup& setup) {
  return std::make_unique<SacDiscreteTrainer>(setup);
}

}  // namespace stampede
