// SPDX-License-Identifier: Apache-2.0
// The built program where its standard streams are closed, full or no longer read.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/unit/program_run.h"
#include "tests/unit/temporary_folder.h"
#include "train/checkpoint.h"

namespace stampede {
namespace {

namespace fs = std::filesystem;

class StandardStreams : public testing::Test {
 protected:
  // Runs the program through a shell, in the test's folder, with `redirections` behind its words.
  int shell(const std::string& words, const std::string& redirections, const std::string& before = "") const {
    const std::string command =
        before + "cd '" + folder_.path() + "' && '" STAMPEDE_PROGRAM "' " + words + " " + redirections;
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  static constexpr const char* kTrain =
      "train ppo CartPole-v1 num_envs=8 rollout_steps=32 epochs=1 minibatches=1 hidden=8 eval_episodes=1 threads=1 ";

  TemporaryFolder folder_;
};

TEST_F(StandardStreams, OutputThatCannotBeWrittenIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  for (const char* words : {"list", "--help", "trace CartPole-v1 --steps 3", "table FrozenLake-v1"}) {
    EXPECT_EQ(shell(words, ">/dev/full 2>messages"), 1) << words;
    EXPECT_NE(read_file(folder_ / "messages").find("stampede: cannot write to standard output"), std::string::npos);
  }
}

// A file opened later would otherwise become the closed stream and receive what is meant for it.
TEST_F(StandardStreams, ClosedStreamsNeverBecomeFilesOfTheRun) {
  ASSERT_EQ(shell(std::string(kTrain) + "total_steps=2000 --json --out run", "<&- >&- 2>&-"), 0);
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "run")) {
    const std::string text = read_file(entry.path());
    const bool result = entry.path().filename() == "result.json";
    EXPECT_EQ(text.find(" SPS  return "), std::string::npos) << entry.path();
    EXPECT_EQ(text.find("{\"algo\":") != std::string::npos, result) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 6);
}

TEST_F(StandardStreams, ALimitOnFileSizesIsAnError) {
  EXPECT_EQ(shell("train q_learning Taxi-v4 total_steps=9000 --out run", ">/dev/null 2>messages", "ulimit -f 16; "), 1);
  EXPECT_NE(read_file(folder_ / "messages").find("File too large"), std::string::npos);
}

TEST_F(StandardStreams, JsonIsUtf8WhateverTheFolderIsCalled) {
  ASSERT_EQ(shell(std::string(kTrain) + "total_steps=300 --quiet --json --out 'b\xff'", ">out"), 0);
  EXPECT_NE(read_file(folder_ / "out").find("\"run_dir\":\"b\xef\xbf\xbd\""), std::string::npos);
}

TEST_F(StandardStreams, ARunWhoseMessagesNobodyReadsIsSaved) {
  EXPECT_EQ(shell(std::string(kTrain) + "total_steps=2000 --out run", "2>&1 >/dev/null | head -n 0"), 0);
  EXPECT_GT(read_checkpoint_info(folder_ / "run/checkpoint.safetensors").rows, 0);
  EXPECT_TRUE(fs::exists(folder_ / "run/result.json"));
}

}  // namespace
}  // namespace stampede
