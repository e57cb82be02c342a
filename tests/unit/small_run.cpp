// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/small_run.h"

#include <algorithm>

namespace stampede {

TrainingRun small_run(const AlgorithmEntry& algorithm, const Stream& stream, const Keys& more) {
  Keys keys{{"num_envs", "3"}, {"total_steps", "100000"}, {"schedule_steps", "1000"}};
  const std::vector<ConfigKey> known = algorithm.keys();
  Keys wanted{{"learning_starts", "30"}, {"batch_size", "31"}, {"hidden", "16,16"},
              {"buffer_size", "300"},    {"workers", "1"},     {"target_interval", "3"},
              {"rollout_steps", "5"},    {"minibatches", "1"}, {"critic_minibatches", "1"}};
  wanted.insert(wanted.end(), more.begin(), more.end());
  for (const auto& [name, text] : wanted) {
    const auto declared = [&](const ConfigKey& key) { return key.name == name; };
    const auto common = [&](const auto& key) { return key.first == name; };  // every algorithm has it
    if (std::any_of(known.begin(), known.end(), declared) || std::any_of(keys.begin(), keys.end(), common)) {
      keys.emplace_back(name, text);
    }
  }
  const char* const env = algorithm.program == "tabular" ? "FrozenLake-v1"
                          : algorithm.discrete_actions   ? "CartPole-v1"
                                                         : "Pendulum-v1";
  return TrainingRun(std::string(algorithm.id), env, keys, stream, Presets::kApply);
}

bool runs_on_cuda(const AlgorithmEntry& algorithm) {
  return algorithm.program != "async_q" && algorithm.program != "a3c";
}

}  // namespace stampede
