// SPDX-License-Identifier: Apache-2.0
#include "train/td_keys.h"

#include <bit>
#include <cmath>
#include <string>

#include "kernels/error.h"

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

// feature_low and feature_high, or the bounds of the space.
UnitScale unit_scale(const Config& config, const Space& observation) {
  UnitScale scale;
  scale.size = observation.size;
  const std::vector<double> low = config.reals("feature_low"), high = config.reals("feature_high");
  const auto count = static_cast<std::size_t>(observation.size);
  if ((!low.empty() && low.size() != count) || (!high.empty() && high.size() != count)) {
    throw UsageError("feature_low and feature_high: the observation has " + std::to_string(count) + " dimensions");
  }
  for (std::size_t d = 0; d < count; ++d) {
    const double from = low.empty() ? static_cast<double>(observation.low[d]) : low[d];
    const double to = high.empty() ? static_cast<double>(observation.high[d]) : high[d];
    if (!std::isfinite(to - from) || to <= from) {
      throw UsageError("feature_low and feature_high: dimension " + std::to_string(d) +
                       " of the observation needs finite bounds, the lower one first");
    }
    scale.low[d] = static_cast<float>(from);
    scale.inverse_range[d] = static_cast<float>(1.0 / (to - from));
  }
  return scale;
}

TileCoding tile_coding(const Config& config, const UnitScale& scale) {
  TileCoding tiles{scale};
  tiles.tilings = static_cast<int>(config.integer("tilings"));
  tiles.tiles = static_cast<int>(config.integer("tiles"));
  tiles.bias = config.flag("bias");
  if (!std::has_single_bit(static_cast<unsigned>(tiles.tilings))) {
    throw UsageError("tilings: " + std::to_string(tiles.tilings) + " is not a power of two");
  }
  tiles.inverse_tilings = 1.0f / static_cast<float>(tiles.tilings);
  tiles.inverse_active = 1.0f / static_cast<float>(tiles.active());
  return tiles;
}

// Features that no memory could hold overflow an int before they are measured.
void check_feature_count(double per_dimension, int dimensions, double copies, const char* key) {
  if (copies * std::pow(per_dimension, dimensions) > 1e8) {
    throw UsageError(std::string(key) + ": more than 1e8 features per learner");
  }
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
                   {.name = "longest_episode",
                    .type = kInteger,
                    .default_text = "1000",
                    .min = 1,
                    .max = 1 << 20,
                    .help = "rows kept for Monte Carlo returns where the environment has no limit"},
               });
  return keys;
}

KeyList linear_keys() {
  KeyList keys = common_td_keys();
  append(keys, KeyList{
                   {.name = "features",
                    .type = kChoice,
                    .default_text = "tiles",
                    .choices = "tiles|fourier|one_hot",
                    .help = "of observations"},
                   {.name = "tilings",
                    .type = kInteger,
                    .default_text = "8",
                    .min = 1,
                    .max = 1024,
                    .help = "displaced grids; a power of two"},
                   {.name = "tiles",
                    .type = kInteger,
                    .default_text = "8",
                    .min = 1,
                    .max = 4096,
                    .help = "of a grid in each dimension"},
                   {.name = "bias", .type = kFlag, .default_text = "false", .help = "a feature that is always 1"},
                   {.name = "fourier_order",
                    .type = kInteger,
                    .default_text = "3",
                    .min = 0,
                    .max = 64,
                    .help = "largest frequency in each dimension"},
                   {.name = "feature_low",
                    .type = kRealList,
                    .default_text = "[]",
                    .help = "lower bounds of observations; [] = those of the space"},
                   {.name = "feature_high", .type = kRealList, .default_text = "[]", .help = "upper bounds"},
                   {.name = "count_bins",
                    .type = kInteger,
                    .default_text = "16",
                    .min = 1,
                    .max = 65536,
                    .help = "bins in each dimension in which visits are counted"},
                   {.name = "count_cells",
                    .type = kInteger,
                    .default_text = "4096",
                    .min = 2,
                    .max = 1 << 24,
                    .help = "hashed counters per action; a power of two"},
               });
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

LinearFeatures tabular_features(const Space& observation) {
  if (observation.is_discrete()) return OneHot{observation.count};
  throw UsageError(
      "a table needs discrete observations; for real ones use linear_q, linear_sarsa or "
      "linear_expected_sarsa");
}

LinearFeatures linear_features(const Config& config, const Space& observation) {
  const std::string name = config.text("features");
  if (observation.is_discrete()) {
    if (name == "one_hot") return OneHot{observation.count};
    throw UsageError("features: " + name + " need real observations; use features=one_hot");
  }
  if (name == "one_hot") throw UsageError("features: one_hot needs discrete observations; use tiles or fourier");
  const UnitScale scale = unit_scale(config, observation);
  if (name == "fourier") {
    const auto order = static_cast<int>(config.integer("fourier_order"));
    check_feature_count(order + 1, scale.size, 1, "fourier_order");
    return FourierBasis{scale, order};
  }
  const TileCoding tiles = tile_coding(config, scale);
  check_feature_count(tiles.tiles + 1, scale.size, tiles.tilings, "tiles");
  return tiles;
}

CountCells count_cells(const Config& config, const Space& observation) {
  CountCells cells;
  if (observation.is_discrete()) {
    cells.cells = observation.count;
    return cells;
  }
  cells.scale = unit_scale(config, observation);
  cells.cells = static_cast<int>(config.integer("count_cells"));
  cells.bins = static_cast<int>(config.integer("count_bins"));
  if (!std::has_single_bit(static_cast<unsigned>(cells.cells))) {
    throw UsageError("count_cells: " + std::to_string(cells.cells) + " is not a power of two");
  }
  return cells;
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
