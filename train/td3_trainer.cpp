// SPDX-License-Identifier: Apache-2.0
#include "train/td3_trainer.h"

#include "agents/td3.h"
#include "kernels/error.h"
#include "train/off_policy_trainer.h"

namespace stampede {
namespace {

BatchNormLayers batch_norm_layers(const std::string& name) {
  if (name == "actor") return BatchNormLayers::kActor;
  return name == "all" ? BatchNormLayers::kAll : BatchNormLayers::kNone;
}

Td3Config td3_config(const Config& config, const Space& action) {
  Td3Config td3;
  read_off_policy(config, td3);
  td3.policy_delay = static_cast<int>(config.integer("policy_delay"));
  td3.smoothing = {static_cast<float>(config.real("target_noise")),
                   static_cast<float>(config.real("target_noise_clip"))};
  td3.noise = noise_config(config);
  td3.gumbel_temperature = static_cast<float>(config.real("gumbel_temperature"));
  td3.logit_penalty = static_cast<float>(config.real("logit_penalty"));
  td3.saturation_penalty = static_cast<float>(config.real("saturation_penalty"));
  td3.batch_norm = batch_norm_layers(config.text("batch_norm"));
  if (action.is_discrete()) td3.noise.kind = NoiseKind::kNone;  // Gumbel samples explore
  return td3;
}

class Td3Trainer final : public OffPolicyTrainer {
 public:
  explicit Td3Trainer(const TrainerSetup& setup)
      : OffPolicyTrainer(setup), config_(td3_config(setup.config, spec_.action)) {
    Td3::check(config_, spec_.observation, spec_.action, shape_);
    measure();
  }

  std::vector<std::string> metric_names() const override { return with_shared_names({"losses/policy_loss"}); }

 protected:
  void build_agent() override {
    td3_ = std::make_unique<Td3>(config_, spec_.action,
                                 Td3::networks(config_, spec_.observation, spec_.action, network_factory_), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  OffPolicyActorCritic& agent() const override { return *td3_; }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const Td3Metrics m = td3_->take_metrics(stream_);
    report(m, {{"losses/policy_loss", m.policy_loss}}, metrics);
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(td3_->actor(), "actor.", blocks);
    add_target_block("actor.target.parameters", td3_->actor_target(), td3_->actor().spec(), blocks);
    add_critic_blocks(td3_->critic(), "critic.", blocks);
    add_noise_blocks(td3_->noise(), blocks);
    return blocks;
  }

 private:
  Td3Config config_;
  std::unique_ptr<Td3> td3_;
};

}  // namespace

KeyList td3_keys() {
  using enum ConfigType;
  KeyList keys = {
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
      {.name = "batch_norm",
       .type = kChoice,
       .default_text = "off",
       .choices = "off|actor|all",
       .help = "batch normalisation of the actor's hidden layers, or of all networks'"},
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
      {.name = "saturation_penalty",
       .default_text = "0",
       .min = 0,
       .max = 100,
       .help = "continuous actions: weight of the mean square of the policy's outputs before tanh"},
  };
  for (const KeyList& group : {noise_keys(), off_policy_keys()}) append(keys, group);
  set_default(keys, "noise", "gaussian");
  return keys;
}

std::unique_ptr<Trainer> make_td3_trainer(const TrainerSetup& setup) { return std::make_unique<Td3Trainer>(setup); }

}  // namespace stampede
