// SPDX-License-Identifier: Apache-2.0
// Deterministic policy gradients: target actions, delays, the gradient through the critic, Gumbel-softmax actions.
#include "agents/td3.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "tests/unit/actor_critic_rig.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

using Rig = ActorCriticRig<Td3, Td3Config>;

Td3Config small_config() {
  Td3Config config;
  config.batch_size = 33;
  config.network.hidden = {16, 16};
  return config;
}

const Space kTorque = Space::box<1>({-2.0f}, {2.0f});

TEST(ActionCode, ScalesBoxesAndNamesDiscreteActions) {
  const ActionCode box = action_code(Space::box<2>({-2.0f, 0.0f}, {2.0f, 10.0f}));
  std::vector<std::uint32_t> words(kMaxSpaceSize);
  std::vector<float> coded{0.25f, -1.0f};
  box.write(coded.data(), words.data());
  EXPECT_EQ(bits_float(words[0]), 0.5f);
  EXPECT_EQ(bits_float(words[1]), 0.0f);
  coded = {3.0f, 1.0f};  // clipped to the bounds
  box.write(coded.data(), words.data());
  EXPECT_EQ(bits_float(words[0]), 2.0f);
  EXPECT_EQ(bits_float(words[1]), 10.0f);
  box.read(words.data(), coded.data());
  EXPECT_EQ(coded[0], 1.0f);
  EXPECT_EQ(coded[1], 1.0f);

  const ActionCode choice = action_code(Space::discrete(3));
  std::vector<float> one_hot{0.1f, 0.7f, 0.2f};
  choice.write(one_hot.data(), words.data());
  EXPECT_EQ(words[0], 1u);
  choice.read(words.data(), one_hot.data());
  EXPECT_EQ(one_hot, (std::vector<float>{0, 1, 0}));
  EXPECT_THROW(action_code(Space::box<1>({-INFINITY}, {1.0f})), UsageError);
}

// Every sample has noise of its own; the sum stays within the bounds.
TEST(TargetSmoothing, NoiseIsIndependentClippedAndBounded) {
  constexpr int kRows = 20'000;
  const ActionCode code = action_code(kTorque);
  std::vector<float> outputs(static_cast<std::size_t>(kRows) * 16), rows(static_cast<std::size_t>(kRows) * 16);
  const CriticRows out{rows.data(), 16, code};
  const auto choose = [&](float pre_tanh, const SmoothingConfig& smoothing) {
    for (int r = 0; r < kRows; ++r) outputs[static_cast<std::size_t>(r) * 16] = pre_tanh;
    choose_target_actions(Stream::cpu(), kRows, {{outputs.data(), 16}, {1, 2, Purpose::kTargetAction}, 0, out, 3},
                          smoothing);
  };
  choose(0.0f, {0.2f, 0.5f});
  double squares = 0.0;
  std::set<float> distinct;
  float largest = 0.0f;
  for (int r = 0; r < kRows; ++r) {
    const float a = rows[static_cast<std::size_t>(r) * 16 + 3];
    squares += static_cast<double>(a) * static_cast<double>(a) / kRows;
    distinct.insert(a);
    largest = std::max(largest, std::abs(a));
  }
  EXPECT_NEAR(std::sqrt(squares), 0.2, 0.005);
  EXPECT_EQ(largest, 0.5f);
  EXPECT_GT(distinct.size(), static_cast<std::size_t>(kRows) * 9 / 10);

  choose(3.0f, {0.2f, 0.5f});
  for (int r = 0; r < kRows; ++r) ASSERT_LE(std::abs(rows[static_cast<std::size_t>(r) * 16 + 3]), 1.0f);
  choose(0.7f, {0.0f, 0.5f});
  EXPECT_EQ(rows[3], tanh_of(0.7f));
}

