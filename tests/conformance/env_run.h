// SPDX-License-Identifier: Apache-2.0
// A batch of one environment with the rows it produced, for tests that compare whole runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/arena.h"
#include "sim/registry.h"

namespace stampede {

struct EnvRunOptions {
  int size = 33;
  int rows = 0;  // room for that many steps
  std::uint64_t seed = 1;
  std::uint32_t first = 0;
  int threads = 1;
  std::uint64_t action_seed = 99;  // of the random actions, which depend on (first + i, row) only
  EnvParameters parameters = {};
};

class EnvRun {
 public:
  EnvRun(const std::string& id, const EnvRunOptions& options);

  VectorEnv& env() { return *env_; }
  const EnvSpec& spec() const { return env_->spec(); }
  const Stream& stream() const { return stream_; }
  int words() const { return env_->record_layout().words; }

  void reset() { env_->reset(stream_, obs_row(0)); }
  void step(int row) { step_range(row, 0, env_->size()); }
  void step_range(int row, int begin, int end);
  // Reset and all rows.
  void play();

  std::uint32_t* record(int row, int i) {
    return records_.data() + (static_cast<std::size_t>(row) * size() + static_cast<std::size_t>(i)) * words();
  }
  std::uint32_t* obs(int row, int i) { return obs_row(row) + static_cast<std::size_t>(i) * obs_size(); }
  float reward(int row, int i) { return bits_float(record(row, i)[spec().action.size]); }
  std::uint32_t flags(int row, int i) { return record(row, i)[spec().action.size + 1]; }
  void set_action(int row, int i, double value);  // every component
  // Uniform over the space, twice as wide for a Box.
  void set_random_action(int row, int i, std::uint64_t seed);
  // Puts every environment one step before its time limit or, where there is none, into a state with the action for row
  // 0 that most probably terminates.
  void approach_end();

  const std::vector<std::uint32_t>& records() const { return records_; }   // [rows, N, words]
  const std::vector<std::uint32_t>& observations() const { return obs_; }  // [rows + 1, N, D]

 private:
  std::size_t size() const { return static_cast<std::size_t>(env_->size()); }
  std::size_t obs_size() const { return static_cast<std::size_t>(env_->obs_size()); }
  std::uint32_t* obs_row(int row) { return obs_.data() + static_cast<std::size_t>(row) * size() * obs_size(); }
  void find_terminating_action(double& state, int& action) const;

  EnvRunOptions options_;
  std::string id_;
  Stream stream_;
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::vector<std::uint32_t> records_, obs_;
};

std::vector<std::string> environment_ids();
// For names of parametrised tests.
std::string alphanumeric(std::string text);

}  // namespace stampede
