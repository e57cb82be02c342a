// SPDX-License-Identifier: Apache-2.0
#include "train/td3_trainer.h"

#include "agents/td3.h"
#include "kernels/error.h"
#include "train/off_policy_trainer.h"

namespace stampede {
namespace {

Td3Config td3_config(const Config& config, const Space& action) {
  Td3Config td3;
  td3.gamma = static_cast<float>(config.real("gamma"));
  td3.batch_size = static_cast<int>(config.integer("batch_size"));
  td3.n_step = static_cast<int>(config.integer("n_step"));
  td3.critics = static_cast<int>(config.integer("critics"));
  td3.policy_delay = static_cast<int>(config.integer("policy_delay"));
  td3.tau = static_cast<float>(config.real("target_tau"));
  td3.smoothing = {static_cast<float>(config.real("target_noise")),
                   static_cast<float>(config.real("target_noise_clip"))};
  td3.noise = noise_config(config);
  td3.gumbel_temperature = static_cast<float>(config.real("gumbel_temperature"));
  td3.logit_penalty = static_cast<float>(config.real("logit_penalty"));
  td3.network = network_shape(config);
  td3.optimizer = optimizer_config(config);
  if (action.is_discrete()) td3.noise.kind = NoiseKind::kNone;  // Gumbel samples explore
  return td3;
}

class Td3Trainer final : public OffPolicyTrainer {
 public:
  explicit Td3Trainer(const TrainerSetup& setup)
      : OffPolicyTrainer(setup),
        config_(td3_config(setup.config, spec_.action)),
        actor_scale_(setup.config.real("actor_rate_scale")) {
    Td3::check(config_, spec_.observation, spec_.action, shape_);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/critic_loss",         "losses/q_values",     "losses/absolute_td_error",
            "losses/td_target",           "losses/policy_loss",  "losses/critic_gradient_norm",
            "losses/actor_gradient_norm", "charts/learning_rate"};
  }

 protected:
  void build_agent() override {
    td3_ = std::make_unique<Td3>(config_, spec_.action,
                                 Td3::networks(config_, spec_.observation, spec_.action, network_factory_), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void initialize_agent() override { td3_->initialize(stream_); }
  void act(const Stream& stream, const ActRequest& request) const override { td3_->act(stream, request); }

  void learn(std::uint64_t update, float learning_rate) override {
    td3_->learn(stream_, *ring_, update, learning_rate, learning_rate * static_cast<float>(actor_scale_));
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    const Td3Metrics m = td3_->read_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {{"losses/critic_loss", m.critic_loss},
                      {"losses/q_values", m.mean_q},
                      {"losses/absolute_td_error", m.mean_absolute_error},
                      {"losses/td_target", m.mean_target},
                      {"losses/policy_loss", m.policy_loss},
                      {"losses/critic_gradient_norm", m.critic_gradient_norm},
                      {"losses/actor_gradient_norm", m.actor_gradient_norm},
                      {"charts/learning_rate", learning_rate()}};
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(td3_->actor(), "actor.", blocks);
    add_target_block("actor.target.parameters", td3_->actor_target(), td3_->actor().spec(), blocks);
    add_critic_blocks(td3_->critic(), "critic.", blocks);
    add_noise_blocks(td3_->noise(), blocks);
    return blocks;
  }

  void agent_restored() override {
    td3_->actor().refresh(stream_);
    td3_->critic().network().refresh(stream_);
  }

 private:
  Td3Config config_;
  double actor_scale_;
  std::unique_ptr<Td3> td3_;
};

}  // namespace

KeyList td3_keys() {
  using enum ConfigType;
  KeyList keys = {
      {.name = "critics",
       .type = kInteger,
       .default_text = "2",
       .min = 1,
       .max = kMaxCritics,
       .help = "action-value functions; targets take the smaller value"},
      {.name = "policy_delay",
       .type = kInteger,
       .default_text = "2",
       .min = 1,
       .max = 1000,
       .help = "updates of the critics per update of policy and targets"},
      {.name = "target_noise",
       .default_text = "0.2",
       .min = 0,
       .max = 10,
       .help = "deviation of target policy smoothing, where actions reach from -1 to 1; 0 = off"},
      {.name = "target_noise_clip", .default_text = "0.5", .min = 0, .max = 10, .help = "and its limit"},
      {.name = "gumbel_temperature",
       .default_text = "1",
       .min = 0,
       .max = 100,
       .help = "discrete actions: of the Gumbel-softmax",
       .above_min = true},
      {.name = "logit_penalty",
       .default_text = "0.001",
       .min = 0,
       .max = 100,
       .help = "discrete actions: weight of the mean square of logits"},
  };
  for (const KeyList& group : {noise_keys(), off_policy_keys()}) append(keys, group);
  set_default(keys, "noise", "gaussian");
  return keys;
}

std::unique_ptr<Trainer> make_td3_trainer(const TrainerSetup& setup) { return std::make_unique<Td3Trainer>(setup); }

}  // namespace stampede
