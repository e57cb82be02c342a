// SPDX-License-Identifier: Apache-2.0
#include "train/dqn_keys.h"

#include <limits>
#include <string>

#include "kernels/error.h"
#include "train/epsilon_keys.h"
#include "train/policy_keys.h"

namespace stampede {
namespace {

using enum ConfigType;

NoisyLayers noisy_layers(const Config& config) {
  const std::string name = config.text("noisy");
  if (name == "heads") return NoisyLayers::kHeads;
  return name == "all" ? NoisyLayers::kAll : NoisyLayers::kOff;
}

ValueDistribution distribution(const Config& config) {
  const std::string name = config.text("distribution");
  if (name == "c51") return ValueDistribution::kCategorical;
  return name == "quantile" ? ValueDistribution::kQuantile : ValueDistribution::kNone;
}

ExplorationSchedule::Rule exploration_rule(const Config& config) {
  const std::string name = config.text("exploration");
  if (name == "boltzmann") return ExplorationSchedule::Rule::kBoltzmann;
  return name == "none" ? ExplorationSchedule::Rule::kNone : ExplorationSchedule::Rule::kEpsilon;
}

KeyList target_keys() {
  return {
      {.name = "n_step",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1000,
       .help = "steps folded into a target"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "target_interval",
       .type = kInteger,
       .default_text = "500",
       .min = 1,
       .max = 1e12,
       .help = "updates between target network updates"},
      {.name = "target_tau",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "1 copies the network, below 1 averages (Polyak)",
       .above_min = true},
      {.name = "loss",
       .type = kChoice,
       .default_text = "huber",
       .choices = "huber|squared",
       .help = "of the temporal-difference error, where no distribution is learnt"},
      {.name = "double",
       .type = kFlag,
       .default_text = "false",
       .help = "the online network chooses the target's action"},
      {.name = "soft",
       .type = kFlag,
       .default_text = "false",
       .help =
           "targets are temperature * log sum exp(Q / temperature), not the maximum, and returns take in entropies"},
      {.name = "temperature",
       .default_text = "0.1",
       .min = 0,
       .max = 1e6,
       .help = "of soft targets and of Boltzmann exploration, in units of Q",
       .above_min = true},
      {.name = "temperature_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule",
       .above_min = true},
  };
}

KeyList head_keys() {
  return {
      {.name = "dueling",
       .type = kFlag,
       .default_text = "false",
       .help = "state value and advantages as separate heads"},
      {.name = "distribution",
       .type = kChoice,
       .default_text = "none",
       .choices = "none|c51|quantile",
       .help = "of returns: their mean only, probabilities of fixed atoms, or quantiles"},
      {.name = "atoms",
       .type = kInteger,
       .default_text = "51",
       .min = 2,
       .max = kMaxAtoms,
       .help = "of a distribution"},
      {.name = "v_min", .default_text = "-10", .min = -1e9, .max = 1e9, .help = "c51: return of the first atom"},
      {.name = "v_max", .default_text = "10", .min = -1e9, .max = 1e9, .help = "c51: and of the last"},
      {.name = "kappa",
       .default_text = "1",
       .min = 0,
       .max = 1e9,
       .help = "quantile: threshold of the Huber loss; 0 = none"},
  };
}

KeyList priority_keys() {
  return {
      {.name = "prioritized",
       .type = kFlag,
       .default_text = "false",
       .help = "samples by the size of the last temporal-difference error"},
      {.name = "priority_kind",
       .type = kChoice,
       .default_text = "proportional",
       .choices = "proportional|rank",
       .help = "to the error, or to one over its rank"},
      {.name = "priority_alpha",
       .default_text = "0.6",
       .min = 0,
       .max = 1,
       .help = "power of the priority; 0 samples uniformly"},
      {.name = "priority_beta",
       .default_text = "0.4",
       .min = 0,
       .max = 1,
       .help = "power of importance weights at first"},
      {.name = "priority_beta_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "and at the end of the schedule"},
      {.name = "priority_epsilon",
       .default_text = "1e-6",
       .min = 1e-30,
       .max = 1e30,
       .help = "added to the error before the power"},
  };
}

PriorityConfig priority_config(const Config& config) {
  PriorityConfig priority;
  priority.kind = config.text("priority_kind") == "rank" ? PriorityKind::kRank : PriorityKind::kProportional;
  priority.alpha = static_cast<float>(config.real("priority_alpha"));
  priority.epsilon = static_cast<float>(config.real("priority_epsilon"));
  return priority;
}

KeyList exploration_keys() {
  return {
      {.name = "exploration",
       .type = kChoice,
       .default_text = "epsilon",
       .choices = "epsilon|boltzmann|none",
       .help = "random actions, actions by their values, or noisy layers and dropout alone"},
      {.name = "noisy",
       .type = kChoice,
       .default_text = "off",
       .choices = "off|heads|all",
       .help = "layers whose weights have learnt noise"},
      {.name = "noise_sigma",
       .default_text = "0.5",
       .min = 0,
       .max = 100,
       .help = "initial noise, times 1 / sqrt(inputs of the layer)"},
      {.name = "dropout",
       .default_text = "0",
       .min = 0,
       .max = 0.9,
       .help = "share of hidden units silent when acting"},
  };
}

}  // namespace

KeyList dqn_keys() {
  KeyList keys = target_keys();
  for (const KeyList& group : {head_keys(), exploration_keys(), priority_keys(), replay_keys(), epsilon_keys(),
                               final_epsilon_keys(), collector_keys(), optimizer_keys(), network_keys()}) {
    append(keys, group);
  }
  set_default(keys, "learning_rate", "0.0005");
  set_default(keys, "max_grad_norm", "10");
  set_default(keys, "activation", "relu");
  set_default(keys, "initialization", "kaiming_uniform");
  return keys;
}

DqnConfig dqn_config(const Config& config) {
  DqnConfig dqn;
  dqn.gamma = static_cast<float>(config.real("gamma"));
  dqn.batch_size = static_cast<int>(config.integer("batch_size"));
  dqn.n_step = static_cast<int>(config.integer("n_step"));
  dqn.loss = config.text("loss") == "huber" ? TdLoss::kHuber : TdLoss::kSquared;
  dqn.target_tau = static_cast<float>(config.real("target_tau"));
  dqn.double_q = config.flag("double");
  dqn.dueling = config.flag("dueling");
  dqn.soft = config.flag("soft");
  dqn.prioritized = config.flag("prioritized");
  dqn.priority = priority_config(config);
  dqn.noisy = noisy_layers(config);
  dqn.noise_sigma = static_cast<float>(config.real("noise_sigma"));
  dqn.dropout = static_cast<float>(config.real("dropout"));
  dqn.distribution = distribution(config);
  dqn.support = {static_cast<float>(config.real("v_min")), static_cast<float>(config.real("v_max")),
                 static_cast<int>(config.integer("atoms"))};
  dqn.kappa = static_cast<float>(config.real("kappa"));
  dqn.fused = fused_use(config);
  dqn.epsilon_ends = config.reals("epsilon_ends");
  dqn.epsilon_shares = config.reals("epsilon_shares");
  dqn.network = network_shape(config);
  dqn.optimizer = optimizer_config(config);
  return dqn;
}

ExplorationSchedule exploration_schedule(const Config& config) {
  const ExplorationSchedule::Rule rule = exploration_rule(config);
  if (rule == ExplorationSchedule::Rule::kNone && config.text("noisy") == "off" && config.real("dropout") == 0.0) {
    throw UsageError("exploration: none needs noisy layers or dropout to explore with");
  }
  return {rule, epsilon_schedule(config), annealed(config, "temperature", "temperature_final")};
}

Schedule importance_schedule(const Config& config) {
  return {ScheduleKind::kLinear, config.real("priority_beta"), config.real("priority_beta_final"),
          schedule_rows(config)};
}

Exploration ExplorationSchedule::at(std::int64_t row, const float* final_epsilons) const {
  switch (rule) {
    case Rule::kEpsilon:
      return {.epsilon = epsilon_at(epsilon, row, final_epsilons)};
    case Rule::kBoltzmann:
      return {.temperature = static_cast<float>(temperature.at(row))};
    case Rule::kNone:
      break;
  }
  return {};
}

Exploration ExplorationSchedule::at_end() const { return at(std::numeric_limits<std::int64_t>::max(), nullptr); }

}  // namespace stampede
