// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/env_run.h"

#include <cctype>

#include "kernels/philox.h"

namespace stampede {

EnvRun::EnvRun(const std::string& id, const EnvRunOptions& options)
    : options_(options), id_(id), stream_(Stream::cpu(options.threads)), arena_(Device{}) {
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(id);
  const auto build = [&] { env_ = entry.make(options.parameters, options.size, options.seed, options.first, arena_); };
  build();
  arena_.allocate("test");
  build();
  records_.resize(static_cast<std::size_t>(options.rows) * size() * static_cast<std::size_t>(words()));
  obs_.resize(static_cast<std::size_t>(options.rows + 1) * size() * obs_size());
  for (int row = 0; row < options.rows; ++row) {
    for (int i = 0; i < env_->size(); ++i) set_random_action(row, i, options.action_seed);
  }
}

void EnvRun::step_range(int row, int begin, int end) {
  env_->step(stream_, begin, end, StepRow{record(row, 0), obs_row(row + 1), static_cast<std::uint64_t>(row)});
}

void EnvRun::play() {
  reset();
  for (int row = 0; row < options_.rows; ++row) step(row);
}

void EnvRun::set_action(int row, int i, double value) {
  for (int k = 0; k < spec().action.size; ++k) {
    record(row, i)[k] = spec().action.is_discrete() ? static_cast<std::uint32_t>(static_cast<std::int32_t>(value))
                                                    : float_bits(static_cast<float>(value));
  }
}

void EnvRun::set_random_action(int row, int i, std::uint64_t seed) {
  Rng rng(RandomKey{seed, static_cast<std::uint64_t>(row), Purpose::kAction},
          options_.first + static_cast<std::uint32_t>(i));
  const Space& space = spec().action;
  for (int k = 0; k < space.size; ++k) {
    if (space.is_discrete()) record(row, i)[k] = rng.below(static_cast<std::uint32_t>(space.count));
    if (!space.is_discrete()) record(row, i)[k] = float_bits(2.0f * rng.uniform(space.low[k], space.high[k]));
  }
}

void EnvRun::approach_end() {
  const bool limited = spec().time_limit != kNoTimeLimit;
  double state = 0;
  int action = 0;
  if (!limited) find_terminating_action(state, action);
  std::vector<std::uint32_t> scratch(obs_size());
  for (int i = 0; i < env_->size(); ++i) {
    const auto values = limited ? env_->state(stream_, i) : std::vector<double>{state};
    env_->set_state(stream_, i, values, limited ? spec().time_limit - 1 : 0, scratch.data());
    if (!limited) set_action(0, i, action);
  }
}

void EnvRun::find_terminating_action(double& state, int& action) const {
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(id_);
  double best = 0.0;
  for (int s = 0; s < spec().observation.count; ++s) {
    for (int a = 0; a < spec().action.count; ++a) {
      double probability = 0.0;
      for (const Transition& outcome : entry.transitions(options_.parameters, s, a)) {
        if (outcome.terminated) probability += outcome.probability;
      }
      if (probability <= best) continue;
      best = probability;
      state = s + spec().first_state;
      action = a;
    }
  }
}

std::vector<std::string> environment_ids() {
  const EnvRegistry registry = builtin_environments();
  std::vector<std::string> ids;
  for (const EnvEntry& entry : registry.entries()) ids.emplace_back(entry.spec.id);
  return ids;
}

std::string alphanumeric(std::string text) {
  for (char& c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return text;
}

}  // namespace stampede
