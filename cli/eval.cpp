// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/run_arguments.h"
#include "train/session.h"

namespace stampede {
namespace {

constexpr OptionSpec kEvalOptions[] = {
    {"episodes", "K", "episodes to play (100)"},
    {"stochastic", "", "sample actions instead of the greedy ones"},
    {"seed", "S", "of start states and dynamics"},
    {"param", "NAME=VALUE", "environment parameter, the same as env.NAME=VALUE"},
    {"json", "", "print one JSON object on standard output"},
};

// Numbers that no training evaluation uses, so that the episodes are new ones.
constexpr std::int64_t kEvalStream = std::int64_t{1} << 40;

}  // namespace

int eval_command(const CommandContext& context, std::span<const std::string> words) {
  const Arguments arguments(words, kEvalOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    std::cout << help_text("stampede eval RUN|CHECKPOINT", "Plays whole episodes with a trained policy.", kEvalOptions);
    return 0;
  }
  arguments.require_positionals(1, 1, "eval RUN|CHECKPOINT");
  const std::string checkpoint = checkpoint_of(arguments.positionals()[0]);
  const CheckpointInfo info = read_checkpoint_info(checkpoint);
  const AlgorithmEntry& algorithm = find_algorithm(info.algorithm);
  const EnvEntry& env = context.environments.find(info.environment);
  Config config = config_of(info, algorithm, env);
  const std::int64_t episodes = arguments.integer("episodes", 1, 1 << 20).value_or(100);
  config.set("eval_episodes", std::to_string(episodes), ConfigLayer::kCommandLine);
  apply_assignments(config, arguments);
  const std::int64_t seed = arguments.integer("seed", 0, std::int64_t{1} << 62).value_or(config.integer("seed"));

  const Stream stream = make_stream(config, resolve_threads(algorithm, config));
  const auto trainer = algorithm.make({config, env, env_parameters(config, env), stream, network_factory(config)});
  trainer->initialize();
  load_checkpoint(checkpoint, *trainer, stream);
  const bool stochastic = arguments.flag("stochastic");
  const EvaluationResult r = trainer->evaluate(evaluation_seed(static_cast<std::uint64_t>(seed), kEvalStream),
                                               stochastic ? EvaluationMode::kStochastic : EvaluationMode::kGreedy);
  if (arguments.flag("json")) {
    std::printf(
        "{\"algo\":\"%s\",\"env\":\"%s\",\"seed\":%lld,\"episodes\":%d,\"exact\":%s,\"stochastic\":%s,\"return_mean\":%"
        ".9g,"
        "\"return_std\":%.9g,\"length_mean\":%.9g}\n",
        info.algorithm.c_str(), info.environment.c_str(), static_cast<long long>(seed), r.episodes,
        r.exact ? "true" : "false", stochastic ? "true" : "false", r.return_mean, r.return_std, r.length_mean);
  } else {
    std::printf("%s %s: return %.2f +- %.2f, length %.1f over %s (%s)\n", info.algorithm.c_str(),
                info.environment.c_str(), r.return_mean, r.return_std, r.length_mean,
                evaluated_text(r.episodes, r.exact).c_str(), stochastic ? "stochastic" : "greedy");
  }
  return 0;
}

}  // namespace stampede
