// SPDX-License-Identifier: Apache-2.0
// Returns of several steps of maximum entropy methods: the entropies between belong to them.
#include <gtest/gtest.h>

#include <cmath>

#include "agents/dqn_steps.h"
#include "agents/sac_discrete_steps.h"
#include "agents/sac_steps.h"
#include "agents/soft_returns.h"
#include "agents/tabular/value_iteration.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/training_run.h"
#include "train/transition_model.h"

namespace stampede {
namespace {

TEST(SoftEntropy, IsWhatTheSoftValueAddsToTheExpectedOne) {
  const float q[] = {1.0f, -0.5f, 2.0f};
  const float alpha = 0.7f, value = soft_value(q, 3, alpha);
  float expected = 0.0f, entropy = 0.0f;
  for (const float x : q) {
    const float p = std::exp((x - value) / alpha);
    expected += p * x;
    entropy -= p * std::log(p);
  }
  EXPECT_NEAR(soft_entropy(q, 3, alpha), alpha * entropy, 1e-6f);
  EXPECT_NEAR(soft_entropy(q, 3, alpha), value - expected, 1e-6f);
  const float same[] = {5.0f, 5.0f, 5.0f, 5.0f};
  EXPECT_NEAR(soft_entropy(same, 4, 0.5f), 0.5f * std::log(4.0f), 1e-6f);
}

// Entropies 1, 2, 4 ... of slots 0 ... 7; a termination in row 2, a truncation in row 5, reset rows 3 and 6.
TEST(SoftReturns, TakeInTheStatesBetween) {
  HandRing hand({1, 8, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 1});
  for (int t = 0; t < 8; ++t) {
    const std::uint32_t end = t == 2 ? kTerminated : t == 5 ? kTruncated : 0u;
    const bool reset = t == 3 || t == 6;
    std::uint32_t* const record = hand.ring().records(t);
    record[1] = float_bits(0.0f);
    record[2] = reset ? 0u : kValid | end;
    hand.extra(t, 0)[0] = static_cast<float>(1 << t);
  }
  std::int32_t indices[] = {0, 1, 2, 4, 5};
  float rewards[] = {10, 20, 30, 40, 50};
  Transitions transitions;
  transitions.indices = indices;
  transitions.rewards = rewards;
  add_entropies(Stream::cpu(), hand.view(), 3, 0.5f, {2.0f}, 5, transitions);
  EXPECT_EQ(rewards[0], 10.0f + 2 * (0.5f * 2 + 0.25f * 4));
  EXPECT_EQ(rewards[1], 20.0f + 2 * 0.5f * 4) << "nothing behind the termination";
  EXPECT_EQ(rewards[2], 30.0f);
  EXPECT_EQ(rewards[3], 40.0f + 2 * 0.5f * 32) << "what follows a truncation is in the value that bootstraps";
  EXPECT_EQ(rewards[4], 50.0f);

  const float learned = 4.0f;
  add_entropies(Stream::cpu(), hand.view(), 3, 0.5f, {.learned = &learned}, 1, transitions);
  EXPECT_EQ(rewards[0], 14.0f + 4 * (0.5f * 2 + 0.25f * 4));
}

// With a discount of 0.6 and a high temperature entropy is most of the value: without the states between, returns of
// three steps would be 40 % short.
TEST(SoftReturns, SeveralStepsLearnTheSoftValues) {
  const EnvRegistry registry = builtin_environments();
  const TransitionTable table = transition_table(registry.find("FrozenLake-v1"), {{"is_slippery", "false"}});
  const Solution exact = value_iteration(table, {.gamma = 0.6, .alpha = 0.5});
  for (const char* const steps : {"1", "3"}) {
    TrainingRun run("dqn", "FrozenLake-v1",
                    {{"env.is_slippery", "false"},
                     {"soft", "true"},
                     {"exploration", "boltzmann"},
                     {"temperature", "0.5"},
                     {"gamma", "0.6"},
                     {"n_step", steps},
                     {"loss", "squared"},
                     {"hidden", "32"},
                     {"learning_rate", "0.003"},
                     {"learning_rate_final", "0.01"},
                     {"target_interval", "20"},
                     {"learning_starts", "100"},
                     {"buffer_size", "4000"},
                     {"total_steps", "24000"}});
    run.run_to(24000);
    const std::vector<float> outputs = run.outputs_of_classes(16);
    const std::size_t stride = outputs.size() / 16;
    for (const std::size_t state : {0, 1, 4, 8}) {
      for (std::size_t a = 0; a < 4; ++a) {
        EXPECT_NEAR(outputs[state * stride + a], exact.action_values[state * 4 + a], 0.08)
            << steps << " steps, state " << state << ", action " << a;
      }
    }
  }
}

// Acts for `rows` environments with actions of `size` numbers, and returns [rows, 4 words of record, entropy].
struct Acted {
  std::vector<std::uint32_t> records;
  std::vector<float> entropies;

