// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "cli/run_arguments.h"
#include "kernels/error.h"
#include "train/atomic_file.h"
#include "train/session.h"

namespace stampede {
namespace {

constexpr OptionSpec kResumeOptions[] = {
    {"param", "NAME=VALUE", "environment parameter, the same as env.NAME=VALUE"},
    {"stop-at", "RETURN", "stop once two consecutive evaluations reach this mean return"},
    {"json", "", "print one JSON object with the result on standard output"},
    {"quiet", "", "no progress line"},
};

}  // namespace

int resume_command(const CommandContext& context, std::span<const std::string> words) {
  const Arguments arguments(words, kResumeOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    std::cout << help_text("stampede resume RUN [key=value ...]",
                           "Continues a run from its checkpoint, bit for bit unless keys are changed.", kResumeOptions);
    return 0;
  }
  arguments.require_positionals(1, 1, "resume RUN [key=value ...]");
  const std::string& run = arguments.positionals()[0];
  std::error_code error;
  if (std::filesystem::is_regular_file(run, error)) {
    throw UsageError("resume goes on in a run's folder, and " + run + " is a file; eval takes a checkpoint");
  }
  const CheckpointInfo info = read_checkpoint_info(checkpoint_of(run));
  const AlgorithmEntry& algorithm = find_algorithm(info.algorithm);
  const EnvEntry& env = context.environments.find(info.environment);
  Config config = config_of(info, algorithm, env);
  apply_assignments(config, arguments);
  const bool quiet = arguments.flag("quiet");
  const SignalGuard signals;
  const RunResult result = run_session({algorithm, env, config, run, true, arguments.real("stop-at"), !quiet,
                                        resolve_threads(algorithm, config), &signals});
  write_file_atomically(run + "/config.toml", run_config_text(algorithm, env, config));
  write_file_atomically(run + "/result.json", to_json(result) + "\n");
  if (arguments.flag("json")) std::cout << to_json(result) << "\n";
  if (!quiet) {
    std::fprintf(stderr, "return %.2f +- %.2f over %s after %lld steps\n", result.eval_return_mean,
                 result.eval_return_std, evaluated_text(result.eval_episodes, result.eval_exact).c_str(),
                 static_cast<long long>(result.env_steps));
  }
  return 0;
}

}  // namespace stampede
