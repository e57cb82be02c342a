// SPDX-License-Identifier: Apache-2.0
// Checkpoints: everything that training depends on, replaced as a whole, refused with a reason.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agents/linear/td_lane.h"
#include "kernels/error.h"
#include "tests/unit/program_run.h"
#include "tests/unit/temporary_folder.h"
#include "tests/unit/training_run.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"

namespace stampede {
namespace {

struct Case {
  std::string algorithm, env;
  Keys keys;
  std::int64_t half;  // rows
};

const std::vector<Case> kCases = {
    {"ppo",
     "CartPole-v1",
     {{"num_envs", "7"},
      {"rollout_steps", "33"},
      {"minibatches", "3"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"hidden", "16,16"}},
     1000},
    {"ppo",
     "Pendulum-v1",
     {{"num_envs", "3"},
      {"rollout_steps", "31"},
      {"normalize_observations", "true"},
      {"target_kl", "0.01"},
      {"hidden", "16"}},
     1000},
    {"ppo", "Taxi-v4", {{"num_envs", "5"}, {"rollout_steps", "17"}, {"hidden", "16"}, {"shared_torso", "true"}}, 500},
    {"dqn",
     "CartPole-v1",
     {{"num_envs", "3"},
      {"buffer_size", "900"},
      {"n_step", "3"},
      {"learning_starts", "100"},
      {"hidden", "16,16"},
      {"target_interval", "7"}},
     1200},
    {"dqn",
     "FrozenLake-v1",
     {{"num_envs", "1"},
      {"buffer_size", "333"},
      {"target_tau", "0.05"},
      {"target_interval", "1"},
      {"hidden", "16"},
      {"learning_starts", "50"}},
     300},
    {"rainbow",
     "CartPole-v1",
     {{"num_envs", "3"},
      {"buffer_size", "600"},
      {"double", "true"},
      {"dueling", "true"},
      {"n_step", "3"},
      {"prioritized", "true"},
      {"noisy", "heads"},
      {"exploration", "none"},
      {"distribution", "c51"},
      {"atoms", "21"},
      {"learning_starts", "100"},
      {"hidden", "16"},
      {"target_interval", "7"}},
     600},
    {"ppo_kl",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"rollout_steps", "31"}, {"objective", "kl"}, {"kl_target", "1e-4"}, {"hidden", "16"}},
     1000},
    {"a2c",
     "Acrobot-v1",
     {{"num_envs", "7"},
      {"rollout_steps", "5"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"hidden", "16"}},
     700},
    {"reinforce",
     "CartPole-v1",
     {{"num_envs", "5"}, {"rollout_steps", "65"}, {"optimizer", "rmsprop"}, {"hidden", "16"}},
     1000},
    {"async_q",
     "CartPole-v1",
     {{"workers", "1"}, {"num_envs", "3"}, {"rollout_steps", "7"}, {"hidden", "16,16"}, {"target_interval", "700"}},
     5000},
    {"async_q",
     "FrozenLake-v1",
     {{"workers", "1"},
      {"num_envs", "5"},
      {"rollout_steps", "7"},
      {"target", "sarsa"},
      {"n_step", "3"},
      {"hidden", "16"}},
     5000},
    {"a3c",
     "Pendulum-v1",
     {{"workers", "1"},
      {"num_envs", "3"},
      {"hidden", "16"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"}},
     5000},
    {"trpo",
     "Pendulum-v1",
     {{"num_envs", "3"},
      {"rollout_steps", "31"},
      {"critic_epochs", "3"},
      {"normalize_observations", "true"},
      {"normalize_rewards", "true"},
      {"hidden", "16"}},
     1000},
    {"pqn",
     "CartPole-v1",
     {{"num_envs", "7"},
      {"rollout_steps", "5"},
      {"minibatches", "3"},
      {"hidden", "17,16"},
      {"target", "sarsa"},
      {"target_interval", "7"},
      {"epsilon_ends", "0.1,0.01,0.5"},
      {"epsilon_shares", "4,3,3"}},
     700},
    {"pqn",
     "FrozenLake-v1",
     {{"num_envs", "3"}, {"rollout_steps", "1"}, {"minibatches", "1"}, {"epochs", "1"}, {"hidden", "16"}},
     300},
    {"sac",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"buffer_size", "900"}, {"batch_size", "33"}, {"hidden", "16,16"}, {"learning_starts", "50"}},
     300},
    {"sac_v",
     "Pendulum-v1",
     {{"num_envs", "1"}, {"buffer_size", "200"}, {"batch_size", "31"}, {"hidden", "16"}, {"value_network", "true"}},
     250},
    {"sac_discrete",
     "CartPole-v1",
     {{"num_envs", "3"}, {"buffer_size", "300"}, {"batch_size", "33"}, {"hidden", "16"}},
     300},
    {"sac",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"buffer_size", "900"}, {"batch_size", "33"}, {"hidden", "16"}, {"n_step", "3"}},
     300},
    {"sac_discrete",
     "CartPole-v1",
     {{"num_envs", "3"}, {"buffer_size", "300"}, {"batch_size", "33"}, {"hidden", "16"}, {"n_step", "3"}},
     300},
    {"td3",
     "MountainCarContinuous-v0",
     {{"num_envs", "3"},
      {"buffer_size", "900"},
      {"batch_size", "33"},
      {"hidden", "16"},
      {"noise", "ornstein_uhlenbeck"},
      {"warmup", "policy"}},
     301},
    {"ddpg",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"batch_size", "33"}, {"hidden", "16"}, {"learning_starts", "64"}, {"batch_norm", "all"}},
     300},
    {"ddpg", "CartPole-v1", {{"num_envs", "3"}, {"batch_size", "33"}, {"hidden", "16"}, {"critics", "1"}}, 300},
    {"q_learning", "FrozenLake-v1", {{"num_envs", "33"}, {"rollout_steps", "10"}, {"double_q", "true"}}, 3300},
    {"sarsa",
     "CliffWalking-v1",
     {{"target", "sampled"}, {"num_envs", "7"}, {"rollout_steps", "13"}, {"n_step", "5"}, {"bonus", "0"}},
     2000},
    {"mc_control",
     "FrozenLake-v1",
     {{"target", "return"}, {"num_envs", "5"}, {"rollout_steps", "11"}, {"rate_power", "0.7"}, {"episodes", "30"}},
     1000},
    {"dyna_q",
     "Taxi-v4",
     {{"num_envs", "3"}, {"rollout_steps", "17"}, {"planning_steps", "2"}, {"bonus", "0.1"}},
     1000},
    {"linear_q",
     "CartPole-v1",
     {{"num_envs", "5"},
      {"rollout_steps", "9"},
      {"lambda", "0.8"},
      {"bonus", "0.1"},
      {"tiles", "3"},
      {"feature_low", "-2.4,-3,-0.21,-3"},
      {"feature_high", "2.4,3,0.21,3"}},
     900},
    {"ppo",
     "Pendulum-v1",
     {{"num_envs", "3"}, {"rollout_steps", "31"}, {"sde", "true"}, {"sde_interval", "17"}, {"hidden", "16"}},
     1000},
    {"sac",
     "Pendulum-v1",
     {{"num_envs", "3"},
      {"buffer_size", "900"},
      {"batch_size", "33"},
      {"hidden", "16,16"},
      {"sde", "true"},
      {"sde_interval", "40"},
      {"learning_starts", "50"}},
     300},
};

