// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/mlp_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

float random_value(std::uint64_t seed, std::size_t i) {
  return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

NetworkSpec two_towers(Activation activation = Activation::kTanh, bool layer_norm = false) {
  return {5,
          false,
          {{"actor", {33, 17}, activation, {{"policy", 3, 0.01f}, {"extra", 2, 1.0f}}, layer_norm},
           {"critic", {31}, activation, {{"value", 1, 1.0f}}}},
          {{"log_sigma", 3, -0.5f}}};
}

// A network with a batch of its own.
struct Fixture {
  Fixture(NetworkSpec spec, int row_count)
      : network(std::move(spec)),
        rows(row_count),
        parameters(Device{}, network.spec().parameter_count()),
        gradients(Device{}, parameters.size()),
        prepared(Device{}, network.prepared_size()),
        workspace(Device{}, network.workspace_size(rows, true)),
        inputs(Device{}, static_cast<std::size_t>(rows * network.spec().input_stride())),
        d_inputs(Device{}, inputs.size()),
        outputs(Device{}, static_cast<std::size_t>(rows * network.spec().output_stride())),
        d_outputs(Device{}, outputs.size()) {
    network.spec().initialize(3, parameters.data());
    for (const TensorLayout& t : network.spec().tensors()) {  // no zero biases, no tiny heads
      for (int r = 0; r < t.rows; ++r) {
        float& value = parameters.data()[t.offset + static_cast<std::size_t>(r) * t.row_stride];
        value += 0.3f * random_value(11, t.offset + static_cast<std::size_t>(r));
      }
    }
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < network.spec().input_size() && !network.spec().one_hot(); ++c) {
        inputs.data()[r * network.spec().input_stride() + c] = random_value(5, static_cast<std::size_t>(r * 100 + c));
      }
      for (const HeadLayout& head : network.spec().heads()) {
        for (int c = head.column; c < head.column + head.size; ++c) {
          d_outputs.data()[r * network.spec().output_stride() + c] =
              random_value(6, static_cast<std::size_t>(r * 100 + c));
        }
      }
      classes.push_back((r * 5) % network.spec().input_size());
    }
  }
  NetworkInput input(int row = 0) const {
    if (network.spec().one_hot()) return {nullptr, classes.data() + row};
    return {inputs.data() + row * network.spec().input_stride(), nullptr};
  }
  void forward(int row, int count, bool keep, float* out) {
    network.forward(stream, parameters.data(), input(row), count, keep, workspace.data(),
                    out + row * network.spec().output_stride());
  }
  void backward(int row, int count, bool with_inputs) {
    network.backward(stream, parameters.data(), prepared.data(), input(row), count,
                     d_outputs.data() + row * network.spec().output_stride(), workspace.data(), gradients.data(),
                     with_inputs ? d_inputs.data() + row * network.spec().input_stride() : nullptr);
  }
  void run(bool with_inputs) {
    network.prepare_backward(stream, parameters.data(), prepared.data());
    forward(0, rows, true, outputs.data());
    backward(0, rows, with_inputs);
  }

  Stream stream = Stream::cpu();
  MlpNetwork network;
  int rows;
  Buffer<float> parameters, gradients, prepared, workspace, inputs, d_inputs, outputs, d_outputs;
  std::vector<std::int32_t> classes;
};

// Over the layer's own neurons: their number says nothing of padding.
void normalize_in_double(const LayerLayout& layer, const std::vector<double>& parameters, std::vector<double>& y) {
  double mean = 0.0, variance = 0.0;
  for (const double value : y) mean += value / static_cast<double>(y.size());
  for (const double value : y) variance += (value - mean) * (value - mean) / static_cast<double>(y.size());
  for (std::size_t o = 0; o < y.size(); ++o) {
    y[o] =
        (y[o] - mean) / std::sqrt(variance + 1e-5) * parameters[layer.norm_gain + o] + parameters[layer.norm_bias + o];
  }
}

