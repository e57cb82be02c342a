// SPDX-License-Identifier: Apache-2.0
// `solve`: exact values and the greedy policy of a tabular environment, from its transition table.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>

#include "agents/tabular/policy_evaluation.h"
#include "agents/tabular/value_iteration.h"
#include "cli/command.h"
#include "cli/env_arguments.h"
#include "kernels/error.h"
#include "train/evaluator.h"
#include "train/parse_value.h"
#include "train/transition_model.h"

namespace stampede {
namespace {

constexpr std::string_view kSolveUsage = "stampede solve ENV [--gamma G] [--alpha A] [--csv | --json]";
constexpr OptionSpec kSolveOptions[] = {
    {"gamma", "G", "discount (0.99)"},
    {"alpha", "A", "temperature of soft values; 0 = hard ones (0)"},
    {"csv", "", "every state: its value, the policy and the value of each action"},
    {"json", "", "one JSON object"},
    {"param", "NAME=VALUE", "an environment parameter; may be given several times"},
};

struct Report {
  const EnvSpec& spec;
  const TransitionTable& table;
  const ValueIterationConfig& config;
  Solution solution;
  std::vector<double> policy;  // [S, A], greedy
  int horizon;
  PolicyValue greedy, soft;
  double time_aware;
};

Report solve(const EnvSpec& spec, const TransitionTable& table, const ValueIterationConfig& config) {
  Report r{spec, table, config, value_iteration(table, config), {}, evaluation_horizon(spec), {}, {}, 0.0};
  if (!r.solution.converged) {
    throw UsageError("gamma: values of " + std::string(spec.id) + " grow without bound; give a discount below 1");
  }
  const double* const q = r.solution.action_values.data();
  r.policy = epsilon_greedy_policy(table, q, 0.0);
  r.greedy = evaluate_policy(table, r.policy, r.horizon);
  if (config.alpha > 0.0) r.soft = evaluate_policy(table, boltzmann_policy(table, q, config.alpha), r.horizon);
  r.time_aware = table.start_value(time_aware_values(table, r.horizon));
  return r;
}

void print_csv(const Report& r) {
  std::ostream& out = std::cout;
  out << "state,value,greedy_action";
  for (int a = 0; a < r.table.actions; ++a) out << ",q_" << a;
  for (int a = 0; a < r.table.actions && r.config.alpha > 0.0; ++a) out << ",pi_" << a;
  out << '\n';
  const std::vector<double> soft =
      r.config.alpha > 0.0 ? boltzmann_policy(r.table, r.solution.action_values.data(), r.config.alpha) : r.policy;
  for (int s = 0; s < r.table.states; ++s) {
    const auto row = static_cast<std::size_t>(r.table.row(s, 0));
    int best = 0;
    while (r.policy[row + static_cast<std::size_t>(best)] == 0.0) ++best;
    out << s + r.spec.first_state << ',' << format_real(r.solution.values[static_cast<std::size_t>(s)]) << ',' << best;
    for (int a = 0; a < r.table.actions; ++a) {
      out << ',' << format_real(r.solution.action_values[row + static_cast<std::size_t>(a)]);
    }
    for (int a = 0; a < r.table.actions && r.config.alpha > 0.0; ++a) {
      out << ',' << format_real(soft[row + static_cast<std::size_t>(a)]);
    }
    out << '\n';
  }
}

void print_json(const Report& r) {
  std::cout << "{\"env\":\"" << r.spec.id << "\",\"gamma\":" << format_real(r.config.gamma)
            << ",\"alpha\":" << format_real(r.config.alpha) << ",\"sweeps\":" << r.solution.sweeps
            << ",\"start_value\":" << format_real(r.table.start_value(r.solution.values)) << ",\"steps\":" << r.horizon
            << ",\"greedy_return\":" << format_real(r.greedy.return_mean)
            << ",\"greedy_length\":" << format_real(r.greedy.length_mean);
  if (r.config.alpha > 0.0) {
    std::cout << ",\"soft_return\":" << format_real(r.soft.return_mean)
              << ",\"soft_length\":" << format_real(r.soft.length_mean);
  }
  std::cout << ",\"time_aware_return\":" << format_real(r.time_aware) << "}\n";
}

void print_text(const Report& r) {
  const bool soft = r.config.alpha > 0.0;
  std::printf("%s: %d states, %d actions; %s value iteration, %d sweeps\n", r.spec.id, r.table.states, r.table.actions,
              soft ? "soft" : "hard", r.solution.sweeps);
  std::printf("value at the start, gamma %g%s: %.9g\n", r.config.gamma,
              soft ? (", alpha " + format_real(r.config.alpha)).c_str() : "", r.table.start_value(r.solution.values));
  std::printf("undiscounted return within %d steps\n", r.horizon);
  std::printf("  greedy policy:          %.9g (length %.6g)\n", r.greedy.return_mean, r.greedy.length_mean);
  if (soft) std::printf("  soft policy:            %.9g (length %.6g)\n", r.soft.return_mean, r.soft.length_mean);
  std::printf("  best time-aware policy: %.9g\n", r.time_aware);
}

}  // namespace

int solve_command(const CommandContext& context, std::span<const std::string> words) {
  const Arguments arguments(words, kSolveOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    std::cout << help_text(kSolveUsage, "Solves a tabular environment exactly by (soft) value iteration.",
                           kSolveOptions);
    return 0;
  }
  arguments.require_positionals(1, 1, kSolveUsage);
  const EnvEntry& entry = context.environments.find(arguments.positionals()[0]);
  check_tabular(context.environments, entry);
  const EnvParameters parameters = env_parameters(arguments, entry);
  if (arguments.flag("csv") && arguments.flag("json")) throw UsageError("csv and json exclude each other");
  const ValueIterationConfig config{arguments.real("gamma").value_or(0.99), arguments.real("alpha").value_or(0.0)};
  const EnvSpec spec = entry.resolve(parameters);
  const TransitionTable table = transition_table(entry, parameters);
  const Report report = solve(spec, table, config);
  if (arguments.flag("csv")) {
    print_csv(report);
  } else if (arguments.flag("json")) {
    print_json(report);
  } else {
    print_text(report);
  }
  return 0;
}

}  // namespace stampede