TrainingRun make(const Case& c, int threads = 1) { return TrainingRun(c.algorithm, c.env, c.keys, threads); }

void save(TrainingRun& run, const Case& c, const std::string& path) {
  save_checkpoint(path, run.trainer(), run.stream(), {c.algorithm, c.env, run.config().to_toml(), true});
}

TEST(Checkpoint, ARestoredRunGoesOnBitForBit) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  for (const Case& c : kCases) {
    TrainingRun straight = make(c);
    straight.run_to(c.half);
    save(straight, c, path);
    const StateBytes saved = straight.state();
    straight.run_to(2 * c.half);

    TrainingRun resumed = make(c);
    load_checkpoint(path, resumed.trainer(), resumed.stream());
    EXPECT_EQ(differing_entries(resumed.state(), saved), std::vector<std::string>{}) << c.algorithm << c.env;
    resumed.run_to(2 * c.half);
    EXPECT_EQ(differing_entries(resumed.state(), straight.state()), std::vector<std::string>{}) << c.algorithm << c.env;
    EXPECT_EQ(resumed.trainer().env_steps(), straight.trainer().env_steps());
    EXPECT_EQ(resumed.trainer().updates(), straight.trainer().updates());
    EXPECT_NE(differing_entries(saved, straight.state()), std::vector<std::string>{}) << "nothing was learnt";
  }
}