TEST(Td3, ATargetIsTheSmallerOfTwoCritics) {
  const std::vector<float> q{5.0f, 0, 0, 0, 2.0f, 0, 0, 0, -1.0f, 0, 0, 0, 3.0f, 0, 0, 0};
  float bootstrap[2];
  smallest_values(Stream::cpu(), 2, {q.data(), 2, 4, 8}, bootstrap);
  EXPECT_EQ(bootstrap[0], 2.0f);
  EXPECT_EQ(bootstrap[1], -1.0f);
  smallest_values(Stream::cpu(), 2, {q.data(), 1, 4, 8}, bootstrap);
  EXPECT_EQ(bootstrap[0], 5.0f);
}

TEST(CriticLoss, PullsBothCriticsToOneTarget) {
  const std::vector<float> q{2.0f, 0, 5.0f, 0};
  std::vector<float> d_q(4), metrics(CriticRowMetrics::kSize);
  critic_gradient(q.data(), 2, 2, 3.0f, 0.5f, d_q.data(), metrics.data());
  EXPECT_EQ(d_q, (std::vector<float>{-0.5f, 0, 1.0f, 0}));
  EXPECT_EQ(metrics[CriticRowMetrics::kLoss], 2.5f);
  EXPECT_EQ(metrics[CriticRowMetrics::kQ], 3.5f);
  EXPECT_EQ(metrics[CriticRowMetrics::kAbsoluteError], 1.5f);
}

// After a termination the target is the reward exactly, whatever the target networks say.
TEST(CriticLoss, TerminationsAreNotBootstrapped) {
  const std::vector<float> q(16, 0.0f);
  const float reward = 0.1f, discount = 0.0f, bootstrap = 1e30f;
  std::vector<float> d_q(16), metrics(CriticRowMetrics::kSize);
  critic_tile_loss(Stream::cpu(),
                   {{q.data(), 1, 16, 16}, &reward, &discount, &bootstrap, 1, 1.0f, d_q.data(), metrics.data()});
  EXPECT_EQ(metrics[CriticRowMetrics::kTarget], reward);
  EXPECT_EQ(d_q[0], -reward);
}

TEST(Td3, PolicyAndTargetsMoveEveryDelayUpdatesOnly) {
  Rig rig(small_config(), kTorque, quadratic);
  const auto copy = [](const View<float>& view) { return std::vector<float>(view.data, view.data + view.size()); };
  std::vector<float> actor = copy(rig.agent().actor().parameter_block());
  std::vector<float> target = copy(rig.agent().critic().target_parameters());
  std::vector<float> actor_target = copy(rig.agent().actor_target());
  EXPECT_EQ(target, copy(rig.agent().critic().network().parameter_block()));
  EXPECT_EQ(actor_target, actor);
  for (int update = 1; update <= 10; ++update) {
    rig.learn(1, 1e-3f, 1e-3f);
    EXPECT_EQ(copy(rig.agent().actor_target()) != actor_target, update % 2 == 0) << update;
    actor_target = copy(rig.agent().actor_target());
    const bool moved = copy(rig.agent().actor().parameter_block()) != actor;
    EXPECT_EQ(moved, update % 2 == 0) << update;
    EXPECT_EQ(copy(rig.agent().critic().target_parameters()) != target, update % 2 == 0) << update;
    actor = copy(rig.agent().actor().parameter_block());
    target = copy(rig.agent().critic().target_parameters());
  }
  const Td3Metrics metrics = rig.agent().read_metrics(rig.stream());
  EXPECT_EQ(metrics.critic_steps, 10);
  EXPECT_EQ(metrics.actor_steps, 5);
}

TEST(Td3, TargetsMoveByTau) {
  Td3Config config = small_config();
  config.policy_delay = 1;
  config.tau = 0.005f;
  Rig rig(config, kTorque, quadratic);
  rig.learn(3, 1e-3f, 1e-3f);
  const View<float> online = rig.agent().critic().network().parameter_block();
  const View<float> target = rig.agent().critic().target_parameters();
  std::fill_n(online.data, online.size(), 1.0f);
  std::fill_n(target.data, target.size(), 0.0f);
  rig.agent().critic().update_target(rig.stream(), 0.005f);
  EXPECT_NEAR(target.data[7], 0.005, 1e-9);
  rig.agent().critic().update_target(rig.stream(), 0.005f);
  EXPECT_NEAR(target.data[7], 0.009975, 1e-9);
}

