// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic: temperature, soft targets, policy gradients; exact expectations of its discrete form.
#include "agents/sac.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/sac_discrete.h"
#include "kernels/error.h"
#include "tests/unit/actor_critic_rig.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

using Rig = ActorCriticRig<Sac, SacConfig>;
using DiscreteRig = ActorCriticRig<SacDiscrete, SacDiscreteConfig>;

const Space kTorque = Space::box<1>({-2.0f}, {2.0f});

SacConfig small_config() {
  SacConfig config;
  config.batch_size = 33;
  config.network.hidden = {16, 16};
  return config;
}

float alpha_after(double mean_log_prob, float target_entropy, int updates) {
  Arena arena(Device{});
  const TemperatureConfig config{true, 0.5f, target_entropy};
  Temperature(config, {}, arena);
  arena.allocate("test");
  Temperature temperature(config, {}, arena);
  temperature.initialize(Stream::cpu());
  // Two groups of 16 rows each; another metric lies between the sums.
  const double sums[] = {20.0 * mean_log_prob, 99.0, 12.0 * mean_log_prob, 99.0};
  for (int k = 0; k < updates; ++k) temperature.update(Stream::cpu(), sums, 2, 2, 32, 0.01f);
  return *temperature.alpha();
}

TEST(Temperature, RisesWhenTheEntropyIsBelowItsTarget) {
  EXPECT_GT(alpha_after(2.0, -1.0f, 10), 0.5f);   // entropy -2
  EXPECT_LT(alpha_after(-1.0, -1.0f, 10), 0.5f);  // entropy 1
  EXPECT_NEAR(alpha_after(1.0, -1.0f, 10), 0.5f, 1e-6f);
  EXPECT_FLOAT_EQ(temperature_gradient(2.0f, -1.0f), -1.0f);
}

// Weight decay is the networks': at its target the temperature stays.
TEST(Temperature, DoesNotDecay) {
  Arena arena(Device{});
  const TemperatureConfig config{true, 0.5f, -1.0f};
  const OptimizerConfig optimizer{.weight_decay = 0.1f};
  Temperature(config, optimizer, arena);
  arena.allocate("test");
  Temperature temperature(config, optimizer, arena);
  temperature.initialize(Stream::cpu());
  const float first = *temperature.alpha();
  const double sum = 1.0;  // of log-probabilities: entropy -1
  for (int k = 0; k < 10; ++k) temperature.update(Stream::cpu(), &sum, 1, 1, 1, 0.01f);
  EXPECT_EQ(*temperature.alpha(), first);
}

TEST(Temperature, FixedStaysExactly) {
  SacConfig config = small_config();
  config.temperature = {false, 0.3f, -1.0f};
  Rig rig(config, kTorque, quadratic);
  rig.learn(5, 1e-3f, 1e-3f);
  EXPECT_EQ(*rig.agent().temperature().alpha(), 0.3f);
}

TEST(Temperature, HoldsTheEntropyAtItsTarget) {
  SacConfig config = small_config();
  config.temperature = {true, 1.0f, -1.0f};
  Rig rig(config, kTorque, quadratic);
  rig.learn(2500, 3e-3f, 3e-3f);
  rig.agent().read_metrics(rig.stream());
  rig.learn(300, 3e-3f, 3e-3f);
  EXPECT_NEAR(rig.agent().read_metrics(rig.stream()).entropy, -1.0, 0.15);
}

// A gradient of the temperature, or of the separate value function, that is not finite is the agent's failure.
TEST(Temperature, FailsTheAgent) {
  Rig rig(small_config(), kTorque, quadratic);
  rig.learn(1, 1e-3f, 1e-3f);
  EXPECT_FALSE(rig.agent().read_metrics(rig.stream()).failed);
  const float alpha = *rig.agent().temperature().alpha();
  const double not_a_number = std::nan("");
  rig.agent().temperature().update(rig.stream(), &not_a_number, 1, 1, 1, 1e-3f);
  EXPECT_TRUE(rig.agent().read_metrics(rig.stream()).failed);
  EXPECT_EQ(*rig.agent().temperature().alpha(), alpha);
}

TEST(Sac, AValueFunctionThatFailsFailsTheAgent) {
  SacConfig config = small_config();
  config.value_network = true;
  Rig rig(config, kTorque, quadratic);
  rig.learn(1, 1e-3f, 1e-3f);
  EXPECT_FALSE(rig.agent().read_metrics(rig.stream()).failed);
  TrainableNetwork& value = rig.agent().value()->network();
  value.gradients(0)[0] = std::nanf("");
  value.step(rig.stream(), 1, 1e-3f);
  EXPECT_TRUE(rig.agent().read_metrics(rig.stream()).failed);
}

TEST(DiscreteTemperature, FailsTheAgent) {
  SacDiscreteConfig config;
  config.batch_size = 33;
  config.network.hidden = {16};
  DiscreteRig rig(config, Space::discrete(2), [](const float*, const float*) { return 1.0f; });
  rig.learn(1, 1e-3f, 1e-3f);
  EXPECT_FALSE(rig.agent().read_metrics(rig.stream()).failed);
  const double not_a_number = std::nan("");
  rig.agent().temperature().update(rig.stream(), &not_a_number, 1, 1, 1, 1e-3f);
  EXPECT_TRUE(rig.agent().read_metrics(rig.stream()).failed);
}

