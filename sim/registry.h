// SPDX-License-Identifier: Apache-2.0
// The environments a program knows, by id: their specs, parameters, state variables and factories.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/vector_env.h"

namespace stampede {

// Parameter values as the user wrote them, in order.
using EnvParameters = std::vector<std::pair<std::string, std::string>>;

struct ParamInfo {
  enum class Kind { kReal, kInteger, kFlag, kText };
  std::string name, help, default_text;
  Kind kind;
  double min, max;
};

struct StateInfo {
  std::string name;
  bool integer;
  double min, max;
};

struct Transition {
  double probability;
  int next_state;
  double reward;
  bool terminated;
};

// The parameter that every environment has beside its own: steps after which an episode is truncated, 0 for none, by
// the name that Gymnasium's `make` has for it.
inline constexpr std::string_view kTimeLimitParam = "max_episode_steps";
ParamInfo time_limit_param(const EnvSpec& spec);

struct StartState {
  double probability;
  int state;
};

struct EnvEntry {
  EnvSpec spec;
  std::vector<ParamInfo> params;
  std::vector<StateInfo> state;

  // size environments on the arena's device. Throws UsageError for unknown or bad parameters.
  std::function<std::unique_ptr<VectorEnv>(const EnvParameters&, int size, std::uint64_t seed, std::uint32_t first,
                                           Arena&)>
      make;
  // The spec with parameters applied (a map changes the spaces). Throws like make.
  std::function<EnvSpec(const EnvParameters&)> resolve;
  // Outcomes of (state, action); empty function unless the environment is tabular.
  std::function<std::vector<Transition>(const EnvParameters&, int state, int action)> transitions;
  // Where episodes start; empty function unless the environment is tabular.
  std::function<std::vector<StartState>(const EnvParameters&)> start_states;
};

class EnvRegistry {
 public:
  // Throws RuntimeError when the id is taken.
  void add(EnvEntry entry);
  // Throws UsageError that names the nearest known id.
  const EnvEntry& find(std::string_view id) const;
  const std::vector<EnvEntry>& entries() const { return entries_; }

 private:
  std::vector<EnvEntry> entries_;
};

// Everything in sim/registry.def.
EnvRegistry builtin_environments();

// Text to number for a parameter; throw UsageError that names it and its range.
float parse_real_param(const ParamInfo& info, std::string_view text);
std::int32_t parse_integer_param(const ParamInfo& info, std::string_view text);
std::string shortest_text(float value);  // 9.8, not 9.80000019: as few digits as give the same float
bool parse_flag_param(const ParamInfo& info, std::string_view text);
// The items of "a,b" or, as a TOML array arrives, of "[a, b]".
std::vector<std::string_view> split_list(std::string_view text);
// Comma-separated numbers, as of reward_schedule=1,0,0. Throws UsageError unless there are exactly `count` finite ones.
std::vector<double> parse_number_list(std::string_view name, std::string_view text, std::size_t count);
EnvParameters parse_parameter_list(std::string_view text);  // "name=value name=value"
// The spec with the time limit that the parameters ask for. Throws UsageError for one that is none.
EnvSpec with_time_limit(EnvSpec spec, const EnvParameters& parameters);
[[noreturn]] void throw_unknown_param(const EnvSpec& spec, std::string_view name, const std::vector<ParamInfo>& known);

}  // namespace stampede
