// SPDX-License-Identifier: Apache-2.0
// A subcommand of the program: its name, one line of help, and the function that runs it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/registry.h"

namespace stampede {

struct CommandContext {
  const EnvRegistry& environments;
};

// Words after the command's name. Returns the exit code; throws UsageError (exit code 2) or anything else (1).
using CommandFunction = int (*)(const CommandContext& context, std::span<const std::string> words);

struct Command {
  std::string_view name;
  std::string_view summary;
  CommandFunction run;
};

int train_command(const CommandContext& context, std::span<const std::string> words);
int eval_command(const CommandContext& context, std::span<const std::string> words);
int resume_command(const CommandContext& context, std::span<const std::string> words);
int plot_command(const CommandContext& context, std::span<const std::string> words);
int list_command(const CommandContext& context, std::span<const std::string> words);
int trace_command(const CommandContext& context, std::span<const std::string> words);
int table_command(const CommandContext& context, std::span<const std::string> words);
int solve_command(const CommandContext& context, std::span<const std::string> words);

// The whole program on a registry, which may hold environments from outside this tree. Prints errors as one line on
// stderr. Returns the exit code: 0, 1 (run time) or 2 (usage).
int run_program(const EnvRegistry& environments, std::span<const std::string> words);

}  // namespace stampede
