// SPDX-License-Identifier: Apache-2.0
// Batch normalisation: hand-computed values, what it does to a network, its targets and a deterministic policy.
#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "agents/td3.h"
#include "agents/trainable_network.h"
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "tests/unit/actor_critic_rig.h"

namespace stampede {
namespace {

constexpr int kStride = 16;

// Two rows of sixteen columns; the first column is (1, 3), the others are zero.
struct Column {
  std::vector<float> x = std::vector<float>(2 * kStride), y = x, gain = std::vector<float>(kStride), bias = gain,
                     mean = gain, variance = gain;

  Column() {
    x[0] = 1.0f;
    x[kStride] = 3.0f;
    gain[0] = 2.0f;
    bias[0] = 0.5f;
  }
  void forward() {
    batch_norm_forward(Stream::cpu(), {x.data(), gain.data(), bias.data(), y.data(), mean.data(), variance.data(), 2,
                                       kStride, GemmActivation::kRelu});
  }
};

TEST(BatchNorm, NormalisesAColumnByItsOwnStatistics) {
  Column c;
  c.forward();
  const float n = 1.0f / std::sqrt(1.0f + 1e-5f);
  EXPECT_EQ(c.mean[0], 2.0f);
  EXPECT_EQ(c.variance[0], 1.0f);
  EXPECT_FLOAT_EQ(c.x[0], -n);
  EXPECT_FLOAT_EQ(c.x[kStride], n);
  EXPECT_EQ(c.y[0], 0.0f);  // relu(0.5 - 2 n)
  EXPECT_FLOAT_EQ(c.y[kStride], 0.5f + 2.0f * n);
  EXPECT_EQ(c.y[1], 0.0f);  // a padding column stays zero
}

TEST(BatchNorm, RunningStatisticsMoveByTheMomentumToTheUnbiasedVariance) {
  Column c;
  c.forward();
  std::vector<float> mean(kStride, 1.0f), variance(kStride, 1.0f);
  update_running_statistics(Stream::cpu(),
                            {c.mean.data(), c.variance.data(), mean.data(), variance.data(), 2, kStride});
  EXPECT_FLOAT_EQ(mean[0], 1.01f);      // 1 + 0.01 (2 - 1)
  EXPECT_FLOAT_EQ(variance[0], 1.01f);  // 1 + 0.01 (2 - 1): 1 * 2 / (2 - 1) is 2
  EXPECT_FLOAT_EQ(mean[1], 0.99f);
}

TEST(BatchNorm, InferenceUsesTheStatisticsGiven) {
  Column c;
  c.mean[0] = 2.0f;
  c.variance[0] = 4.0f;
  batch_norm_inference(Stream::cpu(), {c.x.data(), c.gain.data(), c.bias.data(), c.mean.data(), c.variance.data(), 2,
                                       kStride, GemmActivation::kLinear});
  EXPECT_NEAR(c.x[0], 0.5 - 2.0 * 0.5, 1e-5);
  EXPECT_NEAR(c.x[kStride], 0.5 + 2.0 * 0.5, 1e-5);
}

float random_value(std::uint64_t seed, std::size_t i) {
  return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

NetworkSpec normalised_spec() {
  TowerSpec tower{"actor", {33, 16}, Activation::kTanh, {{"action", 2, 1.0f}}};
  tower.batch_norm = true;
  return {3, false, {tower}};
}

// A normalised network, its parameters and one batch.
struct Batch {
  explicit Batch(int row_count)
      : network(normalised_spec()),
        rows(row_count),
        parameters(Device{}, network.spec().parameter_count()),
        gradients(Device{}, parameters.size()),
        prepared(Device{}, network.prepared_size()),
        workspace(Device{}, network.workspace_size(rows, true)),
        inputs(Device{}, static_cast<std::size_t>(rows) * 16),
        outputs(Device{}, inputs.size()),
        d_outputs(Device{}, inputs.size()),
        d_inputs(Device{}, inputs.size()) {
    network.spec().initialize(3, parameters.data());
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
      for (std::size_t k = 0; k < 3; ++k) inputs.data()[r * 16 + k] = random_value(5, r * 16 + k);
      for (std::size_t k = 0; k < 2; ++k) d_outputs.data()[r * 16 + k] = random_value(6, r * 16 + k);
    }
  }
  void forward(bool keep) {
    network.forward(stream, parameters.data(), {inputs.data(), nullptr}, rows, keep, workspace.data(), outputs.data());
  }
  double loss() {
    forward(true);
    double sum = 0.0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      sum += static_cast<double>(outputs.data()[i]) * static_cast<double>(d_outputs.data()[i]);
    }
    return sum;
  }