TEST(Td3, ActorStepsRaiseTheCriticsValue) {
  Td3Config config = small_config();
  config.policy_delay = 1;
  Rig rig(config, kTorque, quadratic);
  const auto mean_q = [&](int updates) {
    rig.agent().read_metrics(rig.stream());
    rig.learn(updates, 0.0f, 1e-2f);  // the critics stay as they are
    return -rig.agent().read_metrics(rig.stream()).policy_loss;
  };
  rig.learn(500, 3e-3f, 0.0f);
  const double before = mean_q(1);
  mean_q(200);
  EXPECT_GT(mean_q(20), before + 0.03);
}

// The critics learn rewards of single steps, the actor their maximum.
TEST(Td3, FindsTheBestActionOfABandit) {
  Rig rig(small_config(), kTorque, quadratic);
  rig.learn(4000, 3e-3f, 3e-3f);
  const std::vector<float> obs{0.8f, 0, 0, -0.6f, 0.5f, 0, 0.0f, 0, 0, 0.4f, 0, 0.3f};
  std::vector<std::uint32_t> records(16);
  rig.agent().act(rig.stream(), {obs.data(), records.data(), nullptr, 0, 4, 0, 0, ActMode::kGreedy});
  for (int i = 0; i < 4; ++i) {
    const std::size_t row = static_cast<std::size_t>(i);
    EXPECT_NEAR(bits_float(records[row * 4]), obs[row * 3], 0.35f) << i;  // twice half of it
  }
}

// d tanh = 1 - a^2, plus the derivative of penalty * mean square of the outputs, which lives on where tanh is flat.
TEST(Td3, TheSaturationPenaltyActsBeforeTanh) {
  std::vector<float> outputs(32), features(32), d_features(32), d_outputs(32, 7.0f);
  outputs[0] = 0.5f;
  outputs[16] = 12.0f;
  features[3] = 0.8f;   // an action
  features[19] = 1.0f;  // another, where tanh is flat
  d_features[3] = -2.0f;
  d_features[19] = -2.0f;
  const ActionCode code = action_code(kTorque);
  const auto differentiate = [&](float penalty) {
    td3_policy_gradient(Stream::cpu(1), 2,
                        {{outputs.data(), 16},
                         {features.data(), 16, code},
                         nullptr,
                         d_features.data(),
                         3,
                         1.0f,
                         penalty,
                         0.25f,
                         d_outputs.data()});
  };
  differentiate(0.0f);
  EXPECT_FLOAT_EQ(d_outputs[0], -2.0f * 0.36f);
  EXPECT_EQ(d_outputs[16], 0.0f);
  differentiate(0.01f);
  EXPECT_FLOAT_EQ(d_outputs[0], -2.0f * 0.36f + 2.0f * 0.01f * 0.25f * 0.5f);
  EXPECT_FLOAT_EQ(d_outputs[16], 2.0f * 0.01f * 0.25f * 12.0f);
  EXPECT_EQ(d_outputs[1], 0.0f) << "padding";
}

