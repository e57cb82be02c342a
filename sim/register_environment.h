// SPDX-License-Identifier: Apache-2.0
// Makes registry entries of an Environment type: included once per environment, by a generated .cu file.
#pragma once

#include <string>

#include "sim/batched_env.h"
#include "sim/registry.h"

namespace stampede {

template <class E>
ParamInfo describe_param(const ParamField<typename E::Params>& field) {
  // Not on the stack: gcc 12 takes the members of other types, which a field's pointer never names, for uninitialised.
  static const typename E::Params defaults{};
  ParamInfo info{field.name, field.help, field.default_text, ParamInfo::Kind::kText, field.min, field.max};
  if (field.real) {
    info.kind = ParamInfo::Kind::kReal;
    info.default_text = shortest_text(defaults.*field.real);
  } else if (field.integer) {
    info.kind = ParamInfo::Kind::kInteger;
    info.default_text = std::to_string(defaults.*field.integer);
  } else if (field.flag) {
    info.kind = ParamInfo::Kind::kFlag;
    info.default_text = defaults.*field.flag ? "true" : "false";
  }
  return info;
}

template <class E>
void set_param(typename E::Params& params, const EnvSpec& spec, std::string_view name, std::string_view text) {
  std::vector<ParamInfo> known;
  for (const auto& field : E::param_fields) {
    known.push_back(describe_param<E>(field));
    if (name != field.name) continue;
    if (field.real) params.*field.real = parse_real_param(known.back(), text);
    if (field.integer) params.*field.integer = parse_integer_param(known.back(), text);
    if (field.flag) params.*field.flag = parse_flag_param(known.back(), text);
    if (field.parse) field.parse(params, text);
    return;
  }
  known.push_back(time_limit_param(spec));
  throw_unknown_param(spec, name, known);
}

template <class E>
typename E::Params resolve_params(const EnvSpec& spec, const EnvParameters& parameters) {
  typename E::Params params{};
  for (const auto& [name, value] : parse_parameter_list(spec.parameters)) set_param<E>(params, spec, name, value);
  for (const auto& [name, value] : parameters) {
    if (name != kTimeLimitParam) set_param<E>(params, spec, name, value);
  }
  if constexpr (requires { E::check(params); }) E::check(params);
  return params;
}

template <class E>
EnvSpec resolve_spec(EnvSpec spec, const typename E::Params& params, const EnvParameters& parameters) {
  if constexpr (requires { E::observation_space(params); }) spec.observation = E::observation_space(params);
  return with_time_limit(spec, parameters);
}

template <class E>
EnvEntry make_entry(const EnvSpec& spec) {
  EnvEntry entry;
  entry.spec = spec;
  typename E::Params defaults = resolve_params<E>(spec, {});
  entry.spec = resolve_spec<E>(spec, defaults, {});
  for (const auto& field : E::param_fields) entry.params.push_back(describe_param<E>(field));
  for (const auto& [name, value] : parse_parameter_list(spec.parameters)) {
    for (ParamInfo& info : entry.params) {
      if (info.name == name) info.default_text = value;
    }
  }
  entry.params.push_back(time_limit_param(spec));
  for (const auto& field : E::state_fields) {
    entry.state.push_back({field.name, field.integer != nullptr, field.min, field.max});
  }
  entry.make = [spec](const EnvParameters& parameters, int size, std::uint64_t seed, std::uint32_t first,
                      Arena& arena) {
    const auto params = resolve_params<E>(spec, parameters);
    return std::unique_ptr<VectorEnv>(
        std::make_unique<BatchedEnv<E>>(resolve_spec<E>(spec, params, parameters), params, size, seed, first, arena));
  };
  entry.resolve = [spec](const EnvParameters& parameters) {
    return resolve_spec<E>(spec, resolve_params<E>(spec, parameters), parameters);
  };
  if constexpr (requires(const typename E::Params& p) { E::transitions(p, 0, 0, [](double, int, double, bool) {}); }) {
    entry.transitions = [spec](const EnvParameters& parameters, int state, int action) {
      const auto params = resolve_params<E>(spec, parameters);
      std::vector<Transition> outcomes;
      E::transitions(params, state, action, [&](double probability, int next, double reward, bool terminated) {
        outcomes.push_back({probability, next, reward, terminated});
      });
      return outcomes;
    };
    entry.start_states = [spec](const EnvParameters& parameters) {
      std::vector<StartState> starts;
      E::start_states(resolve_params<E>(spec, parameters), [&](double probability, int state) {
        starts.push_back({probability, state});
      });
      return starts;
    };
  }
  return entry;
}

// Adds every id of E::specs.
template <Environment E>
void register_environment(EnvRegistry& registry) {
  for (const EnvSpec& spec : E::specs) registry.add(make_entry<E>(spec));
}

}  // namespace stampede
