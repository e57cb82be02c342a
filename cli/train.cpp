// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include "cli/command.h"
#include "cli/run_arguments.h"
#include "kernels/error.h"
#include "train/atomic_file.h"
#include "train/session.h"

namespace stampede {
namespace {

constexpr OptionSpec kTrainOptions[] = {
    {"out", "DIR", "run folder; a new one under runs/ otherwise"},
    {"preset", "NAME", "settings by name over the usual ones: stampede list presets"},
    {"config", "FILE", "TOML file of keys, under those of the command line"},
    {"param", "NAME=VALUE", "environment parameter, the same as env.NAME=VALUE"},
    {"seeds", "K", "train seeds seed ... seed+K-1, one single-threaded run per core"},
    {"stop-at", "RETURN", "stop once two consecutive evaluations reach this mean return"},
    {"json", "", "print one JSON object with the result on standard output"},
    {"quiet", "", "no progress line"},
};

struct TrainRequest {
  const AlgorithmEntry& algorithm;
  const EnvEntry& env;
  Config config;
  std::optional<double> stop_at;
  bool json, quiet;
};

void print_result(const RunResult& r) {
  std::fprintf(stderr, "%s %s seed %lld: return %.2f +- %.2f over %s after %lld steps, %.2f s training; %s\n",
               r.algo.c_str(), r.env.c_str(), static_cast<long long>(r.seed), r.eval_return_mean, r.eval_return_std,
               evaluated_text(r.eval_episodes, r.eval_exact).c_str(), static_cast<long long>(r.env_steps),
               r.seconds_train, r.run_dir.c_str());
}

void print_seeds(const TrainRequest& request, const std::vector<RunResult>& results, const std::string& folder) {
  const SeedsResult all = summarize(results);
  const std::string solved = all.solved > 0 ? std::to_string(all.solved) + " solved it, " : "";
  std::fprintf(stderr, "%s %s, %zu seeds: return %.2f +- %.2f across seeds, %s%.2f s; %s\n",
               std::string(request.algorithm.id).c_str(), request.env.spec.id, results.size(), all.eval_return_mean,
               all.eval_return_std, solved.c_str(), all.seconds_total, folder.c_str());
}

RunResult train_one(const TrainRequest& request, const Config& config, const std::string& folder, int threads,
                    bool show_progress, const SignalGuard& signals) {
  write_file_atomically(folder + "/config.toml", run_config_text(request.algorithm, request.env, config));
  const RunResult result = run_session(
      {request.algorithm, request.env, config, folder, false, request.stop_at, show_progress, threads, &signals});
  write_file_atomically(folder + "/result.json", to_json(result) + "\n");
  return result;
}

// Checks everything that can be checked before a folder exists.
void check_before_work(const TrainRequest& request) {
  const EnvParameters parameters = env_parameters(request.config, request.env);
  const EnvSpec spec = request.env.resolve(parameters);
  check_spaces(request.algorithm, spec);
  request.algorithm.make(
      {request.config, request.env, parameters, make_stream(request.config, 1), network_factory(request.config)});
}

Config config_of_seed(const TrainRequest& request, std::int64_t k) {
  Config config = request.config;
  config.set("seed", std::to_string(config.integer("seed") + k), ConfigLayer::kCommandLine);
  config.set("threads", "1", ConfigLayer::kCommandLine);
  return config;
}

struct SeedsOutcome {
  std::vector<RunResult> results;  // without those that failed or had not begun before a signal came
  std::vector<FailedSeed> failures;
};

// A seed that fails does not take the others with it.
SeedsOutcome train_seeds(const TrainRequest& request, const std::string& folder, int seeds) {
  SeedsOutcome outcome;
  outcome.results.resize(static_cast<std::size_t>(seeds));
  std::atomic<int> next{0};
  std::mutex mutex;
  const SignalGuard signals;
  const auto work = [&] {
    for (int k = next++; k < seeds && !signals.requested(); k = next++) {
      const Config config = config_of_seed(request, k);
      const std::int64_t seed = config.integer("seed");
      RunResult& result = outcome.results[static_cast<std::size_t>(k)];
      try {
        const std::string run = make_run_folder(folder + "/seed_" + std::to_string(seed), "");
        result = train_one(request, config, run, 1, false, signals);
        const std::lock_guard lock(mutex);
        if (!request.quiet) print_result(result);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        result = {};
        outcome.failures.push_back({seed, error.what()});
      }
    }
  };
  std::vector<std::thread> pool;
  const int cores = available_cores();
  for (int t = 0; t < std::min(cores, seeds); ++t) pool.emplace_back(work);
  for (std::thread& thread : pool) thread.join();
  std::sort(outcome.failures.begin(), outcome.failures.end(),
            [](const auto& a, const auto& b) { return a.seed < b.seed; });
  std::erase_if(outcome.results, [](const RunResult& r) { return r.run_dir.empty(); });
  return outcome;
}

void report_seeds(const TrainRequest& request, const SeedsOutcome& outcome, const std::string& folder) {
  const std::string json = to_json(outcome.results, outcome.failures);
  write_file_atomically(folder + "/result.json", json + "\n");
  if (request.json) std::cout << json << "\n";
  if (!request.quiet && !outcome.results.empty()) print_seeds(request, outcome.results, folder);
  if (outcome.failures.empty()) return;
  const FailedSeed& first = outcome.failures.front();
  throw RuntimeError(std::to_string(outcome.failures.size()) + " of " +
                     std::to_string(outcome.failures.size() + outcome.results.size()) + " seeds failed; seed " +
                     std::to_string(first.seed) + ": " + first.reason);
}

}  // namespace

int train_command(const CommandContext& context, std::span<const std::string> words) {
  const Arguments arguments(words, kTrainOptions, UnknownOptions::kCollect);
  if (arguments.help()) {
    std::cout << help_text("stampede train ALGORITHM ENVIRONMENT [key=value ...]",
                           "Trains an agent. Keys: stampede list keys ALGORITHM ENVIRONMENT.", kTrainOptions);
    return 0;
  }
  arguments.require_positionals(2, 2, "train ALGORITHM ENVIRONMENT [key=value ...]");
  const AlgorithmEntry& algorithm = find_algorithm(arguments.positionals()[0]);
  const EnvEntry& env = context.environments.find(arguments.positionals()[1]);
  check_spaces(algorithm, env.spec);
  TrainRequest request{algorithm,
                       env,
                       make_config(algorithm, env, arguments.value("preset").value_or("")),
                       arguments.real("stop-at"),
                       arguments.flag("json"),
                       arguments.flag("quiet")};
  // A preset's schedules stay what they are when only the length of the run is changed.
  if (request.config.integer("schedule_steps") == 0) {
    request.config.set("schedule_steps", request.config.resolved_text("total_steps"), ConfigLayer::kPreset);
  }
  if (const auto file = arguments.value("config")) load_run_config(request.config, *file, algorithm, env);
  apply_assignments(request.config, arguments);
  const auto seeds = arguments.integer("seeds", 1, 1 << 20);
  check_before_work(request);
  if (seeds) config_of_seed(request, *seeds - 1);
  const std::string name =
      std::string(algorithm.id) + "_" + env.spec.id + "_seed" + std::to_string(request.config.integer("seed"));
  const std::string folder = make_run_folder(arguments.value("out").value_or(""), name);
  if (seeds) {
    report_seeds(request, train_seeds(request, folder, static_cast<int>(*seeds)), folder);
    return 0;
  }
  const SignalGuard signals;
  const RunResult result = train_one(request, request.config, folder,
                                     resolve_threads(request.algorithm, request.config), !request.quiet, signals);
  if (request.json) std::cout << to_json(result) << "\n";
  if (!request.quiet) print_result(result);
  return 0;
}

}  // namespace stampede