// As the program saves on-policy runs: without the ring, of which they need nothing but the head.
TEST(Checkpoint, OnPolicyRunsGoOnBitForBitWithoutTheirRing) {
  const TemporaryFolder folder;
  int cases = 0;
  for (const Case& c : kCases) {
    TrainingRun straight = make(c), resumed = make(c);
    if (straight.trainer().replay_bytes() > 0) continue;
    ++cases;
    straight.run_to(c.half);
    save_checkpoint(folder / "file", straight.trainer(), straight.stream(),
                    {c.algorithm, c.env, straight.config().to_toml(), false});
    load_checkpoint(folder / "file", resumed.trainer(), resumed.stream());
    straight.run_to(2 * c.half);
    resumed.run_to(2 * c.half);
    StateBytes one = straight.state(), other = resumed.state();
    // Where rows lie, and numbers beside rows that the first rows of a rollout may leave as they were.
    for (const char* unread : {"ring_base", "ring.extra"}) one.erase(unread), other.erase(unread);
    EXPECT_EQ(differing_entries(other, one), std::vector<std::string>{}) << c.algorithm << c.env;
  }
  EXPECT_GE(cases, 4);
}

TEST(Checkpoint, SavingDoesNotDisturbTheRun) {
  const TemporaryFolder folder;
  for (const Case& c : kCases) {
    TrainingRun with = make(c), without = make(c);
    with.run_to(c.half);
    save(with, c, folder / "checkpoint.safetensors");
    with.run_to(c.half + 500);
    without.run_to(c.half + 500);
    EXPECT_EQ(differing_entries(with.state(), without.state()), std::vector<std::string>{}) << c.algorithm << c.env;
  }
}

TEST(Checkpoint, SameRunSameBytes) {
  const TemporaryFolder folder;
  const Case& c = kCases[0];
  for (const char* name : {"a", "b"}) {
    TrainingRun run = make(c);
    run.run_to(c.half);
    save(run, c, folder / name);
  }
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
}

TEST(Checkpoint, DescribesItself) {
  const TemporaryFolder folder;
  const Case& c = kCases[3];
  TrainingRun run = make(c);
  run.run_to(c.half);
  save(run, c, folder / "file");
  const CheckpointInfo info = read_checkpoint_info(folder / "file");
  EXPECT_EQ(info.algorithm, "dqn");
  EXPECT_EQ(info.environment, "CartPole-v1");
  EXPECT_EQ(info.config, run.config().to_toml());
  EXPECT_TRUE(info.with_replay);
  EXPECT_EQ(info.rows, run.trainer().rows());
}

TEST(Checkpoint, WithoutReplayTheLearnerIsComplete) {
  const TemporaryFolder folder;
  const Case& c = kCases[3];
  TrainingRun run = make(c), restored = make(c);
  run.run_to(c.half);
  save_checkpoint(folder / "file", run.trainer(), run.stream(), {c.algorithm, c.env, run.config().to_toml(), false});
  load_checkpoint(folder / "file", restored.trainer(), restored.stream());
  EXPECT_EQ(restored.parameters(), run.parameters());
  EXPECT_EQ(restored.parameters("target.parameters"), run.parameters("target.parameters"));
  EXPECT_EQ(restored.trainer().rows(), run.trainer().rows());
  restored.run_to(2 * c.half);
  EXPECT_FALSE(restored.trainer().read_metrics().failed);
}

// Rows that targets would reach back to are gone with the ring.
TEST(Checkpoint, WithoutReplayTabularLearnersForgetTheirRows) {
  const TemporaryFolder folder;
  const Keys keys{{"target", "sampled"}, {"num_envs", "3"}, {"rollout_steps", "1"}, {"n_step", "50"}};
  TrainingRun run("sarsa", "CliffWalking-v1", keys), restored("sarsa", "CliffWalking-v1", keys);
  run.iterate(30);
  save_checkpoint(folder / "file", run.trainer(), run.stream(), {"sarsa", "CliffWalking-v1", "", false});
  load_checkpoint(folder / "file", restored.trainer(), restored.stream());
  const auto length = [](TrainingRun& of, int learner) {
    return static_cast<const LearnerProgress*>(of.block("learner.progress").data)[learner].length;
  };
  for (int learner = 0; learner < 3; ++learner) {
    EXPECT_GT(length(run, learner), 0);
    EXPECT_EQ(length(restored, learner), 0);
  }
}

