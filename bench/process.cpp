// SPDX-License-Identifier: Apache-2.0
// The built program from the outside: start-up, first update, time to solve, memory.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/benchmarks.h"

namespace stampede {
namespace {

// Runs the program with its output discarded; its exit code.
int run_program_once(std::vector<std::string> words) {
  std::vector<char*> argv{const_cast<char*>(STAMPEDE_PROGRAM)};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execv(STAMPEDE_PROGRAM, argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// What the run in `folder` measured of itself: the system's figure for a child includes this process.
double peak_memory_mib(const std::string& folder) {
  std::ifstream file(folder + "/result.json");
  const auto result = nlohmann::json::parse(file, nullptr, false);
  return result.is_object() ? result.value("peak_memory_mib", 0.0) : 0.0;
}

std::string scratch_folder() {
  std::string path = (std::filesystem::temp_directory_path() / "stampede_bench_XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return "";
  return path;
}

// {out} is replaced by a fresh folder, {seed} by 1, 2, 3, ...
void bench_process(benchmark::State& state, const std::vector<std::string>& words) {
  const std::string folder = scratch_folder();
  if (folder.empty()) return state.SkipWithError("no folder for what the program writes");
  int run = 0;
  double peak = 0.0;
  for (auto _ : state) {
    ++run;
    std::vector<std::string> arguments = words;
    for (std::string& word : arguments) {
      if (word == "{out}") word = folder + "/" + std::to_string(run);
      if (word == "{seed}") word = "seed=" + std::to_string((run - 1) % 10 + 1);
    }
    if (run_program_once(arguments) != 0) state.SkipWithError("the program failed");
    peak = std::max(peak, peak_memory_mib(folder + "/" + std::to_string(run)));
  }
  if (peak > 0.0) state.counters["peak_memory_MiB"] = peak;
  state.SetItemsProcessed(state.iterations());
  std::filesystem::remove_all(folder);
}

}  // namespace

void register_process_benchmarks() {
  const auto add = [](const char* name, const std::vector<std::string>& words) {
    return benchmark::RegisterBenchmark(name, bench_process, words)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  add("startup/help", {"--help"});
  // One iteration, then the evaluation of one episode and the checkpoint: an upper bound of the time to the first
  // update.
  add("startup/first_update",
      {"train", "ppo", "CartPole-v1", "--quiet", "--out", "{out}", "total_steps=1", "eval_episodes=1"});
  // The setting of RLtools' Pendulum example: 4 environments, 1024 steps, 2 epochs of minibatches of 256 rows, and an
  // evaluation of 1000 episodes at the end.
  add("process/ppo/Pendulum-v1/rltools", {"train",
                                          "ppo",
                                          "Pendulum-v1",
                                          "--quiet",
                                          "--out",
                                          "{out}",
                                          "{seed}",
                                          "num_envs=4",
                                          "rollout_steps=1024",
                                          "minibatches=16",
                                          "epochs=2",
                                          "gamma=0.9",
                                          "hidden=64,64",
                                          "activation=relu",
                                          "normalize_observations=true",
                                          "learning_rate=0.001",
                                          "log_sigma=0.7",
                                          "total_steps=300000",
                                          "eval_every=300000",
                                          "eval_episodes=1000"})
      ->Iterations(1)
      ->Repetitions(5);
  for (const char* algorithm : {"ppo", "dqn"}) {
    add(("solve/" + std::string(algorithm) + "/CartPole-v1").c_str(),
        {"train", algorithm, "CartPole-v1", "--quiet", "--stop-at", "475", "--out", "{out}", "{seed}"})
        ->Iterations(1)
        ->Repetitions(10);
  }
  // RLtools' setting and SBX's: one environment, one update per step, one evaluation at the end.
  const auto add_sac = [&](const char* name, const char* hidden, const char* batch, const char* steps) {
    add(name, {"train", "sac", "Pendulum-v1", "--quiet", "--out", "{out}", "{seed}", "num_envs=1",
               "learning_starts=100", hidden, batch, steps, "eval_every=1000000", "eval_episodes=100"})
        ->Iterations(1)
        ->Repetitions(3);
  };
  add_sac("process/sac/Pendulum-v1/10k", "hidden=64,64", "batch_size=100", "total_steps=10000");
  add_sac("process/sac/Pendulum-v1/20k/256x256", "hidden=256,256", "batch_size=256", "total_steps=20000");
}

}  // namespace stampede
