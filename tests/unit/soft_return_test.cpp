// SPDX-License-Identifier: Apache-2.0
// Soft Q-learning with returns of several steps: the entropies between belong to them.
#include <gtest/gtest.h>

#include <cmath>

#include "agents/dqn_steps.h"
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
  add_entropies(Stream::cpu(), hand.view(), 3, 0.5f, 2.0f, 5, transitions);
  EXPECT_EQ(rewards[0], 10.0f + 2 * (0.5f * 2 + 0.25f * 4));
  EXPECT_EQ(rewards[1], 20.0f + 2 * 0.5f * 4) << "nothing behind the termination";
  EXPECT_EQ(rewards[2], 30.0f);
  EXPECT_EQ(rewards[3], 40.0f + 2 * 0.5f * 32) << "what follows a truncation is in the value that bootstraps";
  EXPECT_EQ(rewards[4], 50.0f);
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

}  // namespace
}  // namespace stampede