  Stream stream = Stream::cpu();
  MlpNetwork network;
  int rows;
  Buffer<float> parameters, gradients, prepared, workspace, inputs, outputs, d_outputs, d_inputs;
};

double central_difference(Batch& b, float& varied) {
  const float value = varied, step = 1e-2f;
  varied = value + step;
  const double above = b.loss();
  varied = value - step;
  const double below = b.loss();
  varied = value;
  return (above - below) / (2.0 * static_cast<double>(step));
}

// Through the batch's mean and variance as well; the running statistics have no gradient.
TEST(BatchNorm, GradientEqualsFiniteDifferences) {
  Batch b(31);
  b.network.prepare_backward(b.stream, b.parameters.data(), b.prepared.data());
  b.forward(true);
  b.network.backward(b.stream, b.parameters.data(), b.prepared.data(), {b.inputs.data(), nullptr}, b.rows,
                     b.d_outputs.data(), b.workspace.data(), b.gradients.data(), b.d_inputs.data());
  for (const TensorLayout& tensor : b.network.spec().tensors()) {
    const double expected = central_difference(b, b.parameters.data()[tensor.offset]);
    EXPECT_NEAR(b.gradients.data()[tensor.offset], expected, 2e-3 * (1.0 + std::fabs(expected))) << tensor.name;
  }
  for (const std::size_t i : {0ul, 17ul, 258ul}) {
    const double expected = central_difference(b, b.inputs.data()[i]);
    EXPECT_NEAR(b.d_inputs.data()[i], expected, 2e-3 * (1.0 + std::fabs(expected)));
  }
}

TEST(BatchNorm, ARowOfInferenceDependsOnTheRowAlone) {
  Batch whole(33), one(1);
  std::copy_n(whole.inputs.data() + 16 * 32, 16, one.inputs.data());
  whole.forward(false);
  one.forward(false);
  EXPECT_EQ(std::memcmp(one.outputs.data(), whole.outputs.data() + 16 * 32, 16 * sizeof(float)), 0);
  whole.forward(true);
  EXPECT_NE(one.outputs.data()[0], whole.outputs.data()[16 * 32]);
}

TEST(BatchNorm, NetworksWantTheirBatchInOnePiece) {
  const Batch b(1);
  EXPECT_EQ(b.network.preferred_rows(b.stream), 0);
  EXPECT_EQ(gradient_groups(b.stream, b.network, 4096), 1);
}

TEST(BatchNorm, OnlyStatisticsOfTheBatchMove) {
  Batch b(33);
  b.forward(true);
  const std::vector<float> before(b.parameters.data(), b.parameters.data() + b.parameters.size());
  b.network.update_statistics(b.stream, b.workspace.data(), b.rows, b.parameters.data());
  std::vector<bool> statistic(before.size());
  for (const LayerLayout& layer : b.network.spec().layers()) {
    if (!layer.batch_norm) continue;
    for (int o = 0; o < layer.out; ++o) {
      statistic[layer.norm_mean + static_cast<std::size_t>(o)] = true;
      statistic[layer.norm_variance + static_cast<std::size_t>(o)] = true;
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i] != b.parameters.data()[i], statistic[i]) << i;
}

TEST(BatchNorm, TargetsCopyStatisticsAndAverageTheRest) {
  const NetworkSpec spec = normalised_spec();
  Buffer<float> online(Device{}, spec.parameter_count()), target(Device{}, online.size());
  std::fill_n(online.data(), online.size(), 4.0f);
  follow(Stream::cpu(), spec, online.data(), target.data(), 0.25f);
  const LayerLayout& layer = spec.layers().front();
  EXPECT_EQ(target.data()[layer.weight], 1.0f);
  EXPECT_EQ(target.data()[layer.norm_gain], 1.0f);
  EXPECT_EQ(target.data()[layer.norm_mean], 4.0f);
  EXPECT_EQ(target.data()[layer.norm_variance + 32], 4.0f);
}

TEST(BatchNorm, ATowerHasOneNormalisation) {
  TowerSpec tower{"q", {16}, Activation::kRelu, {{"value", 1, 1.0f}}, true};
  tower.batch_norm = true;
  EXPECT_THROW(NetworkSpec(3, false, {tower}), UsageError);
}

using Rig = ActorCriticRig<Td3, Td3Config>;

Td3Config normalised_policy() {
  Td3Config config;
  config.batch_size = 65;
  config.network.hidden = {32, 32};
  config.batch_norm = BatchNormLayers::kActor;
  return config;
}

TEST(BatchNorm, ANormalisedPolicyFindsTheBestActionOfABandit) {
  Rig rig(normalised_policy(), Space::box<1>({-2.0f}, {2.0f}), quadratic);
  rig.learn(4000, 3e-3f, 3e-3f);
  const NetworkSpec& spec = rig.agent().actor().spec();
  ASSERT_TRUE(spec.has_batch_norm());
  EXPECT_FALSE(rig.agent().critic().network().spec().has_batch_norm());
  const float* const online = rig.agent().actor().parameters();
  const LayerLayout& layer = spec.layers().front();
  EXPECT_NE(online[layer.norm_mean], 0.0f);
  EXPECT_EQ(rig.agent().actor_target().data[layer.norm_mean], online[layer.norm_mean]);
  double error = 0.0;
  const float* const obs = static_cast<const float*>(rig.ring().obs(3));
  std::vector<std::uint32_t> records(static_cast<std::size_t>(rig.ring().shape().record.words) * Rig::kEnvironments);
  rig.agent().act(rig.stream(), {obs, records.data(), nullptr, 0, Rig::kEnvironments, 0, 0, ActMode::kGreedy});
  for (int i = 0; i < Rig::kEnvironments; ++i) {
    const float coded = 0.5f * bits_float(records[static_cast<std::size_t>(i * rig.ring().shape().record.words)]);
    error = std::max(error, static_cast<double>(std::fabs(coded - 0.5f * obs[i * 3])));
  }
  EXPECT_LT(error, 0.175);  // as without normalisation
}

TEST(BatchNorm, WeightDecayOfStatisticsIsRefused) {
  Td3Config config = normalised_policy();
  config.optimizer.weight_decay = 0.01f;
  const Space box = Space::box<1>({-1.0f}, {1.0f});
  const RingShape shape{4, 64, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 0};
  EXPECT_THROW(Td3::check(config, box, box, shape), UsageError);
  config.batch_norm = BatchNormLayers::kNone;
  EXPECT_NO_THROW(Td3::check(config, box, box, shape));
}

}  // namespace
}  // namespace stampede