// sum(d_outputs * outputs) in double from the spec's tensors alone: the loss whose gradient backward() gives.
double loss_in_double(const Fixture& f, const std::vector<double>& parameters, const std::vector<double>& inputs) {
  const NetworkSpec& spec = f.network.spec();
  double loss = 0.0;
  for (int row = 0; row < f.rows; ++row) {
    const auto begin = inputs.begin() + row * spec.input_stride();
    const std::vector<double> features(begin, begin + spec.input_size());
    std::vector<double> x;
    int column = 0;
    for (std::size_t l = 0; l < spec.layers().size(); ++l) {
      const LayerLayout& layer = spec.layers()[l];
      if (l == 0 || spec.layers()[l - 1].tower != layer.tower) x = features;
      std::vector<double> y(static_cast<std::size_t>(layer.out));
      for (int o = 0; o < layer.out; ++o) {
        double sum = parameters[layer.bias + static_cast<std::size_t>(o)];
        for (int k = 0; k < layer.in; ++k) {
          sum += x[static_cast<std::size_t>(k)] *
                 parameters[layer.weight + static_cast<std::size_t>(k * layer.out_stride + o)];
        }
        y[static_cast<std::size_t>(o)] = sum;
      }
      if (layer.layer_norm) normalize_in_double(layer, parameters, y);
      for (double& value : y) {
        if (layer.activation == Activation::kTanh) value = std::tanh(value);
        if (layer.activation == Activation::kRelu) value = value > 0.0 ? value : 0.0;
      }
      x = y;
      if (l + 1 < spec.layers().size() && spec.layers()[l + 1].tower == layer.tower) continue;
      for (int o = 0; o < layer.out; ++o) {
        loss += x[static_cast<std::size_t>(o)] *
                static_cast<double>(f.d_outputs.data()[row * spec.output_stride() + column + o]);
      }
      column += layer.out_stride;
    }
  }
  return loss;
}

double difference(const Fixture& f, std::vector<double>& varied, std::size_t i, const std::vector<double>& parameters,
                  const std::vector<double>& inputs) {
  const double step = 1e-6, value = varied[i];
  varied[i] = value + step;
  const double above = loss_in_double(f, parameters, inputs);
  varied[i] = value - step;
  const double below = loss_in_double(f, parameters, inputs);
  varied[i] = value;
  return (above - below) / (2.0 * step);
}

// Of every parameter and input; padding has no gradient.
void check_gradients(Fixture& f) {
  f.run(true);
  std::vector<double> parameters(f.parameters.data(), f.parameters.data() + f.parameters.size());
  std::vector<double> inputs(f.inputs.data(), f.inputs.data() + f.inputs.size());
  std::set<std::size_t> logical;
  for (const TensorLayout& t : f.network.spec().tensors()) {
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < std::max(t.columns, 1); ++c) {
        const std::size_t i =
            t.offset + static_cast<std::size_t>(r) * t.row_stride + static_cast<std::size_t>(c) * t.column_stride;
        ASSERT_TRUE(logical.insert(i).second) << t.name << " overlaps another tensor";
        const double expected = difference(f, parameters, i, parameters, inputs);
        ASSERT_NEAR(f.gradients.data()[i], expected, 2e-5 * (1.0 + std::fabs(expected))) << t.name;
      }
    }
  }
  EXPECT_EQ(logical.size(), f.network.spec().logical_parameter_count());
  for (std::size_t i = 0; i < f.gradients.size(); ++i) {
    if (logical.count(i) == 0) {
      ASSERT_EQ(f.gradients.data()[i], 0.0f) << "padding " << i;
    }
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool inside = i % 16 < 5;
    const double expected = inside ? difference(f, inputs, i, parameters, inputs) : 0.0;
    ASSERT_NEAR(f.d_inputs.data()[i], expected, 2e-5 * (1.0 + std::fabs(expected)));
  }
}

TEST(MlpNetwork, GradientEqualsFiniteDifferences) {
  for (const Activation activation : {Activation::kTanh, Activation::kRelu, Activation::kLinear}) {
    for (const bool layer_norm : {false, true}) {
      SCOPED_TRACE(layer_norm ? "with layer normalisation" : "plain");
      Fixture f(two_towers(activation, layer_norm), 7);
      check_gradients(f);
    }
  }
}

