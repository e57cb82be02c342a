// SPDX-License-Identifier: Apache-2.0
// What an environment is: a trivially copyable state, parameters, and three pure functions shared by CPU and CUDA.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "kernels/hd.h"
#include "kernels/math.h"
#include "kernels/philox.h"
#include "kernels/record.h"
#include "kernels/space.h"

namespace stampede {

inline constexpr float kNoThreshold = -std::numeric_limits<float>::infinity();
inline constexpr int kNoTimeLimit = 0;
inline constexpr float kUnbounded = std::numeric_limits<float>::infinity();

// One registered id. Several ids may share an environment type and differ in limit, threshold and parameters.
struct EnvSpec {
  const char* id = "";
  Space observation;
  Space action;
  int time_limit = kNoTimeLimit;          // steps; kNoTimeLimit = none
  float reward_threshold = kNoThreshold;  // mean return that counts as solved; kNoThreshold = none
  const char* reference = "";             // URL of the implementation whose dynamics are reproduced
  const char* parameters = "";            // "name=value name=value" that differ from Params' own defaults
  int first_state = 0;                    // the number people know a Discrete observation 0 by, in traces and tables
};

struct StepResult {
  float reward;
  std::int32_t terminated;  // 0 or 1; a word, not a bool, so that gcc keeps the pair in vector registers
};

// Writes one environment's observation: component k of a Box, or component 0 of a Discrete space.
class ObsWriter {
 public:
  HD explicit ObsWriter(std::uint32_t* words) : words_(words) {}
  HD void set(int k, float value) { words_[k] = float_bits(value); }
  HD void set(int k, std::int32_t value) { words_[k] = static_cast<std::uint32_t>(value); }

 private:
  std::uint32_t* words_;  // [D]
};

// A state variable in Gymnasium's order and name. Exactly one member pointer is set.
template <class State>
struct StateField {
  const char* name;
  float State::*real = nullptr;
  std::int32_t State::*integer = nullptr;
  double min = -std::numeric_limits<double>::max();
  double max = std::numeric_limits<double>::max();
};

// A parameter that users may set by name. Exactly one of the member pointers or `parse` is set.
template <class Params>
struct ParamField {
  const char* name;
  const char* help;
  float Params::*real = nullptr;
  std::int32_t Params::*integer = nullptr;
  bool Params::*flag = nullptr;
  double min = -std::numeric_limits<double>::max();
  double max = std::numeric_limits<double>::max();
  // For lists, names and maps: reads the text into the parameters; throws UsageError with the reason.
  void (*parse)(Params&, std::string_view) = nullptr;
  const char* default_text = "";  // shown for `parse` fields; the others show Params{}'s value
};

// clang-format off
template <class E>
concept Environment =
    std::is_trivially_copyable_v<typename E::State> && std::is_trivially_copyable_v<typename E::Params> &&
    sizeof(typename E::State) % 4 == 0 && sizeof(typename E::Action) % 4 == 0 &&
    requires(const typename E::Params& params, typename E::State& state, typename E::Action action, Rng& rng, ObsWriter obs) {
      { E::reset(params, state, rng) };
      { E::step(params, state, action, rng) } -> std::same_as<StepResult>;
      { E::observe(params, state, obs) };
      E::specs; E::state_fields; E::param_fields;
    };
// Optional members:
//   static Space observation_space(const Params&)   when the space depends on parameters
//   static void check(const Params&)                 throws UsageError for parameters that do not fit together
//   template <class Sink> static void transitions(const Params&, int state, int action, Sink&& sink)
//       tabular environments: sink(double probability, int next_state, double reward, bool terminated) in Gymnasium's order
//   template <class Sink> static void start_states(const Params&, Sink&& sink)
//       with transitions: sink(double probability, int state) for every state that reset may draw
// clang-format on

}  // namespace stampede
