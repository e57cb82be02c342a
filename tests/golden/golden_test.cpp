// SPDX-License-Identifier: Apache-2.0
// Every recorded trajectory and transition table of Gymnasium against this engine, with the state injected.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "sim/single_env.h"
#include "tests/golden/golden_file.h"

namespace stampede {
namespace {

constexpr std::size_t kSegment = 40;
using Tolerances = std::map<std::string, double>;  // by column; absent = exact

Tolerances tolerances_of(const std::string& name, const std::string& kind) {
  static const auto list = read_golden_list("tolerances.csv");
  Tolerances tolerances;
  for (auto [row, end] = list.equal_range(name); row != end; ++row) {
    const std::string& text = row->second.at(kind);
    if (!text.empty()) tolerances[row->second.at("column")] = std::stod(text);
  }
  return tolerances;
}

bool replays_as_a_whole(const std::string& name) {
  static const auto list = read_golden_list("index.csv");
  return list.find(name)->second.at("open_loop_f32") == "1";
}

void expect_near(const GoldenFile& golden, std::size_t t, const std::string& column, double got,
                 const Tolerances& tolerances) {
  const auto tolerance = tolerances.find(column);
  EXPECT_NEAR(got, golden.number(t, column), tolerance == tolerances.end() ? 0.0 : tolerance->second)
      << golden.name << " t=" << t << " " << column;
}

void expect_row(const GoldenFile& golden, std::size_t t, const EnvRow& row, const Tolerances& tolerances) {
  ASSERT_EQ(row.observation.size(), golden.numbers(t, "obs").size());
  ASSERT_EQ(row.state.size(), golden.numbers(t, "state").size());
  for (std::size_t k = 0; k < row.observation.size(); ++k) {
    expect_near(golden, t, "obs_" + std::to_string(k), row.observation[k], tolerances);
  }
  for (std::size_t k = 0; k < row.state.size(); ++k) {
    expect_near(golden, t, "state_" + std::to_string(k), row.state[k], tolerances);
  }
  EXPECT_EQ(row.terminated, golden.number(t, "terminated") == 1.0) << golden.name << " t=" << t;
  EXPECT_EQ(row.truncated, golden.number(t, "truncated") == 1.0) << golden.name << " t=" << t;
  if (t > 0 && !row.action.empty()) expect_near(golden, t, "reward", row.reward, tolerances);
}

// Restarts from the recorded state every `segment` rows.
void replay(const GoldenFile& golden, std::size_t segment, const Tolerances& tolerances) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find(golden.environment()), golden.parameters(), 1, Stream::cpu());
  EXPECT_EQ(golden.meta.at("time_limit"),
            env.spec().time_limit == kNoTimeLimit ? "none" : std::to_string(env.spec().time_limit));
  const int elapsed = std::stoi(golden.meta.at("elapsed"));
  for (std::size_t t = 0; t + 1 < golden.rows.size(); ++t) {
    if (t % segment == 0) {
      const EnvRow start = env.set_state(golden.numbers(t, "state"), elapsed + static_cast<int>(t));
      if (t == 0) expect_row(golden, 0, start, tolerances);
    }
    const double action = golden.number(t + 1, "action");
    expect_row(golden, t + 1, env.step({&action, 1}), tolerances);
    if (testing::Test::HasFailure()) return;
  }
}

void compare_table(const GoldenFile& golden) {
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(golden.environment());
  const EnvParameters parameters = golden.parameters();
  const EnvSpec spec = entry.resolve(parameters);
  ASSERT_EQ(std::to_string(spec.observation.count), golden.meta.at("n_states"));
  ASSERT_EQ(std::to_string(spec.action.count), golden.meta.at("n_actions"));
  std::size_t row = 0;
  for (int s = 0; s < spec.observation.count; ++s) {
    for (int a = 0; a < spec.action.count; ++a) {
      for (const Transition& outcome : entry.transitions(parameters, s, a)) {
        ASSERT_LT(row, golden.rows.size());
        EXPECT_EQ(s, golden.number(row, "s"));
        EXPECT_EQ(a, golden.number(row, "a"));
        EXPECT_EQ(outcome.probability, golden.number(row, "prob")) << golden.name << " s=" << s << " a=" << a;
        EXPECT_EQ(outcome.next_state, golden.number(row, "s_next")) << golden.name << " s=" << s << " a=" << a;
        EXPECT_EQ(outcome.reward, golden.number(row, "reward")) << golden.name << " s=" << s << " a=" << a;
        EXPECT_EQ(outcome.terminated, golden.number(row, "terminated") == 1.0) << golden.name << " s=" << s;
        ++row;
      }
    }
  }
  EXPECT_EQ(row, golden.rows.size());
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, MatchesGymnasium) {
  const GoldenFile golden = read_golden(GetParam());
  ASSERT_FALSE(golden.rows.empty());
  if (golden.is_table()) return compare_table(golden);
  if (replays_as_a_whole(golden.name)) replay(golden, golden.rows.size(), tolerances_of(golden.name, "tol_f32"));
  const Tolerances in_segments = tolerances_of(golden.name, "seg40_tol_f32");
  if (!in_segments.empty()) replay(golden, kSegment, in_segments);
}

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(golden_names()), [](const auto& test) { return test.param; });

// The feedback rule that made cartpole_balance300 keeps the pole up to the limit in any precision.
TEST(GoldenClosedLoop, BalancingRuleReachesTheTimeLimit) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find("CartPole-v1"), {}, 1, Stream::cpu());
  EnvRow row = env.set_state(std::vector<double>{0.01, -0.02, 0.03, -0.04}, 0);
  for (int t = 1; t <= 500; ++t) {
    const double action = row.state[2] + row.state[3] > 0 ? 1 : 0;
    row = env.step({&action, 1});
    ASSERT_FALSE(row.terminated) << t;
    ASSERT_EQ(row.truncated, t == 500) << t;
  }
}

}  // namespace
}  // namespace stampede