// An actor's pass through a critic wants the derivatives of the inputs alone.
TEST(MlpNetwork, WithoutWeightGradientsTheInputsGetTheSame) {
  for (const bool layer_norm : {false, true}) {
    Fixture with(two_towers(Activation::kRelu, layer_norm), 33), without(two_towers(Activation::kRelu, layer_norm), 33);
    with.run(true);
    without.network.prepare_backward(without.stream, without.parameters.data(), without.prepared.data());
    without.forward(0, without.rows, true, without.outputs.data());
    without.network.backward(without.stream, without.parameters.data(), without.prepared.data(), without.input(),
                             without.rows, without.d_outputs.data(), without.workspace.data(), nullptr,
                             without.d_inputs.data());
    EXPECT_EQ(std::memcmp(with.d_inputs.data(), without.d_inputs.data(), with.d_inputs.size() * 4), 0);
  }
}

TEST(MlpNetwork, BatchSizeAndTilingChangeNoBit) {
  for (const auto& [tile, layer_norm] : {std::pair{1, false}, {2, true}, {31, false}, {33, true}, {64, false}}) {
    const NetworkSpec spec = two_towers(Activation::kTanh, layer_norm);
    Fixture whole(spec, 257), tiled(spec, 257);
    whole.run(true);
    tiled.network.prepare_backward(tiled.stream, tiled.parameters.data(), tiled.prepared.data());
    for (int row = 0; row < tiled.rows; row += tile) {
      const int count = std::min(tile, tiled.rows - row);
      tiled.forward(row, count, true, tiled.outputs.data());
      tiled.backward(row, count, true);
    }
    EXPECT_EQ(std::memcmp(whole.outputs.data(), tiled.outputs.data(), whole.outputs.size() * 4), 0) << tile;
    EXPECT_EQ(std::memcmp(whole.gradients.data(), tiled.gradients.data(), whole.gradients.size() * 4), 0) << tile;
    EXPECT_EQ(std::memcmp(whole.d_inputs.data(), tiled.d_inputs.data(), whole.d_inputs.size() * 4), 0) << tile;
  }
}

// A direction in every parameter, padding zero.
std::vector<float> random_direction(const NetworkSpec& spec) {
  std::vector<float> direction(spec.parameter_count());
  for (const TensorLayout& t : spec.tensors()) {
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < std::max(t.columns, 1); ++c) {
        const std::size_t i =
            t.offset + static_cast<std::size_t>(r) * t.row_stride + static_cast<std::size_t>(c) * t.column_stride;
        direction[i] = random_value(23, i);
      }
    }
  }
  return direction;
}

struct Tangent {
  explicit Tangent(Fixture& f) : direction(Device{}, f.parameters.size()), values(Device{}, f.outputs.size()) {
    const std::vector<float> host = random_direction(f.network.spec());
    std::copy(host.begin(), host.end(), direction.data());
    std::fill_n(values.data(), values.size(), 7.0f);
  }
  void run(Fixture& f, int row, int count) {
    f.network.forward_tangent(f.stream, f.parameters.data(), direction.data(), f.input(row), count, f.workspace.data(),
                              values.data() + row * f.network.spec().output_stride());
  }
  Buffer<float> direction, values;
};

double weighted_sum(const Fixture& f, const Buffer<float>& values) {
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<double>(values.data()[i]) * static_cast<double>(f.d_outputs.data()[i]);
  }
  return sum;
}

TEST(MlpNetwork, TangentEqualsFiniteDifferences) {
  for (const Activation activation : {Activation::kTanh, Activation::kRelu, Activation::kLinear}) {
    for (const auto& [rows, layer_norm] : {std::pair{1, false}, {7, false}, {33, false}, {1, true}, {7, true}}) {
      Fixture f(two_towers(activation, layer_norm), rows);
      f.forward(0, rows, true, f.outputs.data());
      Tangent tangent(f);
      tangent.run(f, 0, rows);
      const std::vector<double> inputs(f.inputs.data(), f.inputs.data() + f.inputs.size());
      const auto moved = [&](double step) {
        std::vector<double> parameters(f.parameters.data(), f.parameters.data() + f.parameters.size());
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          parameters[i] += step * static_cast<double>(tangent.direction.data()[i]);
        }
        return loss_in_double(f, parameters, inputs);
      };
      const double expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
      ASSERT_NEAR(weighted_sum(f, tangent.values), expected, 3e-5 * (1.0 + std::fabs(expected)));
      for (std::size_t i = 0; i < tangent.values.size(); ++i) {
        const std::size_t column = i % 32;
        if (column < 16 ? column >= 5 : column >= 17) {
          ASSERT_EQ(tangent.values.data()[i], 0.0f) << "padding " << i;
        }
      }
    }
  }
}

