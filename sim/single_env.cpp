// SPDX-License-Identifier: Apache-2.0
#include "sim/single_env.h"

#include <cmath>
#include <string>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {

SingleEnv::SingleEnv(const EnvEntry& entry, const EnvParameters& parameters, std::uint64_t seed, const Stream& stream)
    : stream_(stream), arena_(stream.device()) {
  const auto build = [&] {
    env_ = entry.make(parameters, 1, seed, 0, arena_);
    record_ = arena_.take<std::uint32_t>(static_cast<std::size_t>(env_->record_layout().words));
    obs_ = arena_.take<std::uint32_t>(static_cast<std::size_t>(env_->obs_size()));
  };
  build();
  arena_.allocate("environment");
  build();
}

EnvRow SingleEnv::reset() {
  row_ = 0;
  env_->reset(stream_, obs_.data);
  return read_row();
}

EnvRow SingleEnv::set_state(std::span<const double> values, int elapsed) {
  for (const double value : values) {
    if (!std::isfinite(static_cast<float>(value))) throw UsageError("state: not a finite number");
  }
  reset();
  env_->set_state(stream_, 0, values, elapsed, obs_.data);
  EnvRow row = read_row();
  const double index = row.observation[0] - spec().first_state;
  if (spec().observation.is_discrete() && index >= spec().observation.count) {
    throw UsageError("state: " + std::string(spec().id) + " has " + std::to_string(spec().observation.count) +
                     " states here, got " + std::to_string(static_cast<std::int64_t>(values[0])));
  }
  return row;
}

EnvRow SingleEnv::step(std::span<const double> action) {
  check_action(action);
  std::vector<std::uint32_t> words(record_.size());
  for (std::size_t k = 0; k < action.size(); ++k) {
    words[k] = spec().action.is_discrete() ? static_cast<std::uint32_t>(static_cast<std::int32_t>(action[k]))
                                           : float_bits(static_cast<float>(action[k]));
  }
  copy_to_device(stream_, record_.data, words.data(), words.size() * sizeof(std::uint32_t));
  env_->step(stream_, 0, 1, StepRow{record_.data, obs_.data, row_++});
  copy_to_host(stream_, words.data(), record_.data, words.size() * sizeof(std::uint32_t));
  EnvRow row = read_row();
  row.action.assign(action.begin(), action.end());
  row.reward = static_cast<double>(bits_float(words[action.size()]));
  const std::uint32_t flags = words[action.size() + 1];
  row.terminated = (flags & kTerminated) != 0;
  row.truncated = (flags & kTruncated) != 0;
  row.valid = (flags & kValid) != 0;
  return row;
}

void SingleEnv::check_action(std::span<const double> action) const {
  const Space& space = spec().action;
  if (action.size() != static_cast<std::size_t>(space.size)) {
    throw UsageError("action: " + std::string(spec().id) + " takes " + std::to_string(space.size) +
                     " components, got " + std::to_string(action.size()));
  }
  for (const double value : action) {
    if (!std::isfinite(static_cast<float>(value))) throw UsageError("action: not a finite number");
    if (space.is_discrete() && (value != std::floor(value) || value < 0 || value >= space.count)) {
      throw UsageError("action: " + std::string(spec().id) + " takes an integer from 0 to " +
                       std::to_string(space.count - 1));
    }
  }
}

std::vector<double> SingleEnv::random_action(std::uint64_t seed) const {
  Rng rng(RandomKey{seed, row_, Purpose::kAction}, 0);
  const Space& space = spec().action;
  if (space.is_discrete()) return {static_cast<double>(rng.below(static_cast<std::uint32_t>(space.count)))};
  std::vector<double> action;
  for (int k = 0; k < space.size; ++k) action.push_back(static_cast<double>(rng.uniform(space.low[k], space.high[k])));
  return action;
}

EnvRow SingleEnv::read_row() const {
  EnvRow row;
  for (const std::uint32_t word : to_host(stream_, obs_)) {
    const bool discrete = spec().observation.is_discrete();
    row.observation.push_back(discrete ? static_cast<double>(static_cast<std::int32_t>(word) + spec().first_state)
                                       : static_cast<double>(bits_float(word)));
  }
  row.state = env_->state(stream_, 0);
  return row;
}

}  // namespace stampede
