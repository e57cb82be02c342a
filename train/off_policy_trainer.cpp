// SPDX-License-Identifier: Apache-2.0
#include "train/off_policy_trainer.h"

namespace stampede {

OffPolicyTrainer::OffPolicyTrainer(const TrainerSetup& setup, bool soft)
    : ReplayTrainer(setup, soft && setup.config.integer("n_step") > 1 ? 1 : 0),
      actor_scale_(setup.config.real("actor_rate_scale")),
      random_warmup_(setup.config.text("warmup") == "uniform") {}

std::int64_t OffPolicyTrainer::collect(std::int64_t /*most*/) {
  const std::int64_t row = ring_->head();
  const std::uint32_t* const previous = ring_->stored_rows() > 0 ? ring_->records(ring_->slot(row - 1)) : nullptr;
  const ActMode mode = random_warmup_ && row * environments_ < learning_starts_ ? ActMode::kRandom : ActMode::kExplore;
  step([&](const Stream& stream, int slot, int begin, int end, int worker) {
    agent().act(stream, {.obs = ring_->obs(slot),
                         .records = ring_->records(slot),
                         .previous = previous,
                         .begin = begin,
                         .end = end,
                         .row = static_cast<std::uint64_t>(row),
                         .worker = worker,
                         .mode = mode,
                         .entropies = shape_.extra_size > 0 ? ring_->extra(slot) : nullptr});
  });
  return 1;
}

void OffPolicyTrainer::update() {
  const auto rate = static_cast<float>(learning_rate_.at(rows()));
  agent().learn(stream_, *ring_, static_cast<std::uint64_t>(updates_), rate, rate * static_cast<float>(actor_scale_));
}

void OffPolicyTrainer::evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const {
  agent().act(stream, {acts.obs, acts.records, nullptr, acts.begin, acts.end, acts.row, acts.worker,
                       mode == EvaluationMode::kGreedy ? ActMode::kGreedy : ActMode::kStochastic, acts.seed});
}

std::vector<std::string> OffPolicyTrainer::with_shared_names(std::vector<std::string> own) {
  std::vector<std::string> names{"losses/critic_loss",          "losses/q_values",
                                 "losses/absolute_td_error",    "losses/td_target",
                                 "losses/critic_gradient_norm", "losses/actor_gradient_norm",
                                 "charts/learning_rate"};
  names.insert(names.end(), own.begin(), own.end());
  return names;
}

void OffPolicyTrainer::report(const OffPolicyMetrics& m, const NamedValues& own, TrainerMetrics& metrics) const {
  metrics.failed = m.failed;
  metrics.values = {{"losses/critic_loss", m.critic_loss},
                    {"losses/q_values", m.mean_q},
                    {"losses/absolute_td_error", m.mean_absolute_error},
                    {"losses/td_target", m.mean_target},
                    {"losses/critic_gradient_norm", m.critic_gradient_norm},
                    {"losses/actor_gradient_norm", m.actor_gradient_norm},
                    {"charts/learning_rate", learning_rate_.at(metrics.rows)}};
  metrics.values.insert(metrics.values.end(), own.begin(), own.end());
}

void OffPolicyTrainer::add_target_block(const std::string& name, View<float> parameters, const NetworkSpec& spec,
                                        std::vector<StateBlock>& blocks) {
  blocks.push_back({name, StateBlock::Type::kF32, {parameters.size()}, parameters.data, &spec});
}

void OffPolicyTrainer::add_critic_blocks(TwinCritic& critic, const std::string& prefix,
                                         std::vector<StateBlock>& blocks) {
  add_network_blocks(critic.network(), prefix, blocks);
  add_target_block(prefix + "target.parameters", critic.target_parameters(), critic.network().spec(), blocks);
}

void OffPolicyTrainer::add_temperature_blocks(const Temperature& temperature, std::vector<StateBlock>& blocks) {
  const auto add = [&](const char* name, View<float> view) {
    blocks.push_back({std::string("temperature.") + name, StateBlock::Type::kF32, {view.size()}, view.data});
  };
  add("log_alpha", temperature.log_alpha());
  add("first_moment", temperature.first_moment());
  add("second_moment", temperature.second_moment());
  blocks.push_back(
      {"temperature.learner_state", StateBlock::Type::kU8, {sizeof(LearnerState)}, temperature.state().data});
}

void OffPolicyTrainer::add_noise_blocks(const ExplorationNoise& noise, std::vector<StateBlock>& blocks) {
  if (noise.state().size() == 0) return;
  blocks.push_back({"noise", StateBlock::Type::kF32, {noise.state().size()}, noise.state().data});
}

std::int64_t off_policy_batch_rows(const Config& config) { return config.integer("batch_size"); }

KeyList off_policy_keys() {
  using enum ConfigType;
  KeyList keys = {
      {.name = "critics",
       .type = kInteger,
       .default_text = "2",
       .min = 1,
       .max = kMaxCritics,
       .help = "action-value functions; targets take the smaller value"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "n_step",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1000,
       .help = "steps folded into a target; soft actor-critics add the entropies between"},
      {.name = "target_tau",
       .default_text = "0.005",
       .min = 0,
       .max = 1,
       .help = "share of a network that moves into its target (Polyak)",
       .above_min = true},
      {.name = "actor_rate_scale",
       .default_text = "1",
       .min = 0,
       .max = 1000,
       .help = "the actor's learning rate as a fraction of the critics'"},
      {.name = "warmup",
       .type = kChoice,
       .default_text = "uniform",
       .choices = "uniform|policy",
       .help = "actions before learning starts"},
  };
  for (const KeyList& group : {replay_keys(), optimizer_keys(), network_keys()}) append(keys, group);
  set_default(keys, "batch_size", "256");
  set_default(keys, "learning_rate", "0.001");
  set_default(keys, "learning_starts", "100");
  set_default(keys, "activation", "relu");
  set_default(keys, "initialization", "kaiming_uniform");
  return keys;
}

void read_off_policy(const Config& config, OffPolicyConfig& off_policy) {
  off_policy.gamma = static_cast<float>(config.real("gamma"));
  off_policy.batch_size = static_cast<int>(config.integer("batch_size"));
  off_policy.n_step = static_cast<int>(config.integer("n_step"));
  off_policy.critics = static_cast<int>(config.integer("critics"));
  off_policy.tau = static_cast<float>(config.real("target_tau"));
  off_policy.network = network_shape(config);
  off_policy.optimizer = optimizer_config(config);
}

KeyList noise_keys() {
  using enum ConfigType;
  return {
      {.name = "noise",
       .type = kChoice,
       .default_text = "none",
       .choices = "none|gaussian|ornstein_uhlenbeck",
       .help = "added to explored actions, where they are continuous"},
      {.name = "noise_sigma",
       .default_text = "0.1",
       .min = 0,
       .max = 10,
       .help = "its deviation, where actions reach from -1 to 1"},
      {.name = "noise_theta",
       .default_text = "0.15",
       .min = 0,
       .max = 10,
       .help = "ornstein_uhlenbeck: pull towards zero per unit of time"},
      {.name = "noise_dt",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "ornstein_uhlenbeck: time of one step",
       .above_min = true},
  };
}

NoiseConfig noise_config(const Config& config) {
  const std::string name = config.text("noise");
  NoiseConfig noise;
  noise.kind = name == "gaussian" ? NoiseKind::kGaussian
               : name == "none"   ? NoiseKind::kNone
                                  : NoiseKind::kOrnsteinUhlenbeck;
  noise.sigma = static_cast<float>(config.real("noise_sigma"));
  noise.theta = static_cast<float>(config.real("noise_theta"));
  noise.dt = static_cast<float>(config.real("noise_dt"));
  return noise;
}

}  // namespace stampede
