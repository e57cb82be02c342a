// SPDX-License-Identifier: Apache-2.0
// Frequencies of explored actions: Boltzmann, one epsilon per environment.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/exploration.h"
#include "train/epsilon_keys.h"

namespace stampede {
namespace {

constexpr int kActions = 3;

// Actions of `environments` environments at `rows` rows, all with the same values.
std::vector<std::uint32_t> choose(const std::vector<float>& q, int environments, int rows,
                                  const Exploration& exploration) {
  const auto n = static_cast<std::size_t>(environments);
  std::vector<float> outputs(n * 16, 0.0f);
  for (std::size_t i = 0; i < n; ++i)
    std::copy(q.begin(), q.end(), outputs.begin() + static_cast<std::ptrdiff_t>(i * 16));
  std::vector<std::uint32_t> records(n * 4), actions;
  for (int row = 0; row < rows; ++row) {
    choose_actions(Stream::cpu(),
                   {outputs.data(), 16, kActions, records.data(), RecordLayout::for_action_size(1), 0, environments},
                   {7, static_cast<std::uint64_t>(row), Purpose::kExploration}, exploration);
    for (std::size_t i = 0; i < n; ++i) actions.push_back(records[i * 4]);
  }
  return actions;
}

double frequency(const std::vector<std::uint32_t>& actions, std::uint32_t action, std::size_t begin = 0,
                 std::size_t stride = 1) {
  double count = 0.0, hits = 0.0;
  for (std::size_t k = begin; k < actions.size(); k += stride) {
    count += 1.0;
    hits += actions[k] == action ? 1.0 : 0.0;
  }
  return hits / count;
}

double deviation(double p, double count) { return 4.0 * std::sqrt(p * (1.0 - p) / count) + 1e-9; }

TEST(Boltzmann, DrawsActionsByTheirValues) {
  const std::vector<float> q{1.0f, 2.0f, 0.5f};
  for (const double temperature : {0.2, 1.0, 50.0}) {
    double total = 0.0;
    for (const float value : q) total += std::exp(static_cast<double>(value) / temperature);
    const auto actions = choose(q, 50'000, 1, {.temperature = static_cast<float>(temperature)});
    for (std::uint32_t a = 0; a < kActions; ++a) {
      const double p = std::exp(static_cast<double>(q[a]) / temperature) / total;
      EXPECT_NEAR(frequency(actions, a), p, deviation(p, 50'000)) << temperature << ' ' << a;
    }
  }
}

TEST(Boltzmann, MixesWithRandomActions) {
  const auto actions = choose({0.0f, 1000.0f, 0.0f}, 50'000, 1, {.epsilon = {0.3f}, .temperature = 1.0f});
  EXPECT_NEAR(frequency(actions, 1), 0.8, deviation(0.8, 50'000));
  EXPECT_NEAR(frequency(actions, 0), 0.1, deviation(0.1, 50'000));
}

// Half of the way from 0.8 to what each environment ends at.
TEST(FinalEpsilon, GivesEveryEnvironmentItsOwnShare) {
  constexpr int kEnvironments = 3, kRows = 20'000;
  const float ends[kEnvironments] = {0.4f, 0.0f, 0.1f};
  const auto actions = choose({0.0f, 0.0f, 1.0f}, kEnvironments, kRows,
                              {.epsilon = {.shared = 0.99f, .final_values = ends, .start = 0.8f, .progress = 0.5f}});
  for (std::size_t i = 0; i < kEnvironments; ++i) {
    const double epsilon = 0.5 * (0.8 + static_cast<double>(ends[i])), p = 1.0 - epsilon + epsilon / kActions;
    EXPECT_NEAR(frequency(actions, 2, i, kEnvironments), p, deviation(p, kRows)) << i;
  }
}

// Where the shared epsilon goes nowhere, environments are at their final values from the start.
TEST(FinalEpsilon, HoldsFromTheStartWithoutASchedule) {
  const float ends[] = {0.4f, 0.1f};
  for (const Schedule& shared :
       {Schedule{ScheduleKind::kConstant, 0.8, 0.05, 100}, Schedule{ScheduleKind::kLinear, 0.8, 0.8, 100}}) {
    for (const std::int64_t row : {0, 50, 200}) {
      for (const int i : {0, 1}) EXPECT_FLOAT_EQ(epsilon_at(shared, row, ends).of(i), ends[i]) << row;
      EXPECT_FLOAT_EQ(epsilon_at(shared, row, nullptr).of(0), 0.8f);
    }
  }
}

}  // namespace
}  // namespace stampede