TEST(Sac, SoftBootstrapsSubtractTheLogProbability) {
  const std::vector<float> q{5.0f, 0, 2.0f, 0};
  const float log_prob = -1.5f, alpha = 0.2f;
  float bootstrap = 0.0f;
  soft_bootstrap(Stream::cpu(), 1, {q.data(), 2, 2, 4}, &log_prob, &alpha, &bootstrap);
  EXPECT_FLOAT_EQ(bootstrap, 2.3f);
}

// The next state is worth what the target critics say, not those that learn.
TEST(Sac, BootstrapsFromTheTargetCritics) {
  const auto critics_after = [](bool other_targets) {
    Rig rig(small_config(), kTorque, quadratic);
    std::uint32_t* const records = rig.ring().records(0);
    for (int k = 0; k < Rig::kRows * Rig::kEnvironments; ++k) records[4 * k + 2] = kValid;
    const View<float> target = rig.agent().critic().target_parameters();
    if (other_targets) std::fill_n(target.data, target.size(), 0.0f);
    rig.learn(1, 1e-3f, 0.0f);
    const View<float> block = rig.agent().critic().network().parameter_block();
    return std::vector<float>(block.data, block.data + block.size());
  };
  EXPECT_EQ(critics_after(false), critics_after(false));
  EXPECT_NE(critics_after(false), critics_after(true));
}

TEST(Sac, ActorStepsRaiseTheSoftValue) {
  SacConfig config = small_config();
  config.temperature = {false, 0.05f, -1.0f};
  Rig rig(config, kTorque, quadratic);
  const auto loss = [&](int updates) {
    rig.agent().read_metrics(rig.stream());
    rig.learn(updates, 0.0f, 1e-2f);  // the critics stay as they are
    return rig.agent().read_metrics(rig.stream()).policy_loss;
  };
  rig.learn(500, 3e-3f, 0.0f);
  const double before = loss(5);
  loss(200);
  EXPECT_LT(loss(20), before - 0.2);
}

TEST(Sac, FindsTheBestActionOfABanditWithAndWithoutAValueNetwork) {
  for (const bool value_network : {false, true}) {
    SacConfig config = small_config();
    config.temperature = {false, 0.01f, -1.0f};
    config.value_network = value_network;
    Rig rig(config, kTorque, quadratic);
    rig.learn(1500, 3e-3f, 3e-3f);
    const std::vector<float> obs{0.8f, 0, 0, -0.6f, 0.5f, 0, 0.0f, 0, 0, 0.4f, 0, 0.3f};
    std::vector<std::uint32_t> records(16);
    rig.agent().act(rig.stream(), {obs.data(), records.data(), nullptr, 0, 4, 0, 0, ActMode::kGreedy});
    for (int i = 0; i < 4; ++i) {
      const std::size_t row = static_cast<std::size_t>(i);
      EXPECT_NEAR(bits_float(records[row * 4]), obs[row * 3], 0.25f) << i << value_network;
    }
    // Rewards of single steps: V(s) = max Q = 1 plus a little entropy.
    const SoftMetrics metrics = rig.agent().read_metrics(rig.stream());
    EXPECT_NEAR(-metrics.policy_loss, 1.0, 0.6);
    EXPECT_EQ(metrics.value_loss > 0.0, value_network);
  }
}

// With a variance that the features make: actions are found, the entropy is held, noise stays for its interval.
TEST(Sac, StateNoiseExploresAndLearns) {
  SacConfig config = small_config();
  config.state_noise = {true, 3, true};
  config.temperature = {true, 0.1f, -1.0f};
  Rig rig(config, kTorque, quadratic);
  rig.learn(1500, 3e-3f, 3e-3f);
  rig.agent().read_metrics(rig.stream());
  rig.learn(300, 3e-3f, 3e-3f);
  EXPECT_NEAR(rig.agent().read_metrics(rig.stream()).entropy, -1.0, 0.2);
  const std::vector<float> obs{0.8f, 0, 0, -0.6f, 0.5f, 0, 0.8f, 0, 0, 0.4f, 0, 0.3f};
  const auto act = [&](ActMode mode, std::uint64_t row) {
    std::vector<std::uint32_t> records(16);
    rig.agent().act(rig.stream(), {obs.data(), records.data(), nullptr, 0, 4, row, 0, mode});
    return std::vector<std::uint32_t>{records[0], records[4], records[8], records[12]};
  };
  const auto greedy = act(ActMode::kGreedy, 0), explored = act(ActMode::kExplore, 0);
  EXPECT_NEAR(bits_float(greedy[0]), 0.8f, 0.3f);
  EXPECT_NEAR(bits_float(greedy[1]), -0.6f, 0.3f);
  EXPECT_EQ(act(ActMode::kExplore, 2), explored);
  EXPECT_EQ(greedy[0], greedy[2]);
  EXPECT_NE(explored[0], explored[2]);  // the same observation in another environment
  const auto later = act(ActMode::kExplore, 3);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NE(explored[i], greedy[i]);
    EXPECT_NE(explored[i], later[i]);
  }
}

