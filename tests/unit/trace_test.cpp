// SPDX-License-Identifier: Apache-2.0
// What `trace` and `table` print, and what they refuse.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/command.h"
#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"

namespace stampede {
namespace {

using Words = std::vector<std::string>;

// What a command writes to standard output while this object lives.
class Output {
 public:
  Output() : previous_(std::cout.rdbuf(text_.rdbuf())) {}
  ~Output() { std::cout.rdbuf(previous_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* previous_;
};

int run(CommandFunction command, const Words& words) {
  const EnvRegistry environments = builtin_environments();
  return command({environments}, words);
}

Words lines_of(CommandFunction command, const Words& words) {
  const Output output;
  EXPECT_EQ(run(command, words), 0);
  std::istringstream in(output.text());
  Words lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string refusal(CommandFunction command, const Words& words) {
  const Output output;
  try {
    run(command, words);
  } catch (const UsageError& error) {
    EXPECT_EQ(output.text(), "") << "refused after work had begun";
    return error.what();
  }
  return "accepted";
}

class Trace : public testing::Test {
 protected:
  std::string action_file(const std::string& text) {
    const std::string path = folder_ / "actions.csv";
    std::ofstream(path) << text;
    return path;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(Trace, PrintsARowPerActionWithNineDigits) {
  const auto lines = lines_of(
      trace_command, {"Pendulum-v1", "--state", "1,0.5", "--actions", action_file("2\n\n-1.5\n"), "--seed", "7"});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "t,action,obs_0,obs_1,obs_2,reward,terminated,truncated,state_0,state_1");
  EXPECT_EQ(lines[1], "0,,0.540302277,0.841471016,0.5,,0,0,1,0.5");
  EXPECT_TRUE(lines[2].starts_with("1,2,")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("2,-1.5,")) << lines[3];
}

TEST_F(Trace, StopsAfterTheRowThatEndsTheEpisode) {
  const auto lines =
      lines_of(trace_command, {"FrozenLake-v1", "--param", "desc=SFG", "--param", "is_slippery=false", "--param",
                               "reward_schedule=2,0,-1", "--actions", action_file("2\n2\n2\n")});
  EXPECT_EQ(lines, (Words{"t,action,obs_0,reward,terminated,truncated,state_0", "0,,0,,0,0,0", "1,2,1,-1,0,0,1",
                          "2,2,2,2,1,0,2"}));
}

TEST_F(Trace, ElapsedStepsCountTowardsTheLimit) {
  const auto lines = lines_of(trace_command, {"MountainCar-v0", "--elapsed", "198", "--seed", "3"});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_NE(lines[2].find(",-1,0,0,"), std::string::npos) << lines[2];
  EXPECT_NE(lines[3].find(",-1,0,1,"), std::string::npos) << lines[3];
}

TEST_F(Trace, RandomPolicyFollowsTheSeed) {
  const auto one = lines_of(trace_command, {"Taxi-v4", "--seed", "1", "--steps", "20"});
  EXPECT_EQ(one.size(), 22u);
  EXPECT_EQ(one, lines_of(trace_command, {"Taxi-v4", "--seed", "1", "--steps", "20"}));
  EXPECT_NE(one, lines_of(trace_command, {"Taxi-v4", "--seed", "2", "--steps", "20"}));
}

TEST_F(Trace, GridWorldCountsItsCellsFromOne) {
  const auto lines =
      lines_of(trace_command, {"GridWorld-v0", "env.reward=dense", "--actions", action_file("1\n1\n1\n2\n")});
  EXPECT_EQ(lines,
            (Words{"t,action,obs_0,reward,terminated,truncated,state_0", "0,,1,,0,0,1", "1,1,2,0.277350098,0,0,2",
                   "2,1,3,0.316227764,0,0,3", "3,1,4,0.333333343,0,0,4", "4,2,8,0.5,0,0,8"}));
}

TEST_F(Trace, RefusesBadInputBeforeTheFirstRow) {
  const std::vector<std::pair<Words, std::string>> cases = {
      {{"Cartpole"}, "did you mean 'CartPole-v1'"},
      {{}, "usage"},
      {{"CartPole-v1", "Taxi-v4"}, "usage"},
      {{"CartPole-v1", "--param", "gravty=3"}, "did you mean 'gravity'"},
      {{"CartPole-v1", "--param", "gravity=x"}, "'x' is not a finite number"},
      {{"CartPole-v1", "--param", "gravity=1e9"}, "out of range [0, 100]"},
      {{"CartPole-v1", "--param", "gravity"}, "NAME=VALUE"},
      {{"CartPole-v1", "env.gravty=3"}, "env.gravity"},
      {{"CartPole-v1", "sead=3"}, "did you mean 'seed'"},
      {{"CartPole-v1", "--state", "1,2"}, "has 4 variables, got 2"},
      {{"CartPole-v1", "--state", "1,2,3,nan"}, "not a number"},
      {{"CartPole-v1", "--state", "1,2,3,inf"}, "not a finite number"},
      {{"CartPole-v1", "--state", "1,2,3,1e39"}, "not a finite number"},
      {{"FrozenLake-v1", "--state", "16"}, "16 states"},
      {{"GridWorld-v0", "--state", "0"}, "cell"},
      {{"CartPole-v1", "--elapsed", "500"}, "elapsed"},
      {{"CartPole-v1", "--elapsed", "-1"}, "elapsed"},
      {{"CartPole-v1", "--steps", "-1"}, "steps"},
      {{"CartPole-v1", "--device", "tpu"}, "'tpu'"},
      {{"CartPole-v1", "--actions", "no/such/file"}, "cannot read 'no/such/file'"},
      {{"CartPole-v1", "--actions", "."}, "cannot read '.'"},
  };
  for (const auto& [words, message] : cases) {
    const std::string got = refusal(trace_command, words);
    EXPECT_NE(got.find(message), std::string::npos) << got << " does not say " << message;
  }
}

TEST_F(Trace, RefusesActionsThatDoNotFitAndNamesTheLine) {
  for (const char* action : {"2", "-1", "nan", "0.5", "0,1", "x", "1 0"}) {
    const std::string got =
        refusal(trace_command, {"CartPole-v1", "--actions", action_file(std::string("0\n") + action + "\n")});
    EXPECT_NE(got.find("line 2"), std::string::npos) << action << ": " << got;
  }
  for (const char* action : {"nan", "inf", "1e39", "0,0"}) {
    const std::string got = refusal(trace_command, {"Pendulum-v1", "--actions", action_file(action)});
    EXPECT_NE(got.find("line 1"), std::string::npos) << action << ": " << got;
  }
  const std::string few = refusal(trace_command, {"CartPole-v1", "--steps", "3", "--actions", action_file("0\n1\n")});
  EXPECT_NE(few.find("only 2 actions"), std::string::npos) << few;
}

TEST_F(Trace, StopsWithAnErrorWhenTheStateIsNoLongerFinite) {
  const Output output;
  EXPECT_THROW(run(trace_command, {"CartPole-v1", "--state", "0,0,0,3e38", "--actions", action_file("1\n")}),
               RuntimeError);
}

TEST(Table, PrintsEveryOutcomeInOrder) {
  const auto lines = lines_of(table_command, {"FrozenLake-v1"});
  ASSERT_EQ(lines.size(), 153u);
  EXPECT_EQ(lines[0], "state,action,probability,next_state,reward,terminated");
  EXPECT_EQ(lines[1], "0,0,0.33333333333333337,0,0,0");
  EXPECT_EQ(lines[2], "0,0,0.3333333333333333,0,0,0");
  EXPECT_EQ(lines[3], "0,0,0.33333333333333337,4,0,0");
  EXPECT_EQ(lines_of(table_command, {"GridWorld-v0"})[1], "1,0,1,1,0,0");
  EXPECT_EQ(lines_of(table_command, {"Taxi-v4", "--param", "is_rainy=true"}).size(), 7001u);
}

TEST(Table, RefusesEnvironmentsWithoutOne) {
  EXPECT_NE(refusal(table_command, {"CartPole-v1"}).find("no transition table"), std::string::npos);
  EXPECT_NE(refusal(table_command, {"Taxi-v4", "--param", "rainy_probability=1.5"}).find("[0, 1]"), std::string::npos);
  EXPECT_NE(refusal(table_command, {"Taxi"}).find("Taxi-v"), std::string::npos);
}

}  // namespace
}  // namespace stampede
