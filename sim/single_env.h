// SPDX-License-Identifier: Apache-2.0
// One environment stepped from the host, a row at a time: for traces, tests and everything that watches an episode.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/arena.h"
#include "kernels/stream.h"
#include "sim/registry.h"

namespace stampede {

// What a step returned and the state after it. Discrete observations are numbered from the spec's first_state.
struct EnvRow {
  std::vector<double> action;       // [A], empty for an initial row
  std::vector<double> observation;  // [D]
  double reward = 0.0;
  bool terminated = false;
  bool truncated = false;
  bool valid = false;         // the action was taken; false when the row only reset the environment
  std::vector<double> state;  // in the order of the environment's state fields
};

class SingleEnv {
 public:
  // Throws UsageError for unknown or bad parameters.
  SingleEnv(const EnvEntry& entry, const EnvParameters& parameters, std::uint64_t seed, const Stream& stream);

  const EnvSpec& spec() const { return env_->spec(); }
  int action_size() const { return spec().action.size; }

  EnvRow reset();
  // Throws UsageError for a wrong count, a value out of range or elapsed outside [0, time limit).
  EnvRow set_state(std::span<const double> values, int elapsed);
  // After an episode's end the row resets instead. Throws what check_action throws.
  EnvRow step(std::span<const double> action);
  // Throws UsageError for a wrong count, a value that is not a finite float or a discrete action outside the space; a
  // Box action outside its bounds is the environment's to clip.
  void check_action(std::span<const double> action) const;
  // Uniform over the action space, the same for the same seed and row; Box actions must be bounded.
  std::vector<double> random_action(std::uint64_t seed) const;

 private:
  EnvRow read_row() const;

  Stream stream_;
  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  View<std::uint32_t> record_;  // [record words]
  View<std::uint32_t> obs_;     // [D]
  std::uint64_t row_ = 0;
};

}  // namespace stampede
