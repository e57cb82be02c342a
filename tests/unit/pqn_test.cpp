// SPDX-License-Identifier: Apache-2.0
// Q-learning on rollouts: bootstraps of Q-learning, SARSA and Expected SARSA, epsilons of environments, loss, targets.
#include "agents/pqn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "kernels/error.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

const RecordLayout kRecord = RecordLayout::for_action_size(1);

TEST(Bootstrap, WithoutExplorationAllThreeCoincide) {
  const std::vector<float> q{1.0f, -5.0f, 3.0f, 100.0f};
  for (const BootstrapKind kind : {BootstrapKind::kMax, BootstrapKind::kSarsa, BootstrapKind::kExpectedSarsa}) {
    EXPECT_EQ(bootstrap_value(kind, q.data(), 3, 2, 2, 0.0f), 3.0f);
  }
}

TEST(Bootstrap, ExpectedSarsaIsTheMeanWhenActionsAreRandom) {
  const std::vector<float> q{1.0f, -5.0f, 3.0f};
  EXPECT_FLOAT_EQ(bootstrap_value(BootstrapKind::kExpectedSarsa, q.data(), 3, 2, 0, 1.0f), -1.0f / 3.0f);
}

// The policy is that of the network that acts, here preferring action 0; the values are the target network's.
TEST(Bootstrap, ExpectedSarsaIsTheExpectationOfSarsa) {
  const std::vector<float> q{1.0f, -5.0f, 3.0f};
  const float epsilon = 0.3f;
  float mean = 0.0f;
  for (int action = 0; action < 3; ++action) {
    const float probability = epsilon / 3.0f + (action == 0 ? 1.0f - epsilon : 0.0f);
    mean += probability * bootstrap_value(BootstrapKind::kSarsa, q.data(), 3, 0, action, epsilon);
  }
  EXPECT_FLOAT_EQ(bootstrap_value(BootstrapKind::kExpectedSarsa, q.data(), 3, 0, 1, epsilon), mean);
  EXPECT_EQ(bootstrap_value(BootstrapKind::kMax, q.data(), 3, 0, 1, epsilon), 3.0f);
}

// Environments [begin, begin + rows) of a batch, action 3 of 5 preferred.
struct Choices {
  explicit Choices(int environments)
      : outputs(static_cast<std::size_t>(environments) * 16),
        records(static_cast<std::size_t>(environments) * 4),
        extra(static_cast<std::size_t>(environments) * QRolloutExtra::kSize, -9.0f) {
    for (std::size_t r = 0; r < static_cast<std::size_t>(environments); ++r) {
      for (std::size_t a = 0; a < 5; ++a) outputs[r * 16 + a] = static_cast<float>(a == 3 ? 10 : a);
    }
  }
  void choose(BootstrapKind kind, const Epsilon& epsilon, int begin, int rows, bool with_extra = true) {
    choose_with_bootstrap(Stream::cpu(1),
                          {outputs.data(), outputs.data(), 16, 5, records.data(), with_extra ? extra.data() : nullptr,
                           kRecord, begin, rows},
                          kind, epsilon, {1, 2, Purpose::kExploration});
  }
  int action(int environment) const {
    return static_cast<int>(records[static_cast<std::size_t>(environment * kRecord.words)]);
  }
  float bootstrap(int environment) const {
    return extra[static_cast<std::size_t>(environment * QRolloutExtra::kSize + QRolloutExtra::kBootstrap)];
  }

  std::vector<float> outputs;
  std::vector<std::uint32_t> records;
  std::vector<float> extra;
};

