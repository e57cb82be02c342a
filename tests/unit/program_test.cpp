// SPDX-License-Identifier: Apache-2.0
// The built program end to end: training, evaluating, stopping by signal, resuming bit for bit, several seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sim/registry.h"
#include "tests/unit/program_run.h"
#include "tests/unit/temporary_folder.h"
#include "train/checkpoint.h"
#include "train/learning_curve.h"
#include "train/safetensors.h"

namespace stampede {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;
using Json = nlohmann::json;

class Program : public testing::Test {
 protected:
  ProgramResult run(const Words& words, int timeout_seconds = 30) {
    return run_built_program(words, {.folder = folder_.path(), .timeout_seconds = timeout_seconds});
  }
  ProgramResult succeed(const Words& words) {
    ProgramResult result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
  static Words joined(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string checkpoint(const std::string& run_folder) const {
    return folder_ / (run_folder + "/checkpoint.safetensors");
  }

  // The tensors of two checkpoints are the same bits.
  void expect_same_tensors(const std::string& a, const std::string& b) {
    const SafetensorsFile one(checkpoint(a)), two(checkpoint(b));
    ASSERT_EQ(one.tensors().size(), two.tensors().size());
    for (const auto& [name, entry] : one.tensors()) {
      std::vector<std::byte> x(entry.size), y(entry.size);
      one.read(name, entry.type, entry.shape, x.data());
      two.read(name, entry.type, entry.shape, y.data());
      EXPECT_TRUE(x == y) << name;
    }
    for (const auto& [key, value] : one.metadata()) {
      const bool counted = key.starts_with("counter.") || key == "rows";
      EXPECT_TRUE(!counted || two.require_metadata(key) == value) << key;
    }
  }

  TemporaryFolder folder_;
};

// Keys that presets set are set here too: presets change when somebody tunes them.
const Words kPpo{"ppo",           "CartPole-v1",      "threads=1",      "eval_episodes=10",
                 "num_envs=8",    "rollout_steps=32", "epochs=5",       "minibatches=2",
                 "hidden=16",     "log_sigma=0",      "clip_final=0.5", "normalize_observations=true",
                 "target_kl=0.1", "--quiet",          "seed=1",         "normalize_rewards=true"};
const Words kDqn{"dqn",        "CartPole-v1",      "threads=1",        "eval_episodes=10",
                 "num_envs=8", "buffer_size=3000", "batch_size=32",    "learning_starts=500",
                 "hidden=16",  "train_interval=1", "gradient_steps=1", "target_interval=50",
                 "n_step=2",   "--quiet",          "seed=1",           "epsilon_end=0.05"};

TEST_F(Program, JsonHasEveryKey) {
  const ProgramResult result = succeed(joined({"train"}, joined(kPpo, {"total_steps=3000", "--out", "run", "--json"})));
  const Json json = Json::parse(result.out);
  for (const char* key :
       {"algo", "env", "seed", "env_steps", "gradient_updates", "seconds_train", "seconds_eval", "seconds_total",
        "eval_return_mean", "eval_return_std", "eval_episodes", "solved_at_step", "device", "threads", "run_dir"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["algo"], "ppo");
  EXPECT_EQ(json["env"], "CartPole-v1");
  EXPECT_EQ(json["eval_episodes"], 10);
  EXPECT_EQ(json["device"], "cpu");
  EXPECT_EQ(json["threads"], 1);
  EXPECT_EQ(json["run_dir"], "run");
  EXPECT_GT(json["env_steps"], 2000);
  EXPECT_LE(json["env_steps"], 3000);
  EXPECT_GE(json["seconds_total"].get<double>(), json["seconds_train"].get<double>());
  EXPECT_EQ(Json::parse(read_file(folder_ / "run/result.json")), json);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1) << "one line";
  for (const char* file :
       {"checkpoint.safetensors", "config.toml", "episodes.csv", "evaluations.csv", "metrics.csv", "metrics.jsonl"}) {
    EXPECT_GT(fs::file_size(folder_ / (std::string("run/") + file)), 0u) << file;
  }
}

// Not what the system says of a child, which includes the process that started it.
TEST_F(Program, TheMemoryOfARunIsMeasured) {
  const auto peak = [&](const char* environments, const char* out) {
    const ProgramResult result =
        succeed({"train", "ppo", "CartPole-v1", "threads=1", "eval_episodes=1", environments, "rollout_steps=16",
                 "epochs=1", "minibatches=16", "hidden=16", "total_steps=1", "--quiet", "--json", "--out", out});
    return Json::parse(result.out)["peak_memory_mib"].get<double>();
  };
  const double small = peak("num_envs=8", "small"), large = peak("num_envs=16384", "large");
  EXPECT_GT(small, 0.5);
  // 16384 x 17 observations and 16384 x 16 records and extra floats, each of 16 bytes.
  EXPECT_GT(large - small, 12.0);
}

// A loss is written where updates happened; a row without any would show exact zeros.
TEST_F(Program, MetricsHaveNoEmptyLosses) {
  for (const Words& words : {kPpo, kDqn}) {
    const std::string name = words[0];
    succeed(
        joined({"train"}, joined(words, {"total_steps=4000", "log_every=256", "checkpoint_every=300", "--out", name})));
    std::istringstream lines(read_file(folder_ / (name + "/metrics.jsonl")));
    int rows = 0;
    for (std::string line; std::getline(lines, line);) {
      const Json json = Json::parse(line);
      const char* const loss = name == "ppo" ? "losses/entropy" : "losses/td_loss";
      if (!json.contains(loss)) continue;
      EXPECT_GT(json[loss].get<double>(), 0.0) << line;
      ++rows;
    }
    EXPECT_GE(rows, 10);
  }
}

TEST_F(Program, ARunFromItsOwnConfigurationIsTheSameRun) {
  succeed(joined({"train"}, joined(kPpo, {"total_steps=3000", "seed=5", "--out", "a"})));
  std::string toml = read_file(folder_ / "a/config.toml");
  toml = toml.substr(toml.find("seed"));  // behind the names of algorithm and environment
  std::ofstream(folder_ / "again.toml") << toml;
  succeed({"train", "ppo", "CartPole-v1", "--config", "again.toml", "--out", "b", "--quiet"});
  EXPECT_EQ(read_file(checkpoint("a")), read_file(checkpoint("b")));
}

TEST_F(Program, SeedsAreTheRunsThatTheyWouldBeAlone) {
  const ProgramResult result = succeed(
      joined({"train"}, joined(kPpo, {"total_steps=2000", "seed=4", "--seeds", "3", "--out", "many", "--json"})));
  const Json json = Json::parse(result.out);
  ASSERT_EQ(json["runs"].size(), 3u);
  EXPECT_EQ(json["seeds"], 3);
  double sum = 0.0;
  for (int k = 0; k < 3; ++k) {
    const Json& one = json["runs"][static_cast<std::size_t>(k)];
    EXPECT_EQ(one["seed"], 4 + k);
    EXPECT_EQ(one["threads"], 1);
    sum += one["eval_return_mean"].get<double>();
  }
  EXPECT_NEAR(json["eval_return_mean"].get<double>(), sum / 3, 1e-9);
  succeed(joined({"train"}, joined(kPpo, {"total_steps=2000", "seed=5", "--out", "alone"})));
  EXPECT_EQ(read_file(checkpoint("many/seed_5")), read_file(checkpoint("alone")));
  const ProgramResult refused = run({"eval", "many"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("many/seed_4"), std::string::npos) << refused.err;
}

TEST_F(Program, SeedsEndWithTheirMeanAndDeviation) {
  const ProgramResult result = succeed({"train", "q_learning", "GridWorld-v0", "total_steps=64", "num_envs=2",
                                        "eval_episodes=1", "--seeds", "2", "--out", "few"});
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("q_learning GridWorld-v0, 2 seeds: return"), std::string::npos) << result.err;
}

TEST_F(Program, ExactEvaluationsSaySo) {
  const ProgramResult trained = succeed({"train", "q_learning", "GridWorld-v0", "total_steps=64", "num_envs=2",
                                         "eval_episodes=7", "rollout_steps=32", "--out", "table"});
  EXPECT_NE(trained.err.find(" over 2 learners, exact after 62 steps"), std::string::npos) << trained.err;
  EXPECT_NE(succeed({"eval", "table", "--episodes", "9"}).out.find("over 2 learners, exact (greedy)"),
            std::string::npos);
  const std::string played = succeed({"eval", "table", "--episodes", "9", "evaluation=sampled", "--json"}).out;
  EXPECT_EQ(Json::parse(played)["exact"], false);
  EXPECT_EQ(Json::parse(played)["episodes"], 9);
}

TEST_F(Program, ResumeGoesOnBitForBit) {
  for (const Words& words : {kPpo, kDqn}) {
    const std::string straight = words[0] + "_straight", stopped = words[0] + "_stopped";
    succeed(joined({"train"}, joined(words, {"total_steps=6000", "--out", straight})));
    succeed(joined({"train"}, joined(words, {"total_steps=3000", "--out", stopped})));
    succeed({"resume", stopped, "total_steps=6000", "--quiet"});
    expect_same_tensors(straight, stopped);
  }
}

// What a run says about itself is what another run takes, and what a resumed one has changed.
TEST_F(Program, ARunsConfigurationTrainsTheSameAgain) {
  succeed(joined({"train"}, joined(kPpo, {"total_steps=2000", "env.gravity=9.7", "--out", "first"})));
  const std::string text = read_file(folder_ / "first/config.toml");
  EXPECT_NE(text.find("gravity = \"9.7\"\nmasscart = \"1\"\nmasspole = \"0.1\"\n"), std::string::npos) << text;
  succeed({"train", "ppo", "CartPole-v1", "--config", "first/config.toml", "--out", "second", "--quiet"});
  EXPECT_EQ(read_file(folder_ / "second/config.toml"), text);
  expect_same_tensors("first", "second");
  succeed({"resume", "first", "total_steps=3000", "--quiet"});
  EXPECT_NE(read_file(folder_ / "first/config.toml").find("\ntotal_steps = 3000\n"), std::string::npos);
}

// What a run writes down about its environment must be what its parameters accept.
TEST_F(Program, EveryEnvironmentsRunIsEvaluatedAndGoesOn) {
  const EnvRegistry registry = builtin_environments();
  for (const EnvEntry& entry : registry.entries()) {
    const std::string id(entry.spec.id);
    succeed({"train", "ppo", id, "total_steps=256", "num_envs=2", "rollout_steps=64", "hidden=8", "minibatches=1",
             "epochs=1", "eval_episodes=1", "threads=1", "--out", id, "--quiet"});
    succeed({"eval", id, "--episodes", "1"});
    succeed({"resume", id, "total_steps=512", "--quiet"});
    EXPECT_EQ(read_checkpoint_info(checkpoint(id)).rows, 512) << id;
  }
}

TEST_F(Program, EvalRepeatsItselfOnAnyNumberOfThreads) {
  succeed(joined({"train"}, joined(kPpo, {"total_steps=2000", "--out", "run"})));
  const std::string one = succeed({"eval", "run", "threads=1", "--episodes", "70", "--json"}).out;
  EXPECT_EQ(Json::parse(one)["episodes"], 70);
  EXPECT_EQ(succeed({"eval", "run", "threads=2", "--episodes", "70", "--json"}).out, one);
  EXPECT_EQ(succeed({"eval", "run/checkpoint.safetensors", "threads=1", "--episodes", "70", "--json"}).out, one);
  EXPECT_NE(succeed({"eval", "run", "threads=1", "--episodes", "70", "--json", "--seed", "9"}).out, one);
  const Json stochastic =
      Json::parse(succeed({"eval", "run", "threads=1", "--episodes", "70", "--json", "--stochastic"}).out);
  EXPECT_EQ(stochastic["stochastic"], true);
}

// Signals come after the first checkpoint; the run saves what it has and another one goes on from there.
TEST_F(Program, SignalsSaveAndLeaveAResumableRun) {
  for (const auto& [words, signal] : {std::pair{kPpo, SIGINT}, std::pair{kDqn, SIGTERM}}) {
    const std::string name = words[0];
    ProgramOptions options{.folder = folder_.path()};
    options.ready_for_signal = [&] { return fs::exists(checkpoint(name)); };
    options.signal = signal;
    const Words endless = joined({"train"}, joined(words, {"checkpoint_every=1000", "eval_every=1000000"}));
    const ProgramResult result =
        run_built_program(joined(endless, {"total_steps=1000000000", "--out", name, "--json"}), options);
    ASSERT_FALSE(result.timed_out);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    ASSERT_EQ(result.messages().size(), 1u) << result.err;
    EXPECT_NE(result.err.find("./stampede resume " + name), std::string::npos) << result.err;
    EXPECT_EQ(Json::parse(result.out)["interrupted"], true);
    const std::int64_t rows = read_checkpoint_info(checkpoint(name)).rows;
    EXPECT_GE(rows, 1000);
    const std::string total = "total_steps=" + std::to_string(rows + 2000);
    succeed({"resume", name, total, "--quiet"});
    succeed(joined(endless, {total, "--out", name + "_straight"}));
    expect_same_tensors(name, name + "_straight");
  }
}

TEST_F(Program, ARunFolderHasOneProcess) {
  ProgramOptions options{.folder = folder_.path()};
  ProgramResult second;
  options.ready_for_signal = [&] {
    if (!fs::exists(checkpoint("run"))) return false;
    second = run({"resume", "run", "total_steps=2000000000", "--quiet"});
    return true;
  };
  options.signal = SIGHUP;
  const ProgramResult first = run_built_program(
      joined({"train"}, joined(kPpo, {"checkpoint_every=1000", "total_steps=1000000000", "--out", "run"})), options);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_EQ(second.err, "stampede: another process trains in the run folder run\n");
  succeed({"resume", "run", "--quiet",
           "total_steps=" + std::to_string(read_checkpoint_info(checkpoint("run")).rows + 1000)});
}

TEST_F(Program, ASignalEndsAllSeeds) {
  ProgramOptions options{.folder = folder_.path()};
  options.ready_for_signal = [&] { return fs::exists(checkpoint("many/seed_1")); };
  options.signal = SIGTERM;
  const ProgramResult result = run_built_program(
      joined({"train"}, joined(kPpo, {"total_steps=1000000000", "checkpoint_every=1000", "eval_every=1000000",
                                      "--seeds", "5", "threads=2", "--out", "many", "--json"})),
      options);
  ASSERT_FALSE(result.timed_out) << "the next seed began";
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(checkpoint("many/seed_1")));
  EXPECT_FALSE(fs::exists(folder_ / "many/seed_5"));
}

TEST_F(Program, StopsAtTheAskedReturn) {
  const ProgramResult result = succeed({"train",
                                        "dqn",
                                        "GridWorld-v0",
                                        "threads=1",
                                        "num_envs=4",
                                        "total_steps=100000",
                                        "learning_starts=500",
                                        "hidden=32",
                                        "buffer_size=5000",
                                        "target_interval=50",
                                        "batch_size=32",
                                        "train_interval=1",
                                        "gradient_steps=1",
                                        "learning_rate=0.001",
                                        "n_step=1",
                                        "gamma=0.99",
                                        "eval_every=1000",
                                        "--stop-at",
                                        "1",
                                        "--quiet",
                                        "--json",
                                        "--out",
                                        "run"});
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["eval_return_mean"], 1.0);
  EXPECT_LT(json["env_steps"], 90000);
  EXPECT_TRUE(json["solved_at_step"].is_number());
  EXPECT_LT(json["solved_at_step"], json["env_steps"]);
}

TEST_F(Program, HelpAndListsSayWhatThereIs) {
  EXPECT_NE(succeed({"--help"}).out.find("train ALGORITHM ENVIRONMENT"), std::string::npos);
  for (const char* command : {"train", "eval", "resume", "plot", "list", "trace", "table"}) {
    EXPECT_NE(succeed({command, "--help"}).out.find(command), std::string::npos);
  }
  const std::string all = succeed({"list"}).out;
  for (const char* id : {"CartPole-v1", "Pendulum-v1", "Taxi-v4", "GridWorld-v0", "dqn", "ppo"}) {
    EXPECT_NE(all.find(id), std::string::npos) << id;
  }
  EXPECT_NE(succeed({"list", "env", "CartPole-v1"}).out.find("sutton_barto_reward"), std::string::npos);
  EXPECT_EQ(succeed({"list", "environments"}).out, succeed({"list", "env"}).out);
  EXPECT_EQ(succeed({"list", "algorithms"}).out, succeed({"list", "algo"}).out);
  EXPECT_NE(succeed({"list", "keys", "dqn", "CartPole-v1"}).out.find("target_interval"), std::string::npos);
  EXPECT_NE(succeed({"list", "presets"}).out.find("CartPole-v1 (preset=1024|8192|65536)"), std::string::npos);
  EXPECT_NE(succeed({"list", "keys", "ppo", "CartPole-v1", "8192"}).out.find("default 8192\n"), std::string::npos);
}

TEST_F(Program, WaitingThreadsSpinOnlyBriefly) {
  unsetenv("OMP_WAIT_POLICY");
  unsetenv("GOMP_SPINCOUNT");
  setenv("OMP_DISPLAY_ENV", "verbose", 1);
  EXPECT_NE(succeed({"list", "env"}).err.find("GOMP_SPINCOUNT = '2000'"), std::string::npos);
  setenv("GOMP_SPINCOUNT", "77", 1);
  EXPECT_NE(succeed({"list", "env"}).err.find("GOMP_SPINCOUNT = '77'"), std::string::npos);
  unsetenv("GOMP_SPINCOUNT");
  unsetenv("OMP_DISPLAY_ENV");
}

TEST_F(Program, APresetByNameLiesBelowTheCommandLine) {
  succeed({"train", "ppo", "CartPole-v1", "preset=1024", "num_envs=16", "total_steps=2048", "eval_episodes=10",
           "threads=1", "--quiet", "--out", "run"});
  const std::string toml = read_file(folder_ / "run/config.toml");
  EXPECT_NE(toml.find("\nnum_envs = 16\n"), std::string::npos);
  EXPECT_NE(toml.find("\nminibatches = 16\n"), std::string::npos);
  EXPECT_NE(toml.find("\nschedule_steps = 1000000\n"), std::string::npos);
}

// The README's tables of environments and algorithms are what the program prints.
TEST_F(Program, ReadmeListsWhatThereIs) {
  std::ifstream file(std::string(STAMPEDE_SOURCE_DIR) + "/README.md");
  std::stringstream readme;
  readme << file.rdbuf();
  for (const char* what : {"env", "algo"}) {
    const std::string table = succeed({"list", what, "--markdown"}).out;
    EXPECT_NE(readme.str().find(table), std::string::npos) << "README.md needs this table:\n" << table;
  }
}

// The policy stands still: what differs are the start states.
TEST_F(Program, EveryEvaluationPlaysNewEpisodes) {
  succeed({"train", "ppo", "CartPole-v1", "learning_rate=0", "num_envs=4", "rollout_steps=32", "minibatches=2",
           "total_steps=512", "eval_every=128", "eval_episodes=20", "threads=1", "--quiet", "--out", "run"});
  const Curve means = read_curve(folder_ / "run/evaluations.csv", "return_mean");
  ASSERT_GE(means.y.size(), 4u);
  EXPECT_GT(std::set<double>(means.y.begin(), means.y.end()).size(), 1u);
}

}  // namespace
}  // namespace stampede
