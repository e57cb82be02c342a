// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/training_run.h"

#include <cstring>
#include <stdexcept>

#include "agents/networks/mlp_network.h"
#include "kernels/buffer.h"
#include "tests/unit/toy_environments.h"
#include "train/session.h"

namespace stampede {

Config config_with(const std::string& algorithm, const EnvEntry& env, const Keys& keys, Presets presets) {
  Config config = make_config(find_algorithm(algorithm), env);
  if (presets == Presets::kIgnore) {
    for (const ConfigKey& key : find_algorithm(algorithm).keys()) {
      config.set(key.name, key.default_text, ConfigLayer::kPreset);
    }
  }
  config.set("num_envs", "8", ConfigLayer::kPreset);
  config.set("total_steps", "100000", ConfigLayer::kPreset);
  config.set("eval_episodes", "10", ConfigLayer::kPreset);
  for (const auto& [name, text] : keys) config.set(name, text, ConfigLayer::kCommandLine);
  return config;
}

TrainingRun::TrainingRun(const std::string& algorithm, const std::string& env, const Keys& keys, const Stream& stream,
                         Presets presets)
    : environments_(registry_with_toys()), stream_(stream) {
  const EnvEntry& entry = environments_.find(env);
  config_ = config_with(algorithm, entry, keys, presets);
  trainer_ = find_algorithm(algorithm).make(
      {config_, entry, env_parameters(config_, entry), stream_, network_factory(config_)});
  trainer_->initialize();
}

void TrainingRun::iterate(int times) {
  for (int k = 0; k < times; ++k) trainer_->iterate();
}

void TrainingRun::run_to(std::int64_t rows) {
  while (trainer_->rows() < rows) trainer_->iterate();
}

StateBytes TrainingRun::state() {
  StateBytes state;
  for (const StateBlock& block : trainer_->state_blocks(true)) {
    constexpr std::size_t kElementSizes[] = {4, 8, 8, 4, 1};
    std::size_t bytes = kElementSizes[static_cast<int>(block.type)];
    for (const std::uint64_t extent : block.shape) bytes *= extent;
    std::vector<std::byte>& copy = state[block.name];
    copy.resize(bytes);
    copy_to_host(stream_, copy.data(), block.data, bytes);
  }
  for (const auto& [name, value] : trainer_->state_counters()) {
    std::vector<std::byte>& copy = state["counter." + name];
    copy.resize(sizeof *value);
    std::memcpy(copy.data(), value, sizeof *value);
  }
  return state;
}

StateBlock TrainingRun::block(const std::string& name) {
  for (const StateBlock& candidate : trainer_->state_blocks(true)) {
    if (candidate.name == name) return candidate;
  }
  throw std::logic_error("no block " + name);
}

std::vector<float> TrainingRun::parameters(const std::string& name) {
  const StateBlock found = block(name);
  return to_host(stream_, View<float>{static_cast<float*>(found.data), {found.spec->parameter_count()}});
}

std::vector<float> TrainingRun::outputs_of_classes(int count) {
  const StateBlock found = block("network.parameters");
  const MlpNetwork network(*found.spec);
  std::vector<std::int32_t> classes(static_cast<std::size_t>(count));
  for (int k = 0; k < count; ++k) classes[static_cast<std::size_t>(k)] = k;
  const Buffer<float> outputs(Device{}, classes.size() * static_cast<std::size_t>(found.spec->output_stride()));
  const Buffer<float> workspace(Device{}, network.workspace_size(count, false));
  network.forward(stream_, static_cast<const float*>(found.data), {nullptr, classes.data()}, count, false,
                  workspace.data(), outputs.data());
  return to_host(stream_, outputs.view());
}

int TrainingRun::output_column(const std::string& head) { return block("network.parameters").spec->head(head).column; }

std::vector<std::string> differing_entries(const StateBytes& a, const StateBytes& b) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second != bytes) names.push_back(name);
  }
  for (const auto& [name, bytes] : b) {
    if (!a.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace stampede
