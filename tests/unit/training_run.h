// SPDX-License-Identifier: Apache-2.0
// A trainer made from keys as a user would give them, and its complete state as bytes to compare.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/registry.h"
#include "train/algorithms.h"

namespace stampede {

using Keys = std::vector<std::pair<std::string, std::string>>;
using StateBytes = std::map<std::string, std::vector<std::byte>>;

// Presets change when somebody tunes them, so only a test of all algorithms applies them.
enum class Presets { kIgnore, kApply };

class TrainingRun {
 public:
  // Keys come after defaults; presets do not apply. 8 environments and evaluations of 10 episodes unless told
  // otherwise.
  TrainingRun(const std::string& algorithm, const std::string& env, const Keys& keys, int threads = 1)
      : TrainingRun(algorithm, env, keys, Stream::cpu(threads)) {}
  TrainingRun(const std::string& algorithm, const std::string& env, const Keys& keys, const Stream& stream,
              Presets presets = Presets::kIgnore);

  Trainer& trainer() { return *trainer_; }
  const Stream& stream() const { return stream_; }
  const Config& config() const { return config_; }
  void iterate(int times);
  // Iterations until `rows` rows are collected.
  void run_to(std::int64_t rows);
  // Every block of a checkpoint and every counter.
  StateBytes state();
  // Parameters in their padded layout.
  std::vector<float> parameters(const std::string& block = "network.parameters");
  // Outputs of the network for observation classes 0 ... count - 1 of a discrete environment: [count, output_stride].
  std::vector<float> outputs_of_classes(int count);
  int output_column(const std::string& head);
  StateBlock block(const std::string& name);

 private:
  EnvRegistry environments_;
  Stream stream_;
  Config config_;
  std::unique_ptr<Trainer> trainer_;
};

// Names of the entries in which two states differ.
std::vector<std::string> differing_entries(const StateBytes& a, const StateBytes& b);

// What an algorithm is called with to train `env`.
Config config_with(const std::string& algorithm, const EnvEntry& env, const Keys& keys,
                   Presets presets = Presets::kIgnore);

}  // namespace stampede
