// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/argument_parser.h"
#include "cli/command.h"
#include "kernels/error.h"
#include "kernels/nearest_match.h"
#include "train/algorithms.h"

namespace stampede {
namespace {

constexpr std::string_view kListUsage = "list [env [NAME] | algo | presets | keys ALGORITHM ENVIRONMENT [PRESET]]";
constexpr std::string_view kKeysUsage = "list keys ALGORITHM ENVIRONMENT [PRESET]";
constexpr OptionSpec kListOptions[] = {{"markdown", "", "environments or algorithms as a table for the documentation"}};

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.7g", value);  // the digits that a float holds
  return text;
}

std::string space_text(const Space& space) {
  if (space.is_discrete()) return "Discrete(" + std::to_string(space.count) + ")";
  std::string low, high;
  for (int k = 0; k < space.size; ++k) {
    low += (k ? ", " : "") + number_text(static_cast<double>(space.low[k]));
    high += (k ? ", " : "") + number_text(static_cast<double>(space.high[k]));
  }
  return "Box([" + low + "], [" + high + "])";
}

std::string limit_text(const EnvSpec& spec) {
  return spec.time_limit == kNoTimeLimit ? "none" : std::to_string(spec.time_limit);
}

std::string threshold_text(const EnvSpec& spec) {
  return std::isfinite(spec.reward_threshold) ? number_text(static_cast<double>(spec.reward_threshold)) : "none";
}

void list_environments(const EnvRegistry& registry, bool markdown) {
  if (markdown) std::printf("| id | observation | action | limit | threshold |\n|---|---|---|---|---|\n");
  for (const EnvEntry& entry : registry.entries()) {
    std::printf(
        markdown ? "| `%s` | %s | %s | %s | %s |\n" : "%-28s %-18s %-14s limit %-6s threshold %s\n", entry.spec.id,
        entry.spec.observation.is_discrete() ? space_text(entry.spec.observation).c_str()
                                             : ("Box(" + std::to_string(entry.spec.observation.size) + ")").c_str(),
        entry.spec.action.is_discrete() ? space_text(entry.spec.action).c_str()
                                        : ("Box(" + std::to_string(entry.spec.action.size) + ")").c_str(),
        limit_text(entry.spec).c_str(), threshold_text(entry.spec).c_str());
  }
}

std::string range_text(double min, double max) {
  if (std::abs(min) > 1e300 && std::abs(max) > 1e300) return "any finite number";
  return "[" + number_text(min) + ", " + number_text(max) + "]";
}

void describe_environment(const EnvEntry& entry) {
  const EnvSpec& spec = entry.spec;
  std::printf("id: %s\nobservation: %s\naction: %s\ntime limit: %s\nthreshold: %s\nreference: %s\n", spec.id,
              space_text(spec.observation).c_str(), space_text(spec.action).c_str(), limit_text(spec).c_str(),
              threshold_text(spec).c_str(), spec.reference);
  std::string names;
  for (const StateInfo& info : entry.state) names += (names.empty() ? "" : ",") + info.name;
  std::printf("state: %s\n", names.c_str());
  std::printf("parameters:%s\n", entry.params.empty() ? " none" : "");
  for (const ParamInfo& info : entry.params) {
    const bool ranged = info.kind == ParamInfo::Kind::kReal || info.kind == ParamInfo::Kind::kInteger;
    std::printf("  %s = %s  %s%s\n", info.name.c_str(), info.default_text.c_str(),
                ranged ? (range_text(info.min, info.max) + "  ").c_str() : "", info.help.c_str());
  }
}

void list_algorithms(bool markdown) {
  if (markdown) std::printf("| id | actions | what |\n|---|---|---|\n");
  for (const AlgorithmEntry& entry : algorithms()) {
    const char* const actions =
        entry.continuous_actions ? (entry.discrete_actions ? "discrete, continuous" : "continuous") : "discrete";
    std::printf(markdown ? "| `%s` | %s | %s |\n" : "%-22s %-21s %s\n", std::string(entry.id).c_str(), actions,
                std::string(entry.summary).c_str());
  }
}

// One line per algorithm: the environments it is tuned for, and in brackets what preset=NAME may name.
void list_presets(const EnvRegistry& registry) {
  for (const AlgorithmEntry& algorithm : algorithms()) {
    std::string line;
    for (const EnvEntry& env : registry.entries()) {
      std::string names;
      for (const std::string_view name : named_presets(algorithm, env)) {
        names += (names.empty() ? " (preset=" : "|") + std::string(name);
      }
      if (!has_preset(algorithm, env) && names.empty()) continue;
      line += (line.empty() ? "" : ", ") + std::string(env.spec.id) + names + (names.empty() ? "" : ")");
    }
    if (!line.empty()) std::printf("%-22s %s\n", std::string(algorithm.id).c_str(), line.c_str());
  }
}

}  // namespace

int list_command(const CommandContext& context, std::span<const std::string> words) {
  const Arguments arguments(words, kListOptions);
  if (arguments.help()) {
    std::cout << help_text("stampede " + std::string(kListUsage),
                           "Lists environments, algorithms, parameters, presets and keys.", kListOptions);
    return 0;
  }
  const std::vector<std::string>& what = arguments.positionals();
  const auto expect_words = [&](std::size_t at_least, std::size_t at_most) {
    arguments.require_positionals(at_least, at_most, what[0] == "keys" ? kKeysUsage : kListUsage);
  };
  if (what.empty()) {
    std::printf("environments:\n");
    list_environments(context.environments, false);
    std::printf("\nalgorithms:\n");
    list_algorithms(false);
  } else if (what[0] == "env" || what[0] == "envs" || what[0] == "environments") {
    expect_words(1, 2);
    if (what.size() > 1) {
      describe_environment(context.environments.find(what[1]));
    } else {
      list_environments(context.environments, arguments.flag("markdown"));
    }
  } else if (what[0] == "algo" || what[0] == "algos" || what[0] == "algorithms") {
    expect_words(1, 1);
    list_algorithms(arguments.flag("markdown"));
  } else if (what[0] == "presets") {
    expect_words(1, 1);
    list_presets(context.environments);
  } else if (what[0] == "keys") {
    expect_words(3, 4);
    const std::string preset = what.size() > 3 ? what[3] : "";
    std::cout << make_config(find_algorithm(what[1]), context.environments.find(what[2]), preset).describe_keys();
  } else {
    constexpr std::string_view kKnown[] = {"env", "algo", "presets", "keys"};
    throw UsageError(unknown_name_message("list", what[0], kKnown));
  }
  return 0;
}

}  // namespace stampede
