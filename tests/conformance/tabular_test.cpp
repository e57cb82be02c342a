// SPDX-License-Identifier: Apache-2.0
// The steps of tabular environments against their own transition tables, which the golden tests compare with
// Gymnasium's.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "kernels/error.h"
#include "tests/conformance/env_run.h"

namespace stampede {
namespace {

struct TabularCase {
  std::string id;
  EnvParameters parameters;
};

void PrintTo(const TabularCase& c, std::ostream* out) {
  *out << c.id;
  for (const auto& [name, value] : c.parameters) *out << " " << name << "=" << value;
}

bool same_outcome(const Transition& a, const Transition& b) {
  return a.next_state == b.next_state && std::abs(a.reward - b.reward) <= 1e-6 && a.terminated == b.terminated;
}

// Several places of a table may lead to the same outcome.
double probability_of(const std::vector<Transition>& table, const Transition& outcome) {
  double probability = 0;
  for (const Transition& t : table) probability += same_outcome(t, outcome) ? t.probability : 0.0;
  return probability;
}

class Tabular : public testing::TestWithParam<TabularCase> {};

// Every (state, action) has a lane; over many rounds each lane's outcomes must be in its table, and those at the same
// place of the table as frequent as their probabilities say.
TEST_P(Tabular, StepsAgreeWithTransitions) {
  constexpr int kRounds = 60;
  const auto& [id, parameters] = GetParam();
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(id);
  const EnvSpec spec = entry.resolve(parameters);
  const int lanes = spec.observation.count * spec.action.count;
  EnvRun run(id, {.size = lanes, .rows = kRounds, .parameters = parameters});
  run.reset();
  std::vector<std::vector<Transition>> table;
  std::vector<std::uint32_t> obs(1);
  for (int lane = 0; lane < lanes; ++lane) {
    table.push_back(entry.transitions(parameters, lane / spec.action.count, lane % spec.action.count));
    for (int round = 0; round < kRounds; ++round) run.set_action(round, lane, lane % spec.action.count);
  }
  double expected[3] = {}, variance[3] = {}, observed[3] = {};  // by place in the table
  for (int round = 0; round < kRounds; ++round) {
    for (int lane = 0; lane < lanes; ++lane) {
      const double state = lane / spec.action.count + spec.first_state;
      run.env().set_state(run.stream(), lane, {&state, 1}, 0, obs.data());
    }
    run.step(round);
    for (int lane = 0; lane < lanes; ++lane) {
      const Transition got{0, static_cast<int>(run.obs(round + 1, lane)[0]), run.reward(round, lane),
                           (run.flags(round, lane) & kTerminated) != 0};
      ASSERT_GT(probability_of(table[lane], got), 0.0) << "state " << lane / spec.action.count << " action "
                                                       << lane % spec.action.count << " went to " << got.next_state;
      for (std::size_t place = 0; place < table[lane].size(); ++place) {
        const double probability = probability_of(table[lane], table[lane][place]);
        expected[place] += probability;
        variance[place] += probability * (1 - probability);
        observed[place] += same_outcome(table[lane][place], got);
      }
    }
  }
  for (int place = 0; place < 3; ++place) {
    EXPECT_LE(std::abs(observed[place] - expected[place]), 4.5 * std::sqrt(variance[place]) + 1e-6 * expected[place])
        << "place " << place << ": " << observed[place] << " of " << expected[place];
  }
}

TEST_P(Tabular, ProbabilitiesSumToOne) {
  const auto& [id, parameters] = GetParam();
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(id);
  const EnvSpec spec = entry.resolve(parameters);
  for (int s = 0; s < spec.observation.count; ++s) {
    for (int a = 0; a < spec.action.count; ++a) {
      double sum = 0;
      for (const Transition& outcome : entry.transitions(parameters, s, a)) {
        sum += outcome.probability;
        ASSERT_GE(outcome.next_state, 0);
        ASSERT_LT(outcome.next_state, spec.observation.count);
      }
      ASSERT_NEAR(sum, 1.0, 1e-12);
    }
  }
}

TEST_P(Tabular, StartsAgreeWithStartStates) {
  constexpr int kLanes = 6000;
  const auto& [id, parameters] = GetParam();
  const EnvRegistry registry = builtin_environments();
  EnvRun run(id, {.size = kLanes, .parameters = parameters});
  run.reset();
  std::map<int, double> counts;
  for (int lane = 0; lane < kLanes; ++lane) counts[static_cast<int>(run.obs(0, lane)[0])] += 1;
  double sum = 0;
  for (const StartState& start : registry.find(id).start_states(parameters)) {
    sum += start.probability;
    const double expected = kLanes * start.probability;
    EXPECT_NEAR(counts[start.state], expected, 4.5 * std::sqrt(expected * (1 - start.probability)) + 1e-9);
    counts.erase(start.state);
  }
  EXPECT_NEAR(sum, 1.0, 1e-12);
  EXPECT_TRUE(counts.empty()) << "starts in a state that is not listed: " << counts.begin()->first;
}

// Every registered environment with a table, and parameters that change tables.
std::vector<TabularCase> tabular_cases() {
  std::vector<TabularCase> cases = {{"FrozenLake-v1", {{"success_rate", "0.75"}}},
                                    {"FrozenLake-v1", {{"desc", "FSFF,FHSH,FFFG"}, {"reward_schedule", "5,-2,-0.5"}}},
                                    {"Taxi-v4", {{"is_rainy", "true"}}},
                                    {"Taxi-v4", {{"is_rainy", "true"}, {"rainy_probability", "0.5"}}},
                                    {"GridWorld-v0", {{"reward", "dense"}}}};
  const EnvRegistry registry = builtin_environments();
  for (const EnvEntry& entry : registry.entries()) {
    if (entry.transitions) cases.push_back({entry.spec.id, {}});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, Tabular, testing::ValuesIn(tabular_cases()), [](const auto& test) {
  return alphanumeric(test.param.id) + "_" + std::to_string(test.index);
});

TEST(FrozenLake, StartsUniformlyAmongTheStartTiles) {
  EnvRun run("FrozenLake-v1", {.size = 4096, .parameters = {{"desc", "FSFF,SHFH,FFSG"}}});
  run.reset();
  int counts[12] = {};
  for (int i = 0; i < 4096; ++i) ++counts[run.obs(0, i)[0]];
  for (int s = 0; s < 12; ++s) {
    const bool start = s == 1 || s == 4 || s == 10;
    EXPECT_NEAR(counts[s], start ? 4096.0 / 3 : 0.0, start ? 140 : 0) << s;
  }
}

TEST(FrozenLake, RefusesMapsThatAreNone) {
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& lake = registry.find("FrozenLake-v1");
  for (const char* map : {"SFF,FF", "FFFF", "SXFG", "S,,G"}) {
    EXPECT_THROW(lake.resolve({{"desc", map}}), UsageError) << map;
  }
  EXPECT_THROW(lake.resolve({{"desc", "S" + std::string(256, 'F')}}), UsageError);
  EXPECT_EQ(lake.resolve({{"desc", "S" + std::string(255, 'F')}}).observation.count, 256);
  EXPECT_EQ(lake.resolve({{"desc", "SFG"}, {"map_name", "8x8"}}).observation.count, 3);
}

// A fickle passenger changes the destination once, on the first move with them aboard, to one of the three others.
TEST(Taxi, FicklePassengerChangesTheDestinationOnce) {
  constexpr int kLanes = 4096;
  EnvRun run("Taxi-v4", {.size = kLanes, .rows = 160, .parameters = {{"fickle_passenger", "true"}}});
  run.play();
  int carried = 0, changed = 0;
  std::set<int> shifts;
  for (int i = 0; i < kLanes; ++i) {
    bool first_move = true;
    for (int row = 0; row < 160 && (run.flags(row, i) & kEpisodeEnd) == 0; ++row) {
      const int before = static_cast<int>(run.obs(row, i)[0]);
      const int after = static_cast<int>(run.obs(row + 1, i)[0]);
      const bool aboard = before / 4 % 5 == 4;
      const bool moved = before / 20 != after / 20;
      const int shift = (after - before) & 3;
      if (!(aboard && moved && first_move)) {
        ASSERT_EQ(shift, 0) << "lane " << i << " row " << row;
        continue;
      }
      first_move = false;
      ++carried;
      changed += shift != 0;
      if (shift != 0) shifts.insert(shift);
    }
  }
  ASSERT_GT(carried, 500);
  EXPECT_NEAR(changed, 0.3 * carried, 4.5 * std::sqrt(0.21 * carried));
  EXPECT_EQ(shifts, (std::set<int>{1, 2, 3}));
}

TEST(Acrobot, TorqueNoiseChangesTheMotion) {
  EnvRun quiet("Acrobot-v1", {.rows = 5});
  EnvRun noisy("Acrobot-v1", {.rows = 5, .parameters = {{"torque_noise_max", "0.5"}}});
  quiet.play();
  noisy.play();
  for (int i = 0; i < 33; ++i) EXPECT_NE(quiet.obs(1, i)[4], noisy.obs(1, i)[4]);
}

}  // namespace
}  // namespace stampede
