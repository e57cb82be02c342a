// SPDX-License-Identifier: Apache-2.0
// `trace`: one environment, a row per step, as CSV.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/env_arguments.h"
#include "kernels/error.h"
#include "sim/single_env.h"
#include "train/parse_value.h"

namespace stampede {
namespace {

constexpr std::string_view kTraceUsage = "stampede trace ENV [options]";
constexpr OptionSpec kTraceOptions[] = {
    {"state", "V0,V1,...", "initial state variables (default: reset with the seed); `list env ENV` names them"},
    {"param", "NAME=VALUE", "an environment parameter; may be given several times"},
    {"actions", "FILE", "one action per line, components comma-separated; - reads standard input (default: random)"},
    {"elapsed", "K", "steps of the episode that are already over (default 0)"},
    {"seed", "S", "of resets, steps and random actions (default 0)"},
    {"steps", "K", "at most that many steps (default: all actions, or until the episode ends)"},
    {"device", "NAME", "cpu, cuda or auto (default cpu)"},
};
// Random steps where neither --steps nor a time limit ends them.
constexpr std::int64_t kUnlimitedSteps = 1000;

using Actions = std::vector<std::vector<double>>;

std::vector<double> parse_components(const std::string& name, std::string_view text) {
  std::vector<double> values;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    values.push_back(parse_real(name, trimmed(text.substr(begin, comma - begin))));
    if (comma == text.size()) return values;
    begin = comma + 1;
  }
}

Actions read_actions(std::istream& in, const SingleEnv& env) {
  Actions actions;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (trimmed(line).empty()) continue;
    const std::string name = "actions: line " + std::to_string(number);
    actions.push_back(parse_components(name, line));
    try {
      env.check_action(actions.back());
    } catch (const UsageError& error) {
      throw UsageError(name + ": " + error.what());
    }
  }
  if (in.bad()) throw UsageError("actions: cannot be read to the end");
  return actions;
}

std::optional<Actions> given_actions(const Arguments& arguments, const SingleEnv& env, std::int64_t steps) {
  const auto path = arguments.value("actions");
  if (!path) return std::nullopt;
  std::ifstream file;
  if (*path != "-") {
    std::error_code error;
    if (!std::filesystem::is_directory(*path, error)) file.open(*path);
    if (!file.is_open()) throw UsageError("actions: cannot read '" + *path + "'");
  }
  const Actions actions = read_actions(*path == "-" ? std::cin : file, env);
  if (steps > static_cast<std::int64_t>(actions.size())) {
    throw UsageError("steps: " + std::to_string(steps) + " asked for, but there are only " +
                     std::to_string(actions.size()) + " actions");
  }
  return actions;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

void append(std::string& line, const std::vector<double>& values) {
  for (const double value : values) line += ',' + number(value);
}

void append_names(std::string& line, const std::string& name, std::size_t count) {
  for (std::size_t k = 0; k < count; ++k) line += ',' + name + '_' + std::to_string(k);
}

std::string header(const SingleEnv& env, const EnvRow& first) {
  std::string line = "t";
  if (env.action_size() == 1) {
    line += ",action";
  } else {
    append_names(line, "action", static_cast<std::size_t>(env.action_size()));
  }
  append_names(line, "obs", first.observation.size());
  line += ",reward,terminated,truncated";
  append_names(line, "state", first.state.size());
  return line;
}

// An initial row has no action and no reward.
std::string csv_line(std::int64_t t, const EnvRow& row, int action_size) {
  std::string line = std::to_string(t);
  if (row.action.empty()) line.append(static_cast<std::size_t>(action_size), ',');
  append(line, row.action);
  append(line, row.observation);
  line += ',' + (row.action.empty() ? std::string() : number(row.reward));
  line += row.terminated ? ",1" : ",0";
  line += row.truncated ? ",1" : ",0";
  append(line, row.state);
  return line;
}

void check_finite(const EnvRow& row, std::int64_t t) {
  for (const double value : row.state) {
    if (!std::isfinite(value)) throw RuntimeError("the state is not finite after step " + std::to_string(t));
  }
}

EnvRow initial_row(SingleEnv& env, const Arguments& arguments) {
  const EnvRow start = env.reset();
  const auto state = arguments.value("state");
  const auto elapsed = arguments.integer("elapsed", 0, 1'000'000'000);
  if (!state && !elapsed) return start;
  return env.set_state(state ? parse_components("state", *state) : start.state, static_cast<int>(elapsed.value_or(0)));
}

}  // namespace

int trace_command(const CommandContext& context, std::span<const std::string> words) {
  std::ostream& out = std::cout;
  const Arguments arguments(words, kTraceOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    out << help_text(kTraceUsage, "Steps one environment and prints every row as CSV.", kTraceOptions);
    return 0;
  }
  arguments.require_positionals(1, 1, kTraceUsage);
  const EnvEntry& entry = context.environments.find(arguments.positionals()[0]);
  const auto seed = static_cast<std::uint64_t>(arguments.integer("seed", 0, INT64_MAX).value_or(0));
  const auto steps = arguments.integer("steps", 0, INT64_MAX);
  const Device device = parse_device(arguments.value("device").value_or("cpu"));
  SingleEnv env(entry, env_parameters(arguments, entry), seed,
                device.is_cuda() ? Stream::cuda(device.index) : Stream::cpu());
  EnvRow row = initial_row(env, arguments);
  const auto actions = given_actions(arguments, env, steps.value_or(0));

  out << header(env, row) << '\n' << csv_line(0, row, env.action_size()) << '\n';
  const std::int64_t random_steps = env.spec().time_limit == kNoTimeLimit ? kUnlimitedSteps : INT64_MAX;
  const std::int64_t last = steps.value_or(actions ? static_cast<std::int64_t>(actions->size()) : random_steps);
  for (std::int64_t t = 1; t <= last && !row.terminated && !row.truncated; ++t) {
    row = env.step(actions ? (*actions)[static_cast<std::size_t>(t - 1)] : env.random_action(seed));
    check_finite(row, t);
    out << csv_line(t, row, env.action_size()) << '\n';
  }
  return 0;
}

}  // namespace stampede