TEST(QActions, SarsaBootstrapsWithTheActionThatIsExecuted) {
  Choices choices(257);
  choices.choose(BootstrapKind::kSarsa, {0.7f}, 0, 257);
  std::map<int, int> seen;
  for (int i = 0; i < 257; ++i) {
    ++seen[choices.action(i)];
    EXPECT_EQ(choices.bootstrap(i), choices.outputs[static_cast<std::size_t>(choices.action(i))]);
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(QActions, DoNotDependOnTheBatchAroundThem) {
  Choices whole(257), parts(257);
  whole.choose(BootstrapKind::kMax, {0.5f}, 0, 257);
  parts.choose(BootstrapKind::kMax, {0.5f}, 0, 31);
  parts.choose(BootstrapKind::kMax, {0.5f}, 31, 226);
  EXPECT_EQ(whole.records, parts.records);
  EXPECT_EQ(whole.extra, parts.extra);
}

TEST(QActions, AnEvaluationLeavesTheRolloutAlone) {
  Choices choices(33);
  choices.choose(BootstrapKind::kMax, {0.0f}, 0, 33, false);
  EXPECT_EQ(choices.action(32), 3);
  EXPECT_EQ(std::count(choices.extra.begin(), choices.extra.end(), -9.0f), 66);
}

// Every third environment has an epsilon of its own; the greedy action keeps its share of the random ones.
TEST(QActions, EnvironmentsExploreAsOftenAsTheirEpsilonsSay) {
  constexpr int kEnvironments = 60'000;
  Choices choices(kEnvironments);
  const double ends[3] = {0.1, 0.01, 0.5};
  std::vector<float> finals(kEnvironments);
  for (std::size_t i = 0; i < finals.size(); ++i) finals[i] = static_cast<float>(ends[i % 3]);
  for (const double progress : {0.0, 0.25, 1.0}) {
    choices.choose(BootstrapKind::kMax, {0.0f, finals.data(), 1.0f, static_cast<float>(progress)}, 0, kEnvironments);
    for (int group = 0; group < 3; ++group) {
      int greedy = 0;
      for (int i = group; i < kEnvironments; i += 3) greedy += choices.action(i) == 3;
      const double epsilon = 1.0 + progress * (ends[group] - 1.0), p = 1.0 - epsilon + epsilon / 5.0;
      const double count = kEnvironments / 3.0;
      EXPECT_NEAR(greedy / count, p, 4.0 * std::sqrt(p * (1.0 - p) / count)) << progress << ' ' << ends[group];
    }
  }
}

std::vector<float> drawn_epsilons(std::uint64_t seed, int environments, const std::vector<double>& shares) {
  Arena arena{Device{}};
  const std::vector<double> ends{0.1, 0.01, 0.5};
  FinalEpsilons(ends, shares, environments, arena);
  arena.allocate("test");
  FinalEpsilons epsilons(ends, shares, environments, arena);
  epsilons.initialize(Stream::cpu(), seed);
  return {epsilons.data(), epsilons.data() + environments};
}

TEST(FinalEpsilons, AreDrawnWithTheirShares) {
  constexpr int kEnvironments = 40'000;
  for (const std::vector<double>& shares : {std::vector<double>{4, 3, 3}, std::vector<double>{}, {0, 1, 0}}) {
    std::map<float, int> counts;
    for (const float epsilon : drawn_epsilons(5, kEnvironments, shares)) ++counts[epsilon];
    const double total = shares.empty() ? 3.0 : shares[0] + shares[1] + shares[2];
    const float ends[3] = {0.1f, 0.01f, 0.5f};
    for (std::size_t k = 0; k < 3; ++k) {
      const double p = (shares.empty() ? 1.0 : shares[k]) / total;
      EXPECT_NEAR(counts[ends[k]] / static_cast<double>(kEnvironments), p,
                  4.0 * std::sqrt(p * (1.0 - p) / kEnvironments));
    }
  }
}

TEST(FinalEpsilons, DependOnSeedAndEnvironmentAlone) {
  const std::vector<float> all = drawn_epsilons(5, 257, {4, 3, 3}), few = drawn_epsilons(5, 31, {4, 3, 3});
  EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin()));
  EXPECT_NE(all, drawn_epsilons(6, 257, {4, 3, 3}));
}

TEST(FinalEpsilons, SharesMustFit) {
  const std::vector<double> ends{0.1, 0.5}, one{1.0}, zeros{0.0, 0.0}, good{0.0, 1.0}, none;
  EXPECT_THROW(FinalEpsilons::check(ends, one), UsageError);
  EXPECT_THROW(FinalEpsilons::check(ends, zeros), UsageError);
  EXPECT_THROW(FinalEpsilons::check(none, one), UsageError);
  EXPECT_NO_THROW(FinalEpsilons::check(ends, good));
  EXPECT_NO_THROW(FinalEpsilons::check(ends, none));
}

// Of four rows one only resets its environment: it has no gradient and counts nowhere, whatever stands in it.
TEST(QLoss, TouchesTheTakenActionOfValidRowsOnly) {
  std::vector<std::int32_t> actions{2, 0, 1, 1};
  std::vector<float> targets{1.0f, 2.0f, NAN, -3.0f};
  std::vector<std::uint8_t> flags{kValid, kValid | kTerminated, 0, kValid | kTruncated};
  std::vector<float> outputs(64, 0.5f), d_outputs(64, 9.0f), metrics(4 * DqnRowMetrics::kSize, 9.0f);
  const std::int32_t valid_rows = 3;
  q_tile_loss(Stream::cpu(), TdLoss::kSquared, {nullptr, actions.data(), targets.data(), flags.data()},
              {outputs.data(), 16, &valid_rows, d_outputs.data(), metrics.data(), 0, 4});
  const std::vector<float> expected{(0.5f - 1.0f) / 3, (0.5f - 2.0f) / 3, 0.0f, 3.5f / 3};
  for (std::size_t r = 0; r < 4; ++r) {
    for (std::size_t j = 0; j < 16; ++j) {
      const bool taken = static_cast<std::int32_t>(j) == actions[r];
      EXPECT_FLOAT_EQ(d_outputs[r * 16 + j], taken ? expected[r] : 0.0f) << r << ' ' << j;
    }
    EXPECT_EQ(metrics[DqnRowMetrics::kCount * 4 + r], r == 2 ? 0.0f : 1.0f);
  }
}