  Acted(const Space& space, ActMode mode, int rows)
      : records(static_cast<std::size_t>(rows) * 4), entropies(static_cast<std::size_t>(rows) + 1, 99.0f) {
    request = {
        action_code(space), RecordLayout::for_action_size(space.size), records.data(), nullptr, 1, rows - 1, 5, 7, mode,
        entropies.data()};
  }
  ActRows request;  // of environments 1 ... rows - 1
};

constexpr int kRows = 34;
const Space kTwoTorques = Space::box<2>({-1.0f, -2.0f}, {1.0f, 2.0f});

// Means and log sigmas of two dimensions by row, some log sigmas beyond their bound.
std::vector<float> outputs_of_policies() {
  std::vector<float> outputs(static_cast<std::size_t>(kRows) * 4);
  for (int r = 0; r < kRows; ++r) {
    const auto x = static_cast<float>(r % 7);
    const float row[] = {0.2f * x - 0.5f, 0.3f, 0.1f * x - 0.4f, r == 3 ? 2.5f : -0.2f * x};
    std::copy(row, row + 4, outputs.begin() + r * 4);
  }
  return outputs;
}

double squashed_log_density(double action, double mean, double log_sigma) {
  const double u = std::atanh(action), z = (u - mean) / std::exp(log_sigma);
  return -0.5 * z * z - log_sigma - 0.5 * std::log(2.0 * M_PI) - std::log(1.0 - action * action);
}

// Minus the log density of the recorded actions, computed from these in double.
TEST(RecordedEntropy, OfSquashedActionsIsTheirNegativeLogProbability) {
  const std::vector<float> outputs = outputs_of_policies();
  const SquashedOutputs policy{outputs.data(), 4, {outputs.data() + 2, 4}, 2};
  Acted acted(kTwoTorques, ActMode::kStochastic, kRows);
  act_squashed(Stream::cpu(), acted.request, policy, {});
  int compared = 0;
  for (int r = 0; r < kRows - 1; ++r) {
    const std::uint32_t* const record = acted.records.data() + (r + 1) * 4;
    const float* const row = outputs.data() + r * 4;
    double expected = 0.0;
    for (int j = 0; j < 2; ++j) {
      const double coded = static_cast<double>(bits_float(record[j])) / (j + 1);
      if (std::abs(coded) > 0.99) expected = std::nan("");  // atanh has lost too many digits
      expected -=
          squashed_log_density(coded, static_cast<double>(row[j]), std::min(2.0, static_cast<double>(row[2 + j])));
    }
    if (std::isnan(expected)) continue;
    EXPECT_NEAR(acted.entropies[static_cast<std::size_t>(r) + 1], expected, 2e-3) << r;
    ++compared;
  }
  EXPECT_GT(compared, kRows / 2);
  EXPECT_EQ(acted.entropies[0], 99.0f) << "of an environment that was not asked for";
}

TEST(RecordedEntropy, IsOfThePolicyWithoutExplorationNoise) {
  const std::vector<float> outputs = outputs_of_policies();
  SquashedOutputs policy{outputs.data(), 4, {outputs.data() + 2, 4}, 2};
  Acted plain(kTwoTorques, ActMode::kStochastic, kRows), noisy(kTwoTorques, ActMode::kExplore, kRows);
  act_squashed(Stream::cpu(), plain.request, policy, {});
  NoiseView noise{};
  noise.config = {NoiseKind::kGaussian, 0.3f};
  act_squashed(Stream::cpu(), noisy.request, policy, noise);
  EXPECT_NE(plain.records, noisy.records);
  EXPECT_EQ(plain.entropies, noisy.entropies);
}

TEST(RecordedEntropy, OfStateNoiseIsThatOfTheMarginalGaussian) {
  const std::vector<float> outputs = outputs_of_policies();
  std::vector<float> noise(static_cast<std::size_t>(kRows) * 16);
  for (int r = 0; r < kRows; ++r) {
    noise[static_cast<std::size_t>(r) * 16] = 0.05f * static_cast<float>(r % 5);
    noise[static_cast<std::size_t>(r) * 16 + 1] = -0.4f;
  }
  const SquashedOutputs policy{outputs.data(), 4, {outputs.data() + 2, 4}, 2, noise.data()};
  Acted acted(kTwoTorques, ActMode::kExplore, kRows);
  act_squashed(Stream::cpu(), acted.request, policy, {});
  for (int r = 0; r < kRows - 1; ++r) {
    double expected = 0.0;
    for (int j = 0; j < 2; ++j) {
      const auto mean = static_cast<double>(outputs[static_cast<std::size_t>(r * 4 + j)]);
      const double log_sigma = std::min(2.0, static_cast<double>(outputs[static_cast<std::size_t>(r * 4 + 2 + j)]));
      const double u = mean + static_cast<double>(noise[static_cast<std::size_t>(r * 16 + j)]);
      expected -= squashed_log_density(std::tanh(u), mean, log_sigma);
    }
    EXPECT_NEAR(acted.entropies[static_cast<std::size_t>(r) + 1], expected, 1e-4) << r;
  }
}

TEST(RecordedEntropy, OfCategoricalAndUniformActionsIsExact) {
  const std::vector<float> logits(static_cast<std::size_t>(kRows) * 4, 0.0f);
  std::vector<float> peaked = logits;
  for (std::size_t i = 0; i < peaked.size(); i += 4) peaked[i] = std::log(6.0f);  // 3/4, 1/8, 1/8
  const Space three = Space::discrete(3);
  for (const ActMode mode : {ActMode::kExplore, ActMode::kRandom}) {
    Acted acted(three, mode, kRows);
    act_categorical(Stream::cpu(), acted.request, {peaked.data(), 4, 3});
    const double entropy = mode == ActMode::kRandom ? std::log(3.0) : 0.25 * std::log(8.0) - 0.75 * std::log(0.75);
    for (std::size_t i = 1; i < kRows; ++i) EXPECT_NEAR(acted.entropies[i], entropy, 1e-6);
  }
  Acted acted(kTwoTorques, ActMode::kRandom, kRows);
  act_squashed(Stream::cpu(), acted.request, {}, {});
  for (std::size_t i = 1; i < kRows; ++i) EXPECT_NEAR(acted.entropies[i], 2.0 * std::log(2.0), 1e-6);
}

double mean_target(const std::string& algorithm, const std::string& env, const std::string& steps, const Keys& more) {
  Keys keys{{"num_envs", "4"},
            {"buffer_size", "2000"},
            {"batch_size", "64"},
            {"hidden", "16"},
            {"gamma", "0.8"},
            {"learning_starts", "200"},
            {"learning_rate", "0.005"},
            {"target_tau", "0.05"},
            {"automatic_temperature", "false"},
            {"alpha", "1"},
            {"n_step", steps}};
  keys.insert(keys.end(), more.begin(), more.end());
  TrainingRun run(algorithm, env, keys);
  run.run_to(4000);
  run.trainer().read_metrics();
  run.run_to(4400);
  for (const auto& [name, value] : run.trainer().read_metrics().values) {
    if (name == "losses/td_target") return value;
  }
  return std::nan("");
}

// Reward 1 and an entropy of log 2 in every state: Q = 1 + 0.8 (Q + log 2). Returns of three steps without the
// entropies between would have 1 + 0.8 + 0.64 + 0.512 (Q + log 2) = Q = 5.73.
TEST(SoftReturns, OfDiscreteSoftActorCriticHaveTheClosedFormValue) {
  const double value = 5.0 * (1.0 + 0.8 * std::log(2.0));
  for (const char* const steps : {"1", "3"}) {
    EXPECT_NEAR(mean_target("sac_discrete", "ConstantReward-v0", steps, {}), value, 0.2) << steps;
  }
}

// At temperature 4 most of the value is entropy: without it, returns of three steps would lose two thirds.
TEST(SoftReturns, OfSoftActorCriticDoNotDependOnTheNumberOfSteps) {
  for (const char* const value_network : {"false", "true"}) {
    const auto target = [&](const char* steps) {
      return mean_target("sac", "SquaredAction-v0", steps, {{"value_network", value_network}, {"alpha", "4"}});
    };
    const double one = target("1");
    EXPECT_GT(one, 5.0);
    EXPECT_NEAR(target("3"), one, 0.5) << value_network;
  }
}

}  // namespace
}  // namespace stampede
