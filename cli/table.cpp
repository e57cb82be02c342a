// SPDX-License-Identifier: Apache-2.0
// `table`: the transition table of a tabular environment as CSV.
#include <iostream>

#include "cli/command.h"
#include "cli/env_arguments.h"
#include "train/parse_value.h"
#include "train/transition_model.h"

namespace stampede {
namespace {

constexpr std::string_view kTableUsage = "stampede table ENV [--param NAME=VALUE]...";
constexpr OptionSpec kTableOptions[] = {
    {"param", "NAME=VALUE", "an environment parameter; may be given several times"},
};

}  // namespace

int table_command(const CommandContext& context, std::span<const std::string> words) {
  std::ostream& out = std::cout;
  const Arguments arguments(words, kTableOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    out << help_text(kTableUsage, "Prints every outcome of every action in every state, in Gymnasium's order.",
                     kTableOptions);
    return 0;
  }
  arguments.require_positionals(1, 1, kTableUsage);
  const EnvEntry& entry = context.environments.find(arguments.positionals()[0]);
  check_tabular(context.environments, entry);
  const EnvParameters parameters = env_parameters(arguments, entry);
  const EnvSpec spec = entry.resolve(parameters);
  out << "state,action,probability,next_state,reward,terminated\n";
  for (int state = 0; state < spec.observation.count; ++state) {
    for (int action = 0; action < spec.action.count; ++action) {
      for (const Transition& outcome : entry.transitions(parameters, state, action)) {
        out << state + spec.first_state << ',' << action << ',' << format_real(outcome.probability) << ','
            << outcome.next_state + spec.first_state << ',' << format_real(outcome.reward) << ','
            << (outcome.terminated ? 1 : 0) << '\n';
      }
    }
  }
  return 0;
}

}  // namespace stampede