TEST(QMinibatch, EpochsContainEveryRowOnce) {
  for (const int environments : {1, 31, 33, 257}) {
    const RingShape shape{environments, 5, 1, ObsType::kInt32, kRecord, QRolloutExtra::kSize};
    HandRing hand(shape);
    const int rows = 5 * environments;
    for (int t = 0; t < 5; ++t) {
      for (int i = 0; i < environments; ++i) {
        hand.write(t, i, {0.0f, i % 3 ? kValid : 0u});
        hand.extra(t, i)[QRolloutExtra::kReturn] = static_cast<float>(t * environments + i);
      }
    }
    Arena arena{Device{}};
    QBatch::take(shape, rows, arena);
    arena.allocate("test");
    const QBatch batch = QBatch::take(shape, rows, arena);
    const Permutation permutation({1, 2, Purpose::kPermutation}, static_cast<std::uint32_t>(rows));
    std::vector<bool> seen(static_cast<std::size_t>(rows));
    for (int m = 0; m < 2; ++m) {
      const int begin = m * rows / 2, size = (m + 1) * rows / 2 - begin;
      gather_q_minibatch(Stream::cpu(1), hand.view(), {permutation, begin, size}, batch);
      for (int k = 0; k < size; ++k) {
        const auto row = static_cast<std::size_t>(batch.target[k]);
        EXPECT_FALSE(seen[row]) << row;
        seen[row] = true;
        EXPECT_EQ(batch.flags[k] & kValid, static_cast<int>(row) % environments % 3 ? kValid : 0u);
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), rows);
  }
}

Keys small_keys(const std::string& target) {
  return {{"num_envs", "33"}, {"rollout_steps", "3"}, {"hidden", "16"}, {"target", target}, {"epsilon_start", "0.5"}};
}

std::vector<std::uint32_t> words_of(const StateBytes& state, const std::string& name) {
  const std::vector<std::byte>& bytes = state.at(name);
  std::vector<std::uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

// The value that cut the last rollout was of one action: after an update, which may prefer another, it is the next one.
TEST(Sarsa, ARolloutBeginsWithTheActionThatTheLastOneBootstrappedWith) {
  TrainingRun run("pqn", "CartPole-v1", small_keys("sarsa"));
  run.iterate(1);
  for (int iteration = 0; iteration < 5; ++iteration) {
    const std::vector<std::uint32_t> head = words_of(run.state(), "head_records");
    run.iterate(1);
    const std::vector<std::uint32_t> ring = words_of(run.state(), "ring.records");
    for (std::size_t i = 0; i < 33; ++i) EXPECT_EQ(ring[i * 4], head[i * 4]) << iteration << ' ' << i;
  }
}

TEST(Sarsa, OthersChooseAnewAndKeepNoActions) {
  TrainingRun run("pqn", "CartPole-v1", small_keys("q"));
  run.iterate(1);
  EXPECT_EQ(run.state().count("head_records"), 0u);
}

TEST(PqnTarget, IsCopiedEveryIntervalAndAveragedWithTau) {
  Keys keys = small_keys("q");
  keys.insert(keys.end(), {{"epochs", "2"}, {"minibatches", "3"}, {"target_interval", "12"}});
  TrainingRun run("pqn", "CartPole-v1", keys);
  const std::vector<float> initial = run.parameters();
  EXPECT_EQ(run.parameters("target.parameters"), initial);
  run.iterate(1);  // 6 updates
  EXPECT_EQ(run.parameters("target.parameters"), initial);
  EXPECT_NE(run.parameters(), initial);
  run.iterate(1);
  EXPECT_EQ(run.parameters("target.parameters"), run.parameters());

  keys.insert(keys.end(), {{"minibatches", "1"}, {"epochs", "1"}, {"target_interval", "1"}, {"target_tau", "0.25"}});
  TrainingRun averaged("pqn", "CartPole-v1", keys);
  averaged.iterate(1);
  const std::vector<float> online = averaged.parameters(), target = averaged.parameters("target.parameters");
  for (std::size_t i = 0; i < online.size(); ++i) {
    EXPECT_FLOAT_EQ(target[i], initial[i] + 0.25f * (online[i] - initial[i]));
  }
}

TEST(Pqn, ShapesThatDoNotFitAreRefused) {
  PqnConfig config;
  config.minibatches = 33;
  EXPECT_THROW(Pqn::check(config, 32), UsageError);
  config.minibatches = 4;
  config.epochs = 0;
  EXPECT_THROW(Pqn::check(config, 32), UsageError);
  config.epochs = 1;
  EXPECT_NO_THROW(Pqn::check(config, 32));
}

}  // namespace
}  // namespace stampede
