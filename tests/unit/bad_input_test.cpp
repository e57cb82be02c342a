// SPDX-License-Identifier: Apache-2.0
// What bad input gets, seen from outside the built program: one line, an exit code, nothing lost, never a hang.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "tests/unit/program_run.h"
#include "tests/unit/temporary_folder.h"

namespace stampede {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

struct Refusal {
  Words words;
  int exit_code;
  Words message;  // parts of the one line
};

class BadInput : public testing::Test {
 protected:
  ProgramResult run(const Words& words) { return run_built_program(words, {.folder = folder_.path()}); }

  void expect_refusal(const Refusal& refusal) {
    std::string line = "stampede";
    for (const std::string& word : refusal.words) line += " " + word;
    SCOPED_TRACE(line);
    const ProgramResult result = run(refusal.words);
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.exit_code, refusal.exit_code);
    EXPECT_EQ(result.out, "");
    const Words messages = result.messages();
    ASSERT_EQ(messages.size(), 1u) << result.err;
    EXPECT_TRUE(messages[0].starts_with("stampede: ")) << messages[0];
    for (const std::string& part : refusal.message) {
      EXPECT_NE(messages[0].find(part), std::string::npos) << messages[0] << "\ndoes not say: " << part;
    }
  }
  // Refused before any work: no run folder is left behind.
  void expect_refusals(const std::vector<Refusal>& refusals) {
    for (const Refusal& refusal : refusals) expect_refusal(refusal);
    EXPECT_FALSE(fs::exists(folder_ / "runs")) << "a refused run left a folder behind";
  }
  // A finished small run in folder "run".
  void train_small(const std::string& name = "run") {
    const ProgramResult result =
        run({"train", "ppo", "CartPole-v1", "total_steps=2000", "threads=1", "eval_episodes=10", "num_envs=8",
             "rollout_steps=32", "minibatches=2", "hidden=16", "--out", name, "--quiet"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string checkpoint() const { return folder_ / "run/checkpoint.safetensors"; }
  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }

  TemporaryFolder folder_;
};

TEST_F(BadInput, UnknownNamesGetTheNearestOne) {
  expect_refusals({
      {{"trian", "ppo", "CartPole-v1"}, 2, {"'trian'", "did you mean 'train'?"}},
      {{"bench"}, 2, {"launcher", "./stampede bench"}},
      {{"train", "pp", "CartPole-v1"}, 2, {"'pp'", "did you mean 'ppo'?"}},
      {{"train", "ppo", "CartPole-v2"}, 2, {"'CartPole-v2'", "did you mean 'CartPole-v1'?"}},
      {{"train", "ppo", "CartPole-v1", "learning_rat=1"}, 2, {"'learning_rat'", "did you mean 'learning_rate'?"}},
      {{"train", "ppo", "CartPole-v1", "env.gravty=1"}, 2, {"did you mean 'env.gravity'?"}},
      {{"train", "ppo", "CartPole-v1", "--param", "gravty=1"}, 2, {"gravity"}},
      {{"train", "ppo", "CartPole-v1", "device=gpu"}, 2, {"device", "'gpu'", "cuda"}},
      {{"train", "ppo", "CartPole-v1", "activation=tan"}, 2, {"activation", "did you mean 'tanh'?"}},
      {{"train", "ppo", "CartPole-v1", "fused=always"}, 2, {"fused", "auto"}},
      {{"list", "env", "Pendulum"}, 2, {"Pendulum-v1"}},
      {{"train", "ppo", "CartPole-v1", "--preset", "4096"}, 2, {"'4096'", "1024, 8192, 65536"}},
      {{"train", "ppo", "Taxi-v4", "preset=1024"}, 2, {"'1024'", "Taxi-v4"}},
  });
}

TEST_F(BadInput, MissingAndSuperfluousArguments) {
  expect_refusals({
      {{"train"}, 2, {"usage: train ALGORITHM ENVIRONMENT"}},
      {{"train", "ppo"}, 2, {"usage"}},
      {{"train", "ppo", "CartPole-v1", "Pendulum-v1"}, 2, {"usage"}},
      {{"eval"}, 2, {"usage: eval RUN"}},
      {{"resume"}, 2, {"usage: resume RUN"}},
      {{"list", "env", "CartPole-v1", "Pendulum-v1"}, 2, {"'Pendulum-v1'", "usage: list"}},
      {{"list", "algorithms", "ppo"}, 2, {"'ppo'", "usage: list"}},
      {{"list", "presets", "ppo"}, 2, {"'ppo'", "usage: list"}},
  });
}

TEST_F(BadInput, ValuesOutOfRangeOrOfTheWrongType) {
  expect_refusals({
      {{"train", "ppo", "CartPole-v1", "learning_rate=11"}, 2, {"learning_rate", "11", "[0, 10]"}},
      {{"train", "ppo", "CartPole-v1", "learning_rate=fast"}, 2, {"learning_rate", "'fast' is not a number"}},
      {{"train", "ppo", "CartPole-v1", "learning_rate=nan"}, 2, {"learning_rate", "nan"}},
      {{"train", "ppo", "CartPole-v1", "num_envs=1.5"}, 2, {"num_envs", "not a whole number"}},
      {{"train", "ppo", "CartPole-v1", "num_envs=0"}, 2, {"num_envs", "out of range"}},
      {{"train", "ppo", "CartPole-v1", "num_envs=99999999999999999999"}, 2, {"num_envs"}},
      {{"train", "ppo", "CartPole-v1", "gamma=1.01"}, 2, {"gamma", "[0, 1]"}},
      {{"train", "a2c", "CartPole-v1", "gae_lambda=-0.1"}, 2, {"gae_lambda", "[0, 1]"}},
      {{"train", "reinforce", "CartPole-v1", "baseline=median"}, 2, {"baseline", "none, mean, learned"}},
      {{"train", "a2c", "CartPole-v1", "temperature=-1"}, 2, {"temperature", "[0, 100]"}},
      {{"train", "ppo_kl", "CartPole-v1", "kl_target=0"}, 2, {"kl_target"}},
      {{"train", "ppo", "Pendulum-v1", "action_bins=1"}, 2, {"action_bins"}},
      {{"train", "a2c", "CartPole-v1", "distribution=beta"}, 2, {"distribution", "categorical"}},
      {{"train", "ppo", "CartPole-v1", "clip_value=perhaps"}, 2, {"clip_value"}},
      {{"train", "ppo", "CartPole-v1", "hidden=64,x"}, 2, {"hidden", "'x'"}},
      {{"train", "ppo", "CartPole-v1", "hidden="}, 2, {"hidden"}},
      {{"train", "ppo", "CartPole-v1", "env.gravity=nan"}, 2, {"gravity", "not a finite number"}},
      {{"train", "ppo", "CartPole-v1", "env.gravity=1e9"}, 2, {"gravity", "[0, 100]"}},
      {{"train", "ppo", "CartPole-v1", "env.gravity=1\n2\r3"}, 2, {"'1?2?3'"}},
      {{"train", "ppo", "FrozenLake-v1", "env.reward_schedule=1e39,0,0"}, 2, {"reward_schedule", "32 bits"}},
      {{"train", "ppo", "CartPole-v1", "--seeds", "0"}, 2, {"seeds"}},
      {{"train", "ppo", "CartPole-v1", "--seeds", "1048576", "seed=9200000000000000000"}, 2, {"seed", "out of range"}},
      {{"train", "ppo", "CartPole-v1", "--stop-at", "high"}, 2, {"stop-at", "'high'"}},
      {{"train", "ppo", "FrozenLake-v1", "env.desc=SX"}, 2, {"desc"}},
      {{"train", "trpo", "CartPole-v1", "max_kl=0"}, 2, {"max_kl"}},
      {{"train", "trpo", "CartPole-v1", "cg_iterations=0"}, 2, {"cg_iterations"}},
      {{"train", "trpo", "CartPole-v1", "backtrack_ratio=1"}, 2, {"backtrack_ratio", "between 0 and 1"}},
      {{"train", "trpo", "CartPole-v1", "backtrack_steps=0"}, 2, {"backtrack_steps"}},
      {{"train", "ppo", "CartPole-v1", "sde=true"}, 2, {"sde", "continuous"}},
      {{"train", "a2c", "Pendulum-v1", "sde=true", "distribution=beta"}, 2, {"sde", "distribution"}},
      {{"train", "sac", "Pendulum-v1", "sde=true", "sde_interval=-1"}, 2, {"sde_interval", "-1"}},
      {{"train", "trpo", "Pendulum-v1", "sde=true"}, 2, {"'sde'"}},
      {{"train", "trpo", "Pendulum-v1", "distribution=beta"}, 2, {"distribution", "gaussian"}},
      {{"train", "trpo", "CartPole-v1", "shared_torso=true"}, 2, {"shared_torso", "separate towers"}},
      {{"train", "sac", "Pendulum-v1", "target_tau=0"}, 2, {"target_tau", "(0, 1]"}},
      {{"train", "td3", "Pendulum-v1", "target_tau=1.5"}, 2, {"target_tau"}},
      {{"train", "sac", "Pendulum-v1", "gamma=-0.1"}, 2, {"gamma", "[0, 1]"}},
      {{"train", "sac", "Pendulum-v1", "alpha=0"}, 2, {"alpha"}},
      {{"train", "td3", "Pendulum-v1", "policy_delay=0"}, 2, {"policy_delay"}},
      {{"train", "td3", "Pendulum-v1", "critics=3"}, 2, {"critics", "[1, 2]"}},
      {{"train", "ddpg", "Pendulum-v1", "noise=ou"}, 2, {"noise", "ornstein_uhlenbeck"}},
      {{"train", "dqn", "CartPole-v1", "epsilon_schedule=exponential", "epsilon_end=0"}, 2, {"epsilon"}},
      {{"train", "pqn", "CartPole-v1", "q_lambda=1.1"}, 2, {"q_lambda", "[0, 1]"}},
      {{"train", "pqn", "CartPole-v1", "target=sarse"}, 2, {"target", "did you mean 'sarsa'?"}},
      {{"train", "pqn", "CartPole-v1", "layer_norm=2"}, 2, {"layer_norm"}},
      {{"train", "pqn", "CartPole-v1", "epsilon_ends=0.1,1.5"}, 2, {"epsilon_ends", "[0, 1]"}},
      {{"train", "pqn", "CartPole-v1", "epsilon_ends=0.1", "epsilon_shares=1,2"}, 2, {"2 shares for 1 values"}},
      {{"train", "batched_q", "CartPole-v1", "epsilon_shares=0,0,0"}, 2, {"epsilon_shares", "above 0"}},
  });
}

TEST_F(BadInput, WorkersThatCannotShareTheEnvironments) {
  expect_refusals({
      {{"train", "a3c", "CartPole-v1", "workers=0"}, 2, {"workers", "[1, 1024]"}},
      {{"train", "async_q", "CartPole-v1", "workers=-1"}, 2, {"workers", "[1, 1024]"}},
      {{"train", "a3c", "CartPole-v1", "workers=4", "num_envs=2"}, 2, {"workers", "num_envs"}},
      {{"train", "async_q", "CartPole-v1", "workers=3", "num_envs=8"}, 2, {"workers", "equally"}},
      {{"train", "async_q", "CartPole-v1", "rollout_steps=0"}, 2, {"rollout_steps", "out of range"}},
      {{"train", "async_q", "CartPole-v1", "n_step=-1"}, 2, {"n_step", "out of range"}},
      {{"train", "async_q", "CartPole-v1", "n_step=6", "rollout_steps=5"}, 2, {"n_step", "6", "5 of a rollout"}},
      {{"train", "async_q", "CartPole-v1", "target_interval=0"}, 2, {"target_interval", "out of range"}},
      {{"train", "async_q", "CartPole-v1", "epsilon_ends=0.1,0.2"}, 2, {"epsilon_shares"}},
      {{"train", "async_q", "CartPole-v1", "epsilon_ends=0.1,0.2,1.5"}, 2, {"epsilon_ends"}},
      {{"train", "async_q", "Pendulum-v1"}, 2, {"async_q needs discrete actions"}},
      {{"train", "a3c", "CartPole-v1", "optimizer=adam"}, 2, {"optimizer"}},
  });
}

TEST_F(BadInput, MalformedConfigurationFilesNameTheLine) {
  write("syntax.toml", "seed = 1\n\nlearning_rate = = 3\n");
  write("key.toml", "seed = 1\nlearning_rte = 0.1\n");
  write("range.toml", "seed = 1\nlearning_rate = 0.1\nnum_envs = 0\n");
  write("type.toml", "num_envs = \"many\"\n");
  write("other.toml", "algorithm = \"dqn\"\nseed = 1\n");
  std::string deep = "seed = 1\na";
  for (int level = 0; level < 100000; ++level) deep += ".a";
  write("deep.toml", deep + " = 1\n");
  write("binary.toml", std::string("\0\1\2\xff\xfe", 5));
  expect_refusals({
      {{"train", "ppo", "CartPole-v1", "--config", "syntax.toml"}, 2, {"syntax.toml:3"}},
      {{"train", "ppo", "CartPole-v1", "--config", "key.toml"}, 2, {"key.toml:2", "did you mean 'learning_rate'?"}},
      {{"train", "ppo", "CartPole-v1", "--config", "range.toml"}, 2, {"range.toml:3", "num_envs"}},
      {{"train", "ppo", "CartPole-v1", "--config", "type.toml"}, 2, {"type.toml:1", "num_envs"}},
      {{"train", "ppo", "CartPole-v1", "--config", "other.toml"}, 2, {"other.toml:1", "for dqn, not for ppo"}},
      {{"train", "ppo", "CartPole-v1", "--config", "deep.toml"}, 2, {"deep.toml:2"}},
      {{"train", "ppo", "CartPole-v1", "--config", "binary.toml"}, 2, {"binary.toml"}},
      {{"train", "ppo", "CartPole-v1", "--config", "absent.toml"}, 2, {"absent.toml", "No such file"}},
      {{"train", "ppo", "CartPole-v1", "--config", "."}, 2, {"."}},
  });
}

TEST_F(BadInput, ShapesThatDoNotFit) {
  expect_refusals({
      {{"train", "dqn", "CartPole-v1", "batch_size=200000", "buffer_size=100000", "num_envs=8"},
       2,
       {"batch of 200000", "ring of 100000"}},
      {{"train", "dqn", "CartPole-v1", "num_envs=8", "buffer_size=16", "n_step=3", "batch_size=4"},
       2,
       {"n_step 3", "at least 4"}},
      {{"train", "dqn", "CartPole-v1", "num_envs=8", "buffer_size=8", "batch_size=4"}, 2, {"buffer_size", "2 rows"}},
      {{"train", "ppo", "CartPole-v1", "num_envs=8", "rollout_steps=4", "minibatches=33", "epochs=1"},
       2,
       {"33", "32 rows"}},
      {{"train", "trpo", "CartPole-v1", "num_envs=8", "rollout_steps=4", "critic_minibatches=33"},
       2,
       {"critic_minibatches", "33", "32 rows"}},
      {{"train", "ppo", "CartPole-v1", "num_envs=16777216", "rollout_steps=128"}, 2, {"16777216 environments"}},
      {{"train", "pqn", "CartPole-v1", "num_envs=8", "rollout_steps=4", "minibatches=33"}, 2, {"33", "32 rows"}},
      {{"train", "deep_sarsa", "Pendulum-v1"}, 2, {"deep_sarsa needs discrete actions", "Pendulum-v1"}},
      {{"train", "dqn", "Pendulum-v1"}, 2, {"needs discrete actions", "Pendulum-v1", "ppo"}},
      {{"train", "td3", "CartPole-v1"}, 2, {"needs continuous actions", "CartPole-v1", "ddpg"}},
      {{"train", "sac", "CartPole-v1"}, 2, {"needs continuous actions", "sac_discrete"}},
      {{"train", "sac_discrete", "Pendulum-v1"}, 2, {"needs discrete actions", "sac"}},
      {{"train", "ddpg", "FrozenLake-v1"}, 2, {"Box observations"}},
      {{"train", "sac", "Pendulum-v1", "batch_size=300", "buffer_size=200"}, 2, {"batch of 300", "ring of 200"}},
  });
}

// Among what fits a world of real observations are no tables.
TEST_F(BadInput, FittingAlgorithmsFit) {
  const ProgramResult result = run({"train", "sac", "CartPole-v1"});
  EXPECT_NE(result.err.find("fitting algorithms: linear_q, "), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find(" q_learning"), std::string::npos) << result.err;
  EXPECT_NE(run({"train", "sac", "Taxi-v4"}).err.find("fitting algorithms: q_learning, "), std::string::npos);
}

TEST_F(BadInput, TablesAndLinearFeatures) {
  expect_refusals({
      {{"train", "q_learning", "CartPole-v1"}, 2, {"discrete observations", "linear_q"}},
      {{"train", "sarsa", "Pendulum-v1"}, 2, {"needs discrete actions"}},
      {{"train", "linear_q", "FrozenLake-v1"}, 2, {"features", "one_hot"}},
      {{"train", "linear_q", "MountainCar-v0", "features=one_hot"}, 2, {"features", "tiles"}},
      {{"train", "linear_q", "Acrobot-v1", "feature_low=1,2"}, 2, {"feature_low", "6 dimensions"}},
      {{"train", "linear_q", "CartPole-v1", "feature_low=[]", "feature_high=[]"}, 2, {"feature_low", "finite"}},
      {{"train", "linear_q", "MountainCar-v0", "feature_low=1,1", "feature_high=0,2"}, 2, {"feature_low"}},
      {{"train", "linear_q", "MountainCar-v0", "feature_low=-1e300,0", "feature_high=1,1"}, 2, {"feature_low"}},
      {{"train", "linear_q", "MountainCar-v0", "tiles=0"}, 2, {"tiles", "[1, 4096]"}},
      {{"train", "linear_q", "MountainCar-v0", "tilings=3"}, 2, {"tilings", "power of two"}},
      {{"train", "linear_q", "Acrobot-v1", "tiles=100"}, 2, {"tiles", "features per learner"}},
      {{"train", "linear_q", "MountainCar-v0", "evaluation=exact"}, 2, {"evaluation", "sampled"}},
      {{"train", "q_learning", "FrozenLake-v1", "learning_rate=1.5"}, 2, {"learning_rate", "1.5"}},
      {{"train", "q_learning", "FrozenLake-v1", "learning_rate=0"}, 2, {"learning_rate"}},
      {{"train", "q_learning", "FrozenLake-v1", "n_step=0"}, 2, {"n_step"}},
      {{"train", "q_learning", "FrozenLake-v1", "n_step=2", "lambda=0.5"}, 2, {"lambda", "n_step"}},
      {{"train", "q_learning", "FrozenLake-v1", "lambda=1.1"}, 2, {"lambda", "[0, 1]"}},
      {{"train", "soft_q_tabular", "FrozenLake-v1", "temperature=0"}, 2, {"temperature"}},
      {{"train", "sarsa", "FrozenLake-v1", "double_q=true"}, 2, {"double_q"}},
      {{"solve", "CartPole-v1"}, 2, {"no transition table", "FrozenLake-v1"}},
      {{"solve", "FrozenLake-v1", "--gamma", "1.5"}, 2, {"gamma", "[0, 1]"}},
      {{"solve", "FrozenLake-v1", "--alpha", "-1"}, 2, {"alpha"}},
      {{"solve", "FrozenLake-v1", "--csv", "--json"}, 2, {"csv and json"}},
      {{"solve"}, 2, {"usage"}},
  });
}

TEST_F(BadInput, NotEnoughMemoryPrintsTheBudget) {
  const Words words{"train", "ppo", "CartPole-v1", "num_envs=16777216", "rollout_steps=100", "threads=1", "--quiet"};
  expect_refusals({{words, 1, {"the run needs", "MiB", "replay", "agent", "are available"}}});
}

TEST_F(BadInput, CudaWithoutAGpu) {
  if (cuda_unavailable_reason().empty()) GTEST_SKIP() << "this machine has a GPU";
  expect_refusals({{{"train", "ppo", "CartPole-v1", "--device", "cuda"}, 1, {"device cuda", "device=cpu"}},
                   {{"trace", "CartPole-v1", "--device", "cuda"}, 1, {"device cuda"}}});
  const ProgramResult result =
      run({"train", "ppo", "CartPole-v1", "device=auto", "total_steps=300", "threads=1", "num_envs=8",
           "rollout_steps=32", "minibatches=2", "--quiet", "--json", "--out", "run"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("\"device\":\"cpu\""), std::string::npos) << result.out;
}

TEST_F(BadInput, RunFoldersThatExistOrCannotBeWritten) {
  train_small();
  const std::string before = read_file(checkpoint());
  write("file", "content");
  expect_refusals({
      {{"train", "ppo", "CartPole-v1", "--out", "run"}, 2, {"run", "exists already", "resume"}},
      {{"train", "ppo", "CartPole-v1", "--out", "file"}, 2, {"file"}},
      {{"train", "ppo", "CartPole-v1", "--out", "file/run"}, 2, {"file/run"}},
      {{"train", "ppo", "CartPole-v1", "--out", "/proc/stampede"}, 2, {"/proc/stampede"}},
  });
  EXPECT_EQ(read_file(checkpoint()), before);
  EXPECT_EQ(read_file(folder_ / "file"), "content");
}

TEST_F(BadInput, CheckpointsThatAreNotThere) {
  fs::create_directory(folder_ / "empty");
  expect_refusals({
      {{"eval", "nowhere"}, 2, {"nowhere"}},
      {{"resume", "nowhere"}, 2, {"nowhere"}},
      {{"eval", "empty"}, 2, {"empty", "checkpoint.safetensors"}},
      {{"resume", "empty"}, 2, {"empty", "checkpoint.safetensors"}},
      {{"plot", "nowhere"}, 2, {"nowhere"}},
      {{"plot", "empty"}, 2, {"empty"}},
      {{"plot", "--bands", "nowhere.json"}, 2, {"nowhere.json", "no such file"}},
      {{"plot", "curves.json"}, 2, {"--bands FILE.json"}},
      {{"plot", "--bands", "empty", "--only", "dqn"}, 2, {"--only", "JSON"}},
  });
}

TEST_F(BadInput, DamagedCheckpointsAreRefusedAndKept) {
  train_small();
  const std::string good = read_file(checkpoint());
  std::string flipped = good;
  flipped[good.size() - 100] ^= 1;
  const std::vector<std::pair<const char*, std::string>> damages = {{"truncated", good.substr(0, good.size() / 2)},
                                                                    {"short", good.substr(0, 5)},
                                                                    {"empty", ""},
                                                                    {"foreign", "PK\3\4 this is some other file"},
                                                                    {"flipped", flipped}};
  for (const auto& [name, content] : damages) {
    SCOPED_TRACE(name);
    write("run/checkpoint.safetensors", content);
    for (const char* command : {"eval", "resume"}) {
      Words words{command, "run", "threads=1"};
      if (std::string(command) == "resume") words.push_back("total_steps=4000");
      expect_refusal({words, 1, {"checkpoint.safetensors"}});
      EXPECT_EQ(read_file(checkpoint()), content) << "a refused file was changed";
    }
  }
  write("run/checkpoint.safetensors", good);
  EXPECT_EQ(run({"eval", "run", "threads=1", "--episodes", "3"}).exit_code, 0);
}

TEST_F(BadInput, TheFusedRolloutNeedsAGpu) {
  expect_refusals({
      {{"train", "ppo", "CartPole-v1", "fused=true"}, 2, {"fused", "device=cuda"}},
      {{"train", "a2c", "Pendulum-v1", "precision=bf16"}, 2, {"precision", "device=cuda"}},
      {{"train", "trpo", "CartPole-v1", "precision=bf16", "fused=false"}, 2, {"precision", "fused=false"}},
      {{"train", "dqn", "CartPole-v1", "precision=bf16"}, 2, {"precision", "device=cuda"}},
      {{"train", "pqn", "CartPole-v1", "fused=true"}, 2, {"fused", "device=cuda"}},
      {{"train", "pqn", "CartPole-v1", "precision=bf16"}, 2, {"precision"}},
  });
}

TEST_F(BadInput, LibrariesThatComputeOnGpusOnly) {
  expect_refusals({
      {{"train", "ppo", "CartPole-v1", "gemm=cublas"}, 2, {"gemm", "device=cuda"}},
      {{"train", "ppo", "CartPole-v1", "gemm=mkl"}, 2, {"gemm", "'mkl'", "cublas"}},
      {{"train", "sac", "Pendulum-v1", "tf32=true"}, 2, {"tf32", "device=cuda"}},
  });
}

TEST_F(BadInput, KeysThatDoNotFitTheCheckpoint) {
  train_small();
  const std::string before = read_file(checkpoint());
  const std::string log = read_file(folder_ / "run/metrics.csv");
  expect_refusals({
      {{"resume", "run", "total_steps=4000", "hidden=32", "threads=1"}, 1, {"expected [32, 4]"}},
      {{"resume", "run", "total_steps=4000", "num_envs=7", "threads=1"}, 1, {"expected"}},
      {{"resume", "run", "total_steps=1000"}, 2, {"complete", "total_steps"}},
      {{"resume", "run/checkpoint.safetensors", "total_steps=4000"}, 2, {"is a file", "folder"}},
      {{"resume", "run", "total_step=4000"}, 2, {"did you mean 'total_steps'?"}},
      {{"eval", "run", "--episodes", "0"}, 2, {"episodes"}},
      {{"eval", "run", "--episode", "3"}, 2, {"'episode'", "episodes"}},
  });
  EXPECT_EQ(read_file(checkpoint()), before);
  EXPECT_EQ(read_file(folder_ / "run/metrics.csv"), log);
}

TEST_F(BadInput, ANonFiniteStateStopsATrace) {
  const ProgramResult result = run({"trace", "CartPole-v1", "--state", "0,0,0,3e38", "--steps", "5"});
  EXPECT_EQ(result.exit_code, 1);
  ASSERT_EQ(result.messages().size(), 1u) << result.err;
  EXPECT_NE(result.err.find("not finite after step 1"), std::string::npos) << result.err;
}

// A learning rate of 10 without clipping overflows a network of rectifiers within an iteration or two.
TEST_F(BadInput, ANonFiniteLossKeepsTheLastGoodCheckpoint) {
  const ProgramResult trained =
      run({"train", "ppo", "Pendulum-v1", "num_envs=8", "rollout_steps=32", "minibatches=4", "epochs=4",
           "activation=relu", "total_steps=2048", "eval_episodes=3", "threads=1", "normalize_rewards=false",
           "normalize_observations=false", "learning_rate=0.001", "learning_rate_final=1", "--out", "run", "--quiet"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const ProgramResult result = run({"resume", "run", "learning_rate=10", "max_grad_norm=0", "checkpoint_every=256",
                                    "total_steps=200000", "--quiet"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_FALSE(result.timed_out);
  ASSERT_EQ(result.messages().size(), 1u) << result.err;
  for (const char* part : {"not finite near step", "the last good checkpoint is run/checkpoint.safetensors at step"}) {
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  }
  const ProgramResult seeds =
      run({"train", "ppo", "Pendulum-v1", "num_envs=8", "rollout_steps=32", "minibatches=4", "epochs=4",
           "activation=relu", "total_steps=200000", "eval_every=200000", "normalize_rewards=false",
           "normalize_observations=false", "learning_rate=10", "max_grad_norm=0", "--seeds", "3", "--out", "seeds"});
  EXPECT_EQ(seeds.exit_code, 1);
  ASSERT_EQ(seeds.messages().size(), 1u) << seeds.err;
  EXPECT_TRUE(seeds.err.starts_with("stampede: 3 of 3 seeds failed; seed 1: the loss or its")) << seeds.err;
  EXPECT_NE(read_file(folder_ / "seeds/result.json").find("{\"seed\":3,\"reason\":\"the loss"), std::string::npos);
  const ProgramResult evaluated = run({"eval", "run", "threads=1", "--episodes", "3", "--json"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(evaluated.out.find("nan"), std::string::npos) << evaluated.out;
}

}  // namespace
}  // namespace stampede
