// SPDX-License-Identifier: Apache-2.0
#include "train/feature_keys.h"

#include <bit>
#include <cmath>
#include <string>

#include "kernels/error.h"

namespace stampede {
namespace {

using enum ConfigType;

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
    scale.low[d] = static_cast<float>(from);
    scale.inverse_range[d] = static_cast<float>(1.0 / (to - from));
    if (to <= from || !std::isfinite(to - from) || !std::isfinite(scale.low[d] + scale.inverse_range[d])) {
      throw UsageError("feature_low and feature_high: dimension " + std::to_string(d) +
                       " of the observation needs finite bounds, the lower one first");
    }
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

KeyList feature_keys() {
  return {
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
  };
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

}  // namespace stampede