// backward() without weight gradients gives the same dQ/da, which equals finite differences.
TEST(Td3, TheCriticsActionGradientEqualsFiniteDifferences) {
  Rig rig(small_config(), kTorque, quadratic);
  rig.learn(20, 1e-3f, 1e-3f);
  const TrainableNetwork& critic = rig.agent().critic().network();
  const NetworkSpec& spec = critic.spec();
  const int rows = 7, stride = spec.input_stride(), width = spec.output_stride();
  const auto floats = [](std::size_t n) { return Buffer<float>(Device{}, n); };
  const Buffer<float> x = floats(static_cast<std::size_t>(rows * stride)),
                      d_x = floats(static_cast<std::size_t>(rows * stride));
  const Buffer<float> with = floats(static_cast<std::size_t>(rows * stride)),
                      gradients = floats(spec.parameter_count());
  const Buffer<float> y = floats(static_cast<std::size_t>(rows * width)),
                      d_y = floats(static_cast<std::size_t>(rows * width));
  const Buffer<float> workspace = floats(critic.network().workspace_size(rows, true));
  std::fill_n(x.data(), x.size(), 0.0f);
  std::fill_n(d_y.data(), d_y.size(), 0.0f);
  std::fill_n(gradients.data(), gradients.size(), 0.0f);
  for (int r = 0; r < rows; ++r) {
    for (int k = 0; k < 4; ++k) x.data()[r * stride + k] = 0.2f * static_cast<float>((r * 5 + k * 3) % 9) - 0.8f;
    d_y.data()[r * width] = 1.0f;
    d_y.data()[r * width + width / 2] = -0.5f;
  }
  const auto forward = [&](bool keep) {
    critic.network().forward(rig.stream(), critic.parameters(), {x.data(), nullptr}, rows, keep, workspace.data(),
                             y.data());
  };
  for (const bool weights : {false, true}) {
    forward(true);
    critic.network().backward(rig.stream(), critic.parameters(), critic.prepared(), {x.data(), nullptr}, rows,
                              d_y.data(), workspace.data(), weights ? gradients.data() : nullptr,
                              weights ? with.data() : d_x.data());
  }
  for (int r = 0; r < rows; ++r) {
    float* const action = x.data() + r * stride + 3;
    const float kept = *action;
    const auto value = [&](float a) {
      *action = a;
      forward(false);
      return static_cast<double>(y.data()[r * width]) - 0.5 * static_cast<double>(y.data()[r * width + width / 2]);
    };
    const double numeric = (value(kept + 2e-3f) - value(kept - 2e-3f)) / 4e-3;
    *action = kept;
    EXPECT_NEAR(d_x.data()[r * stride + 3], numeric, 2e-3) << r;
    EXPECT_EQ(d_x.data()[r * stride + 3], with.data()[r * stride + 3]);
  }
}

TEST(GumbelSoftmax, SamplesFollowTheSoftmax) {
  constexpr int kRows = 60'000;
  const ActionCode code = action_code(Space::discrete(3));
  std::vector<float> outputs(static_cast<std::size_t>(kRows) * 16), rows(static_cast<std::size_t>(kRows) * 16),
      softened(static_cast<std::size_t>(kRows) * 3);
  const std::vector<double> p{0.2, 0.5, 0.3};
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < 3; ++j) outputs[r * 16 + j] = static_cast<float>(std::log(p[j]));
  }
  choose_policy_actions(Stream::cpu(), kRows,
                        {{outputs.data(), 16}, {1, 2, Purpose::kPolicyAction}, 0, {rows.data(), 16, code}, 4}, 0.5f,
                        softened.data());
  std::vector<int> counts(3);
  for (std::size_t r = 0; r < kRows; ++r) {
    float sum = 0.0f, soft = 0.0f;
    for (std::size_t j = 0; j < 3; ++j) {
      counts[j] += rows[r * 16 + 4 + j] == 1.0f;
      sum += rows[r * 16 + 4 + j];
      soft += softened[r * 3 + j];
    }
    ASSERT_EQ(sum, 1.0f);
    ASSERT_NEAR(soft, 1.0f, 1e-5f);
    // The softened row points to the one-hot action.
    ASSERT_EQ(rows[r * 16 + 4 + static_cast<std::size_t>(argmax(softened.data() + r * 3, 3))], 1.0f);
  }
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(counts[j] / static_cast<double>(kRows), p[j], 0.01) << j;
}

TEST(GumbelSoftmax, GradientEqualsFiniteDifferences) {
  const std::vector<float> logits{0.3f, -1.0f, 0.8f}, d_action{0.5f, -2.0f, 1.0f};
  const float temperature = 0.7f;
  const auto loss = [&](std::vector<float> x) {
    soften(x.data(), 3, temperature);
    double sum = 0.0;
    for (std::size_t j = 0; j < 3; ++j) sum += static_cast<double>(x[j] * d_action[j]);
    return sum;
  };
  std::vector<float> p = logits, d_logits(3);
  soften(p.data(), 3, temperature);
  softened_gradient(p.data(), d_action.data(), 3, temperature, d_logits.data());
  for (std::size_t j = 0; j < 3; ++j) {
    std::vector<float> up = logits, down = logits;
    up[j] += 1e-2f;
    down[j] -= 1e-2f;
    EXPECT_NEAR(d_logits[j], (loss(up) - loss(down)) / 2e-2, 1e-3) << j;
  }
}

