// SPDX-License-Identifier: Apache-2.0
#include "train/td_keys.h"

#include <string>

#include "kernels/error.h"
#include "train/feature_keys.h"

namespace stampede {
namespace {

using enum ConfigType;

KeyList common_td_keys() {
  KeyList keys = {
      {.name = "target",
       .type = kChoice,
       .default_text = "maximum",
       .choices = "maximum|sampled|expected|soft|return",
       .help = "value of the next state: Q-learning, SARSA, Expected SARSA, soft, Monte Carlo"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "learning_rate",
       .default_text = "0.1",
       .min = 0,
       .max = 1,
       .help = "share of the TD error; divided among active features",
       .above_min = true},
      {.name = "learning_rate_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "learning_rate_schedule",
       .type = kChoice,
       .default_text = "linear",
       .choices = "linear|exponential|constant",
       .help = "from start to end"},
      {.name = "rate_power",
       .default_text = "0",
       .min = 0,
       .max = 1,
       .help = "the learning rate is divided by visits to this power; 1 averages"},
      {.name = "n_step", .type = kInteger, .default_text = "1", .min = 1, .max = 1000, .help = "steps of a target"},
      {.name = "lambda", .default_text = "0", .min = 0, .max = 1, .help = "decay of eligibility traces; 0 = none"},
      {.name = "traces",
       .type = kChoice,
       .default_text = "accumulating",
       .choices = "accumulating|replacing",
       .help = "what a repeated visit does"},
      {.name = "double_q", .type = kFlag, .default_text = "false", .help = "two estimators (van Hasselt 2010)"},
      {.name = "initial_value",
       .default_text = "0",
       .min = -1e6,
       .max = 1e6,
       .help = "of every action; above what is attainable explores"},
      {.name = "bonus", .default_text = "0", .min = 0, .max = 1e6, .help = "bonus / sqrt(visits) is added to rewards"},
      {.name = "temperature",
       .default_text = "0.01",
       .min = 0,
       .max = 1e6,
       .help = "of the entropy, for the soft target",
       .above_min = true},
      {.name = "temperature_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule",
       .above_min = true},
      {.name = "episodes",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e9,
       .help = "after which a learner stops; schedules then follow its episodes; 0 = no limit"},
      {.name = "return_window",
       .type = kInteger,
       .default_text = "100",
       .min = 1,
       .max = 1e9,
       .help = "last of these episodes, whose mean return is reported"},
      {.name = "longest_episode",
       .type = kInteger,
       .default_text = "1000",
       .min = 1,
       .max = 1 << 20,
       .help = "rows kept for Monte Carlo returns where the environment has no limit"},
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "128",
       .min = 1,
       .max = 1 << 20,
       .help = "steps of every environment per iteration"},
      {.name = "evaluation",
       .type = kChoice,
       .default_text = "auto",
       .choices = "auto|exact|sampled",
       .help = "on the transition table where there is one, or by playing"},
  };
  append(keys, epsilon_keys());
  set_default(keys, "epsilon_start", "0.1");
  set_default(keys, "epsilon_end", "0.1");
  return keys;
}

ScheduleKind schedule_kind(const std::string& name) {
  if (name == "constant") return ScheduleKind::kConstant;
  return name == "linear" ? ScheduleKind::kLinear : ScheduleKind::kExponential;
}

TdTarget td_target(const std::string& name) {
  if (name == "sampled") return TdTarget::kSampled;
  if (name == "expected") return TdTarget::kExpected;
  if (name == "soft") return TdTarget::kSoft;
  return name == "return" ? TdTarget::kReturn : TdTarget::kMaximum;
}

}  // namespace

KeyList tabular_keys() {
  KeyList keys = common_td_keys();
  append(keys, KeyList{
                   {.name = "planning_steps",
                    .type = kInteger,
                    .default_text = "0",
                    .min = 0,
                    .max = 10000,
                    .help = "updates from the learnt model after each step (Dyna-Q)"},
                   {.name = "model_outcomes",
                    .type = kInteger,
                    .default_text = "4",
                    .min = 1,
                    .max = 64,
                    .help = "of a state and action that the model draws by their frequencies; 1 = the latest"},
                   {.name = "first_visit",
                    .type = kFlag,
                    .default_text = "true",
                    .help = "Monte Carlo returns: of a pair's first visit only, or of every visit"},
               });
  return keys;
}

KeyList linear_keys() {
  KeyList keys = common_td_keys();
  append(keys, feature_keys());
  return keys;
}

TdConfig td_config(const Config& config) {
  TdConfig td;
  td.target = td_target(config.text("target"));
  td.gamma = static_cast<float>(config.real("gamma"));
  td.n_step = static_cast<int>(config.integer("n_step"));
  td.lambda = static_cast<float>(config.real("lambda"));
  td.replacing = config.text("traces") == "replacing";
  td.double_q = config.flag("double_q");
  td.initial_value = static_cast<float>(config.real("initial_value"));
  td.bonus = static_cast<float>(config.real("bonus"));
  td.rate_power = static_cast<float>(config.real("rate_power"));
  td.episodes = static_cast<int>(config.integer("episodes"));
  td.return_window = static_cast<int>(config.integer("return_window"));
  if (config.has("planning_steps")) {
    td.planning_steps = static_cast<int>(config.integer("planning_steps"));
    td.model_outcomes = static_cast<int>(config.integer("model_outcomes"));
    td.first_visit = td.target == TdTarget::kReturn && config.flag("first_visit");
  }
  return td;
}

TdSchedules td_schedules(const Config& config) {
  const ScheduleKind kind = schedule_kind(config.text("learning_rate_schedule"));
  if (kind == ScheduleKind::kExponential && config.real("learning_rate_final") <= 0.0) {
    throw UsageError("learning_rate_schedule: exponential needs learning_rate_final above 0");
  }
  TdSchedules s{epsilon_schedule(config), annealed(config, "learning_rate", "learning_rate_final"),
                annealed(config, "temperature", "temperature_final")};
  s.learning_rate.kind = kind;
  const std::int64_t episodes = config.integer("episodes");
  if (episodes == 0) return s;
  s.epsilon.rows = static_cast<std::int64_t>(config.real("epsilon_fraction") * static_cast<double>(episodes));
  s.learning_rate.rows = s.temperature.rows = episodes;
  return s;
}

}  // namespace stampede
