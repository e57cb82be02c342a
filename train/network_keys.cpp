// SPDX-License-Identifier: Apache-2.0
#include "train/network_keys.h"

namespace stampede {

std::vector<int> hidden_layers(const Config& config) {
  std::vector<int> hidden;
  for (const std::int64_t width : config.integers("hidden")) hidden.push_back(static_cast<int>(width));
  return hidden;
}

Activation activation(const Config& config) {
  const std::string name = config.text("activation");
  if (name == "relu") return Activation::kRelu;
  return name == "tanh" ? Activation::kTanh : Activation::kLinear;
}

Initialization initialization(const Config& config) {
  return config.text("initialization") == "orthogonal" ? Initialization::kOrthogonal : Initialization::kKaimingUniform;
}

std::int64_t schedule_rows(const Config& config) {
  const std::int64_t rows = config.integer("schedule_steps");
  return rows > 0 ? rows : config.integer("total_steps");
}

Schedule annealed(const Config& config, const char* key, const char* final_scale_key) {
  const double start = config.real(key);
  return {ScheduleKind::kLinear, start, start * config.real(final_scale_key), schedule_rows(config)};
}

}  // namespace stampede