// <d, J v> = <J^T d, v>, also after other backward passes on what one forward pass kept.
void check_adjoint(bool layer_norm) {
  Fixture f(two_towers(Activation::kTanh, layer_norm), 257);
  f.run(false);
  Tangent tangent(f);
  tangent.run(f, 0, f.rows);
  double expected = 0.0;
  for (std::size_t i = 0; i < f.gradients.size(); ++i) {
    expected += static_cast<double>(f.gradients.data()[i]) * static_cast<double>(tangent.direction.data()[i]);
  }
  EXPECT_NEAR(weighted_sum(f, tangent.values), expected, 1e-4 * (1.0 + std::fabs(expected)));
  const std::vector<float> first(f.gradients.data(), f.gradients.data() + f.gradients.size());
  fill_zero(f.stream, f.gradients.data(), f.gradients.size() * sizeof(float));
  f.backward(0, f.rows, false);
  EXPECT_EQ(std::memcmp(first.data(), f.gradients.data(), first.size() * 4), 0);
}

TEST(MlpNetwork, TangentIsTheAdjointOfTheGradient) {
  check_adjoint(false);
  check_adjoint(true);
}

TEST(MlpNetwork, TangentOfClassInputsEqualsThatOfFeatures) {
  const std::vector<TowerSpec> towers = {{"q", {33}, Activation::kTanh, {{"value", 4, 1.0f}}}};
  Fixture classes({31, true, towers}, 65), features({31, false, towers}, 65);
  std::memcpy(features.parameters.data(), classes.parameters.data(), classes.parameters.size() * 4);
  for (int r = 0; r < 65; ++r) {
    for (int c = 0; c < 31; ++c) features.inputs.data()[r * 32 + c] = c == classes.classes[static_cast<std::size_t>(r)];
  }
  Tangent of_classes(classes), of_features(features);
  for (const auto& [f, tangent] : {std::pair{&classes, &of_classes}, std::pair{&features, &of_features}}) {
    f->forward(0, f->rows, true, f->outputs.data());
    tangent->run(*f, 0, f->rows);
  }
  for (std::size_t i = 0; i < of_classes.values.size(); ++i) {
    ASSERT_FLOAT_EQ(of_classes.values.data()[i], of_features.values.data()[i]);
  }
}

TEST(MlpNetwork, TilingChangesNoBitOfTangents) {
  Fixture whole(two_towers(), 257), tiled(two_towers(), 257);
  Tangent one(whole), many(tiled);
  whole.forward(0, 257, true, whole.outputs.data());
  one.run(whole, 0, 257);
  for (int row = 0; row < 257; row += 31) {
    const int count = std::min(31, 257 - row);
    tiled.forward(row, count, true, tiled.outputs.data());
    many.run(tiled, row, count);
  }
  EXPECT_EQ(std::memcmp(one.values.data(), many.values.data(), one.values.size() * 4), 0);
}

TEST(MlpNetwork, ForwardWithoutKeepingGivesTheSameOutputs) {
  Fixture f(two_towers(Activation::kTanh, true), 33);
  f.forward(0, 33, true, f.outputs.data());
  Buffer<float> again(Device{}, f.outputs.size()), small(Device{}, f.network.workspace_size(33, false));
  f.network.forward(f.stream, f.parameters.data(), f.input(), 33, false, small.data(), again.data());
  EXPECT_EQ(std::memcmp(again.data(), f.outputs.data(), again.size() * 4), 0);
}

