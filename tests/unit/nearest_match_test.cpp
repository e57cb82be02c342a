// SPDX-License-Identifier: Apache-2.0
#include "kernels/nearest_match.h"

#include <gtest/gtest.h>

namespace stampede {
namespace {

constexpr std::string_view kNames[] = {"CartPole-v1", "CartPole-v0", "Pendulum-v1", "Acrobot-v1", "Taxi-v4"};

TEST(NearestMatch, CountsTheFourEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("gama", "gamma"), 1u);
  EXPECT_EQ(edit_distance("gmama", "gamma"), 1u);
  EXPECT_EQ(edit_distance("gamam", "gamma"), 1u);
  EXPECT_EQ(edit_distance("seed", "sede"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("CA", "abc"), 3u);
  EXPECT_EQ(edit_distance("PENDULUM", "pendulum"), 0u);
}

TEST(NearestMatch, FindsTheFirstOfTheNearest) {
  EXPECT_EQ(nearest_match("cartpole-v1", kNames), "CartPole-v1");
  EXPECT_EQ(nearest_match("CartPole-v", kNames), "CartPole-v1");
  EXPECT_EQ(nearest_match("CartPole", kNames), "CartPole-v1");
  EXPECT_EQ(nearest_match("Taxi-v3", kNames), "Taxi-v4");
  EXPECT_EQ(nearest_match("cartpol", kNames), "CartPole-v1");  // a beginning, however much is missing
  EXPECT_EQ(nearest_match("Pend", kNames), "Pendulum-v1");
  EXPECT_EQ(nearest_match("Breakout", kNames), std::nullopt);
  EXPECT_EQ(nearest_match("", kNames), std::nullopt);
  EXPECT_EQ(nearest_match("Ta", kNames), std::nullopt);  // too little to be a beginning
  constexpr std::string_view kShort[] = {"cd"};
  EXPECT_EQ(nearest_match("ab", kShort), std::nullopt);  // two edits, but nothing in common
}

TEST(NearestMatch, MessageListsWhatIsKnown) {
  constexpr std::string_view kAlgorithms[] = {"dqn", "ppo"};
  EXPECT_EQ(unknown_name_message("algorithm", "poo", kAlgorithms),
            "unknown algorithm 'poo'; did you mean 'ppo'? Known algorithms: dqn, ppo");
  EXPECT_EQ(unknown_name_message("algorithm", "alphazero", kAlgorithms),
            "unknown algorithm 'alphazero'; known algorithms: dqn, ppo");
}

}  // namespace
}  // namespace stampede