// L = -sum_j a_j Q(s, e_j): its derivative by a_j is -Q(s, e_j), whatever the critic says between the corners.
TEST(GumbelSoftmax, RelaxedActionsAreWorthTheirCorners) {
  constexpr int kRows = 2, kActions = 3, kObs = 2, kStride = 16;
  const ActionCode code = action_code(Space::discrete(kActions));
  std::vector<float> features(kRows * kStride, 9.0f), slopes(kRows * kStride, 0.0f);
  const std::vector<float> softened{0.2f, 0.3f, 0.5f, 1.0f, 0.0f, 0.0f};
  const std::vector<float> values{1.0f, -2.0f, 4.0f, 0.5f, 8.0f, 3.0f};  // [rows, actions]
  std::vector<float> metrics(Td3RowMetrics::kSize * kRows, 7.0f);
  for (int j = 0; j < kActions; ++j) {
    const LinearExtension e{{features.data(), kStride, code}, softened.data(), slopes.data(), kObs, j};
    write_one_hot_actions(Stream::cpu(), kRows, e);
    for (int k = 0; k < kActions; ++k) EXPECT_EQ(features[kStride + kObs + k], k == j ? 1.0f : 0.0f);
    const std::vector<float> q{values[j], values[kActions + j]};
    linear_extension_loss(Stream::cpu(), kRows, e, {q.data(), 1, 1, 1}, 0.5f, metrics.data());
  }
  EXPECT_EQ(features[1], 9.0f);  // the observation stays
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kActions; ++j) EXPECT_EQ(slopes[r * kStride + kObs + j], -0.5f * values[r * kActions + j]);
  }
  EXPECT_FLOAT_EQ(metrics[Td3RowMetrics::kPolicyLoss * kRows], -(0.2f * 1 + 0.3f * -2 + 0.5f * 4));
  EXPECT_FLOAT_EQ(metrics[Td3RowMetrics::kPolicyLoss * kRows + 1], -0.5f);
}

TEST(GumbelSoftmax, FindsTheBestDiscreteAction) {
  Td3Config config = small_config();
  config.critics = 1;
  config.policy_delay = 1;
  Rig rig(config, Space::discrete(3), [](const float* obs, const float* action) {
    return action[obs[0] > 0.0f ? 0 : 2];  // one for the first or the last action
  });
  rig.learn(1500, 3e-3f, 1e-3f);
  const std::vector<float> obs{0.8f, 0, 0, -0.6f, 0.5f, 0, 0.5f, 0, 0, -0.9f, 0, 0.3f};
  std::vector<std::uint32_t> records(16);
  rig.agent().act(rig.stream(), {obs.data(), records.data(), nullptr, 0, 4, 0, 0, ActMode::kGreedy});
  EXPECT_EQ((std::vector<std::uint32_t>{records[0], records[4], records[8], records[12]}),
            (std::vector<std::uint32_t>{0, 2, 0, 2}));
}

TEST(Td3Trainer, NoiseIsPartOfTheStateAndRestartsWithEpisodes) {
  TrainingRun run("td3", "SquaredAction-v0",
                  {{"num_envs", "3"},
                   {"buffer_size", "300"},
                   {"batch_size", "32"},
                   {"hidden", "16"},
                   {"noise", "ornstein_uhlenbeck"},
                   {"warmup", "policy"},
                   {"learning_starts", "1000"}});
  const auto* const noise = static_cast<const float*>(run.block("noise").data);
  for (int row = 0; row < 23; ++row) {
    run.iterate(1);
    // Rows 7 and 15 reset: seven steps and the reset row.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(noise[i] == 0.0f, row % 8 == 7) << row;
  }
  EXPECT_NE(noise[0], noise[1]);
}

}  // namespace
}  // namespace stampede