// Weights in files are PyTorch's [out, in], without padding.
TEST(Checkpoint, StoresTensorsInTheirLogicalShape) {
  const TemporaryFolder folder;
  const Case& c = kCases[0];
  TrainingRun run = make(c);
  run.run_to(c.half);
  save(run, c, folder / "file");
  const SafetensorsFile file(folder / "file");
  const auto found = file.tensors().find("network.parameters.actor.0.weight");
  ASSERT_NE(found, file.tensors().end());
  EXPECT_EQ(found->second.shape, (TensorShape{16, 4}));
  std::vector<float> weights(64);
  file.read("network.parameters.actor.0.weight", TensorType::kF32, {16, 4}, weights.data());
  const StateBlock block = run.block("network.parameters");
  const LayerLayout& layer = block.spec->layers()[0];
  for (int out = 0; out < 16; ++out) {
    for (int in = 0; in < 4; ++in) {
      const auto from = layer.weight + static_cast<std::size_t>(in * layer.out_stride + out);
      EXPECT_EQ(weights[static_cast<std::size_t>(out * 4 + in)], static_cast<const float*>(block.data)[from]);
    }
  }
}

class Damaged : public testing::Test {
 protected:
  Damaged() : path_(folder_ / "checkpoint.safetensors"), run_(make(kCases[0])) {
    run_.run_to(500);
    save(run_, kCases[0], path_);
    content_ = read_file(path_);
  }

  std::string refusal(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return refusal_by(run_);
  }
  std::string refusal_by(TrainingRun& run) {
    try {
      load_checkpoint(path_, run.trainer(), run.stream());
    } catch (const RuntimeError& error) {
      return error.what();
    }
    return "accepted";
  }

  TemporaryFolder folder_;
  std::string path_;
  TrainingRun run_;
  std::string content_;
};

TEST_F(Damaged, TruncatedFilesAreRefusedWhereverTheyEnd) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{100}, content_.size() / 2, content_.size() - 1}) {
    const std::string message = refusal(content_.substr(0, size));
    EXPECT_NE(message.find("checkpoint.safetensors"), std::string::npos) << size << ": " << message;
  }
  EXPECT_EQ(refusal(content_), "accepted");
}

TEST_F(Damaged, AFlippedBitIsNoticed) {
  for (const double part : {0.05, 0.3, 0.6, 0.95}) {
    std::string changed = content_;
    changed[static_cast<std::size_t>(part * static_cast<double>(content_.size()))] ^= 4;
    EXPECT_NE(refusal(changed), "accepted") << part;
  }
}

TEST_F(Damaged, ForeignFilesAreRefused) {
  EXPECT_NE(refusal("hello world, this is no checkpoint"), "accepted");
  EXPECT_NE(refusal(std::string(4096, '\0')), "accepted");
  std::filesystem::remove(path_);
  write_safetensors(path_, {}, {{"format", "pt"}});
  EXPECT_NE(refusal_by(run_).find("not a checkpoint of this version (pt)"), std::string::npos);
  write_safetensors(path_, {}, {});
  EXPECT_NE(refusal_by(run_), "accepted");
}

TEST_F(Damaged, OtherShapesAreNamed) {
  Case wider = kCases[0];
  wider.keys.emplace_back("hidden", "32,16");
  TrainingRun other = make(wider);
  EXPECT_NE(refusal_by(other).find("network.parameters.actor.0"), std::string::npos) << refusal_by(other);
  Case more = kCases[0];
  more.keys.emplace_back("num_envs", "8");
  TrainingRun larger = make(more);
  EXPECT_NE(refusal_by(larger).find("expected [8]"), std::string::npos) << refusal_by(larger);
  TrainingRun dqn = make(kCases[3]);
  EXPECT_NE(refusal_by(dqn), "accepted");
}

// What a killed writer leaves behind hurts neither the old checkpoint nor the next one.
TEST_F(Damaged, ALeftoverOfAKilledWriterIsHarmless) {
  std::ofstream(folder_ / ".checkpoint.safetensors.partial", std::ios::binary) << content_.substr(0, 1000);
  EXPECT_EQ(refusal_by(run_), "accepted");
  run_.run_to(1000);
  save(run_, kCases[0], path_);
  EXPECT_EQ(read_checkpoint_info(path_).rows, run_.trainer().rows());
  EXPECT_FALSE(std::filesystem::exists(folder_ / ".checkpoint.safetensors.partial"));
}

}  // namespace
}  // namespace stampede