TEST(Sac, NetworksStartApart) {
  Rig rig(small_config(), kTorque, quadratic);
  const NetworkSpec& critic = rig.agent().critic().network().spec();
  const float* const w = rig.agent().critic().network().parameters();
  EXPECT_NE(w[critic.layers()[0].weight], w[critic.layers()[3].weight]);
  EXPECT_NE(w[critic.layers()[0].weight], rig.agent().actor().parameters()[0]);
}

TEST(Sac, TwoThreadsLearnTheSameBits) {
  SacConfig config = small_config();
  config.batch_size = 257;
  Rig one(config, kTorque, quadratic, 1), two(config, kTorque, quadratic, 2);
  for (Rig* rig : {&one, &two}) rig->learn(5, 1e-3f, 1e-3f);
  const View<float> a = one.agent().actor().parameter_block(), b = two.agent().actor().parameter_block();
  EXPECT_EQ(std::vector<float>(a.data, a.data + a.size()), std::vector<float>(b.data, b.data + b.size()));
}

// The loss of a three-armed bandit by enumeration, differentiated numerically.
TEST(SacDiscrete, TheGradientIsTheExactOneOfABandit) {
  const std::vector<float> logits{0.4f, -0.7f, 1.1f}, q{1.0f, 3.0f, -0.5f};
  const double alpha = 0.3;
  const auto loss = [&](const std::vector<double>& z) {
    double sum = 0.0, total = 0.0;
    for (const double x : z) sum += std::exp(x);
    for (std::size_t a = 0; a < 3; ++a) {
      const double p = std::exp(z[a]) / sum;
      total += p * (alpha * std::log(p) - static_cast<double>(q[a]));
    }
    return total;
  };
  std::vector<float> d_logits(3), metrics(SacRowMetrics::kSize);
  discrete_policy_gradient(logits.data(), q.data(), 3, 0.3f, 1.0f, d_logits.data(), metrics.data());
  const std::vector<double> z(logits.begin(), logits.end());
  EXPECT_NEAR(metrics[SacRowMetrics::kPolicyLoss], loss(z), 1e-6);
  EXPECT_NEAR(expected_soft_value(logits.data(), q.data(), 3, 0.3f), -loss(z), 1e-6);
  for (std::size_t j = 0; j < 3; ++j) {
    std::vector<double> up = z, down = z;
    up[j] += 1e-5;
    down[j] -= 1e-5;
    EXPECT_NEAR(d_logits[j], (loss(up) - loss(down)) / 2e-5, 1e-6) << j;
  }
}

TEST(SacDiscrete, TakesTheSmallerCriticActionByAction) {
  // Two critics of three actions, stride 4: minima are 1, 2, 0.
  const std::vector<float> q{1, 5, 3, 0, 4, 2, 0, 0}, logits{0, 0, 0, 0};
  const float alpha = 0.0f;
  float bootstrap = 0.0f;
  expected_bootstrap(Stream::cpu(), 1, {logits.data(), 4, 3}, {q.data(), 2, 4, 8}, &alpha, &bootstrap);
  EXPECT_NEAR(bootstrap, 1.0f, 1e-6f);
}

TEST(SacDiscrete, FindsTheBestAction) {
  SacDiscreteConfig config;
  config.batch_size = 33;
  config.network.hidden = {16, 16};
  config.temperature = {false, 0.02f, 0.0f};
  DiscreteRig rig(config, Space::discrete(3),
                  [](const float* obs, const float* action) { return action[obs[0] > 0.0f ? 0 : 2]; });
  rig.learn(1000, 3e-3f, 3e-3f);
  const std::vector<float> obs{0.8f, 0, 0, -0.6f, 0.5f, 0, 0.5f, 0, 0, -0.9f, 0, 0.3f};
  std::vector<std::uint32_t> records(16);
  rig.agent().act(rig.stream(), {obs.data(), records.data(), nullptr, 0, 4, 0, 0, ActMode::kGreedy});
  EXPECT_EQ((std::vector<std::uint32_t>{records[0], records[4], records[8], records[12]}),
            (std::vector<std::uint32_t>{0, 2, 0, 2}));
}

TEST(OffPolicyTrainers, RefuseWhatDoesNotFit) {
  const auto refusal = [](const std::string& algorithm, const std::string& env, const Keys& keys) -> std::string {
    try {
      TrainingRun(algorithm, env, keys);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  for (const char* algorithm : {"sac", "td3"}) {
    EXPECT_NE(refusal(algorithm, "Pendulum-v1", {{"buffer_size", "64"}, {"batch_size", "65"}}).find("ring of 64"),
              std::string::npos);
  }
  EXPECT_NE(refusal("ddpg", "FrozenLake-v1", {}).find("Box observations"), std::string::npos);
  EXPECT_EQ(refusal("sac_discrete", "FrozenLake-v1", {{"buffer_size", "640"}, {"batch_size", "64"}}), "accepted");
}

}  // namespace
}  // namespace stampede