TEST(MlpNetwork, ATowerAloneGivesItsColumnsAndLeavesTheOthers) {
  for (const int rows : {1, 31, 33}) {
    for (const int tower : {0, 1}) {
      Fixture f(two_towers(Activation::kTanh, true), rows);
      f.run(false);
      const int stride = f.network.spec().output_stride(), critic = f.network.spec().head("value").column;
      Buffer<float> alone(Device{}, f.outputs.size());
      std::fill(alone.data(), alone.data() + alone.size(), 7.0f);
      f.network.forward_tower(Stream::cpu(), f.parameters.data(), f.input(0), rows, tower, f.workspace.data(),
                              alone.data());
      for (int i = 0; i < rows * stride; ++i) {
        const bool mine = (i % stride >= critic) == (tower == 1);
        ASSERT_EQ(alone.data()[i], mine ? f.outputs.data()[i] : 7.0f) << i;
      }
    }
  }
}

TEST(MlpNetwork, ThreadsShareOneObject) {
  Fixture f(two_towers(), 256);
  f.run(false);
  const std::size_t count = f.parameters.size();
  const int groups = 8, rows = 32;
  Buffer<float> gradients(Device{}, count * groups), parallel(Device{}, f.outputs.size());
  const std::size_t size = f.network.workspace_size(rows, true);
  Buffer<float> workspaces(Device{}, size * groups);
#pragma omp parallel for num_threads(4)
  for (int g = 0; g < groups; ++g) {
    float* workspace = workspaces.data() + size * static_cast<std::size_t>(g);
    const int offset = g * rows * f.network.spec().output_stride();
    f.network.forward(f.stream, f.parameters.data(), f.input(g * rows), rows, true, workspace,
                      parallel.data() + offset);
    f.network.backward(f.stream, f.parameters.data(), f.prepared.data(), f.input(g * rows), rows,
                       f.d_outputs.data() + offset, workspace, gradients.data() + count * static_cast<std::size_t>(g),
                       nullptr);
  }
  EXPECT_EQ(std::memcmp(parallel.data(), f.outputs.data(), parallel.size() * 4), 0);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = 0.0;
    for (std::size_t g = 0; g < groups; ++g) sum += static_cast<double>(gradients.data()[g * count + i]);
    ASSERT_NEAR(sum, f.gradients.data()[i], 2e-4);
  }
}

TEST(MlpNetwork, ClassInputsEqualOneHotFeatures) {
  const std::vector<TowerSpec> towers = {{"q", {33}, Activation::kRelu, {{"value", 4, 1.0f}}}};
  Fixture classes({31, true, towers}, 65), features({31, false, towers}, 65);
  std::memcpy(features.parameters.data(), classes.parameters.data(), classes.parameters.size() * 4);
  for (int r = 0; r < 65; ++r) {
    for (int c = 0; c < 31; ++c) features.inputs.data()[r * 32 + c] = c == classes.classes[static_cast<std::size_t>(r)];
  }
  classes.run(false);
  features.run(false);
  for (std::size_t i = 0; i < classes.outputs.size(); ++i) {
    ASSERT_FLOAT_EQ(classes.outputs.data()[i], features.outputs.data()[i]);
  }
  for (std::size_t i = 0; i < classes.gradients.size(); ++i) {
    ASSERT_FLOAT_EQ(classes.gradients.data()[i], features.gradients.data()[i]);
  }
}

TEST(MlpNetwork, NetworkWithoutHiddenLayersIsLinear) {
  Fixture f({3, false, {{"q", {}, Activation::kTanh, {{"value", 2, 1.0f}}}}}, 3);
  f.run(true);
  const LayerLayout& layer = f.network.spec().layers()[0];
  const float* p = f.parameters.data();
  float expected = p[layer.bias + 1];
  for (int k = 0; k < 3; ++k) {
    expected = std::fmaf(f.inputs.data()[16 + k], p[layer.weight + static_cast<std::size_t>(k * 16 + 1)], expected);
  }
  EXPECT_EQ(f.outputs.data()[16 + 1], expected);
}

}  // namespace
}  // namespace stampede
