// SPDX-License-Identifier: Apache-2.0
// Both networks against autograd in double, and what LibTorch's network promises beyond numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "agents/networks/mlp_network.h"
#include "kernels/error.h"
#include "tests/oracle/random_cases.h"
#include "train/torch_library.h"

namespace stampede {
namespace {

// The memory of one network's calls.
struct Calls {
  Calls(const Network& network, int rows)
      : outputs(Device{}, static_cast<std::size_t>(rows * network.spec().output_stride())),
        gradients(Device{}, network.spec().parameter_count()),
        d_inputs(Device{}, static_cast<std::size_t>(rows * network.spec().input_stride())),
        workspace(Device{}, network.workspace_size(rows, true)),
        prepared(Device{}, network.prepared_size()) {}

  void forward(const Network& network, const NetworkCase& c, bool keep, const float* parameters) {
    network.forward(stream, parameters, c.input(), c.rows, keep, workspace.data(), outputs.data());
  }
  void backward(const Network& network, const NetworkCase& c, bool with_inputs) {
    network.prepare_backward(stream, c.parameters.data(), prepared.data());
    network.backward(stream, c.parameters.data(), prepared.data(), c.input(), c.rows, c.d_outputs.data(),
                     workspace.data(), gradients.data(), with_inputs ? d_inputs.data() : nullptr);
  }

  Stream stream = Stream::cpu(1);
  Buffer<float> outputs, gradients, d_inputs, workspace, prepared;
};

// Largest difference, in units of the reference's largest magnitude: sums of different lengths share one bound.
double relative_error(const Buffer<float>& values, const std::vector<double>& reference) {
  EXPECT_EQ(values.size(), reference.size());
  double error = 0.0, largest = 1e-3;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error = std::max(error, std::fabs(static_cast<double>(values.data()[i]) - reference[i]));
    largest = std::max(largest, std::fabs(reference[i]));
  }
  return std::isfinite(error) ? error / largest : INFINITY;
}

// Float rounding of sums over up to 257 rows and 100 inputs; measured: 6.2e-7.
constexpr double kTolerance = 3e-6;

struct Shape {
  std::string name;
  NetworkSpec spec;
};

// With the last hidden layer beside the heads, and a free matrix.
Shape showing(std::string name, int inputs, bool one_hot, TowerSpec first, const TowerSpec& second) {
  first.features = true;
  const int features = first.hidden.back();
  return {std::move(name), {inputs, one_hot, {std::move(first), second}, {{"log_sigma", features, -0.5f, 3}}}};
}

std::vector<Shape> shapes() {
  using enum Activation;
  const HeadSpec policy{"policy", 3, 0.01f}, value{"value", 1, 1.0f}, q{"q", 17, 1.0f};
  const TowerSpec critic{"critic", {31}, kTanh, {value}};
  return {
      {"separate tanh", {4, false, {{"actor", {64, 64}, kTanh, {policy}}, {"critic", {64, 64}, kTanh, {value}}}}},
      {"shared relu",
       {17, false, {{"torso", {100, 17}, kRelu, {policy, value, {"extra", 2, 1.0f}}}}, {{"log_sigma", 3, -0.5f}}}},
      {"narrow tanh", {2, false, {{"q", {2}, kTanh, {q}}}}},
      {"linear", {31, false, {{"q", {64}, kLinear, {q}}}}},
      {"no hidden layer", {100, false, {{"q", {}, kTanh, {q}}}}},
      {"unequal towers", {33, false, {{"actor", {17, 100, 2}, kRelu, {policy}}, {"critic", {31}, kTanh, {value}}}}},
      {"one-hot relu", {31, true, {{"q", {33, 64}, kRelu, {q}}}}},
      {"norm relu", {17, false, {{"q", {100, 17, 33}, kRelu, {q}, true}}}},
      {"norm tanh", {4, false, {{"actor", {64, 64}, kTanh, {policy}, true}, {"critic", {31}, kTanh, {value}}}}},
      {"norm one-hot", {31, true, {{"q", {33, 16}, kRelu, {q}, true}}}},
      {"norm linear", {5, false, {{"q", {3}, kLinear, {q}, true}}}},
      {"one-hot towers", {500, true, {{"actor", {64}, kTanh, {policy}}, {"critic", {}, kTanh, {value}}}}},
      showing("features tanh", 4, false, {"actor", {64, 33}, kTanh, {policy}}, critic),
      showing("features norm relu", 5, false, {"actor", {17}, kRelu, {policy}, true}, critic),
      showing("features one-hot", 31, true, {"actor", {64}, kRelu, {policy}}, critic),
  };
}

std::vector<Shape> batch_normalised_shapes() {
  std::vector<Shape> shapes;
  for (const Activation activation : {Activation::kRelu, Activation::kTanh, Activation::kLinear}) {
    TowerSpec actor{"actor", {33, 17}, activation, {{"policy", 3, 1.0f}}};
    actor.batch_norm = true;
    shapes.push_back({"batch norm", {4, false, {actor, {"critic", {31}, Activation::kTanh, {{"value", 1, 1.0f}}}}}});
    shapes.push_back({"batch norm, classes", {31, true, {actor}}});
    actor.features = true;
    shapes.push_back({"batch norm, features", {5, false, {actor}}});
  }
  return shapes;
}

using MakeNetwork = std::function<std::unique_ptr<Network>(const NetworkSpec&)>;

void check_shapes(const MakeNetwork& make, const std::vector<Shape>& shapes, const std::vector<int>& row_counts) {
  for (const Shape& shape : shapes) {
    for (const int rows : row_counts) {
      SCOPED_TRACE(shape.name + ", " + std::to_string(rows) + " rows");
      const NetworkCase c(shape.spec, rows);
      const std::unique_ptr<Network> network = make(shape.spec);
      Calls calls(*network, rows);
      std::fill_n(calls.outputs.data(), calls.outputs.size(), 7.0f);
      std::fill_n(calls.d_inputs.data(), calls.d_inputs.size(), 7.0f);
      calls.forward(*network, c, true, c.parameters.data());
      calls.backward(*network, c, true);
      const MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), rows, c.d_outputs.data());
      EXPECT_LT(relative_error(calls.outputs, reference.outputs), kTolerance);
      EXPECT_LT(relative_error(calls.gradients, reference.gradients), kTolerance);
      if (!c.spec.one_hot()) {
        EXPECT_LT(relative_error(calls.d_inputs, reference.d_inputs), kTolerance);
      }
    }
  }
}

// A batch of two or fewer has columns whose deviation is all rounding.
void check_all_shapes(const MakeNetwork& make) {
  check_shapes(make, shapes(), {1, 31, 33, 257});
  check_shapes(make, batch_normalised_shapes(), {31, 33, 257});
}

TEST(NetworkOracle, NativeGradientsEqualAutograd) {
  check_all_shapes([](const NetworkSpec& spec) { return std::make_unique<MlpNetwork>(spec); });
}

TEST(NetworkOracle, TorchNetworkGradientsEqualAutograd) { check_all_shapes(load_torch_networks()); }

NetworkSpec small_spec() { return shapes()[1].spec; }

void check_tangents(const MakeNetwork& make) {
  for (const Shape& shape : shapes()) {
    for (const int rows : {1, 33}) {
      SCOPED_TRACE(shape.name + ", " + std::to_string(rows) + " rows");
      const NetworkCase c(shape.spec, rows), other(shape.spec, rows);
      Buffer<float> direction(Device{}, c.parameters.size()), tangents(Device{}, c.d_outputs.size());
      for (std::size_t i = 0; i < direction.size(); ++i) {
        direction.data()[i] = other.parameters.data()[i] * random_value(77, i);  // keeps padding zero
      }
      const std::unique_ptr<Network> network = make(shape.spec);
      Calls calls(*network, rows);
      calls.forward(*network, c, true, c.parameters.data());
      for (int pass = 0; pass < 2; ++pass) {  // a backward pass between them changes nothing
        std::fill_n(tangents.data(), tangents.size(), 7.0f);
        network->forward_tangent(calls.stream, c.parameters.data(), direction.data(), c.input(), rows,
                                 calls.workspace.data(), tangents.data());
        EXPECT_LT(
            relative_error(tangents, tangent_reference(c.spec, c.parameters.data(), direction.data(), c.input(), rows)),
            kTolerance);
        calls.backward(*network, c, false);
      }
    }
  }
}

TEST(NetworkOracle, NativeTangentsEqualAutograd) {
  check_tangents([](const NetworkSpec& spec) { return std::make_unique<MlpNetwork>(spec); });
}

TEST(NetworkOracle, TorchNetworkTangentsEqualAutograd) { check_tangents(load_torch_networks()); }

// Running statistics after a batch, and a row evaluated with them.
TEST(NetworkOracle, BothNetworksKeepTheSameRunningStatistics) {
  const NetworkSpec spec = batch_normalised_shapes().front().spec;
  const NetworkCase c(spec, 33);
  std::vector<Buffer<float>> parameters, outputs;
  for (const MakeNetwork& make :
       {MakeNetwork([](const NetworkSpec& s) { return std::make_unique<MlpNetwork>(s); }), load_torch_networks()}) {
    const std::unique_ptr<Network> network = make(spec);
    Calls calls(*network, 33);
    parameters.emplace_back(Device{}, c.parameters.size());
    std::copy_n(c.parameters.data(), c.parameters.size(), parameters.back().data());
    calls.forward(*network, c, true, parameters.back().data());
    network->update_statistics(calls.stream, calls.workspace.data(), 33, parameters.back().data());
    calls.forward(*network, c, false, parameters.back().data());
    outputs.push_back(std::move(calls.outputs));
    EXPECT_THROW(network->forward_tangent(calls.stream, parameters.back().data(), parameters.back().data(), c.input(),
                                          33, calls.workspace.data(), calls.outputs.data()),
                 RuntimeError);
  }
  const LayerLayout& layer = spec.layers().front();
  EXPECT_NE(parameters[0].data()[layer.norm_mean], c.parameters.data()[layer.norm_mean]);
  for (std::size_t i = 0; i < parameters[0].size(); ++i) {
    ASSERT_NEAR(parameters[0].data()[i], parameters[1].data()[i], 1e-6) << i;
  }
  for (std::size_t i = 0; i < outputs[0].size(); ++i) ASSERT_NEAR(outputs[0].data()[i], outputs[1].data()[i], 1e-5);
}

TEST(TorchNetwork, OneForwardServesSeveralBackwardPasses) {
  const NetworkCase c(small_spec(), 33);
  const auto network = load_torch_networks()(c.spec);
  Calls calls(*network, 33);
  calls.forward(*network, c, true, c.parameters.data());
  for (int pass = 0; pass < 3; ++pass) calls.backward(*network, c, false);
  MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), 33, c.d_outputs.data());
  for (double& gradient : reference.gradients) gradient *= 3.0;
  EXPECT_LT(relative_error(calls.gradients, reference.gradients), kTolerance);
}

TEST(TorchNetwork, BackwardAddsToTheGradientBlock) {
  const NetworkCase c(small_spec(), 33);
  const auto network = load_torch_networks()(c.spec);
  Calls calls(*network, 33);
  for (int pass = 0; pass < 2; ++pass) {
    calls.forward(*network, c, true, c.parameters.data());
    calls.backward(*network, c, false);
  }
  MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), 33, c.d_outputs.data());
  for (double& gradient : reference.gradients) gradient *= 2.0;
  EXPECT_LT(relative_error(calls.gradients, reference.gradients), kTolerance);
}

// A target network is evaluated between the online network's forward and backward, in the same workspace.
TEST(TorchNetwork, OtherParametersBetweenForwardAndBackwardChangeNoGradient) {
  const NetworkCase c(small_spec(), 31);
  const auto network = load_torch_networks()(c.spec);
  Buffer<float> target(Device{}, c.parameters.size());
  for (std::size_t i = 0; i < target.size(); ++i) target.data()[i] = -0.5f * c.parameters.data()[i];
  Calls calls(*network, 31);
  calls.forward(*network, c, true, c.parameters.data());
  calls.forward(*network, c, false, target.data());
  const MlpReference other = mlp_reference(c.spec, target.data(), c.input(), 31, c.d_outputs.data());
  EXPECT_LT(relative_error(calls.outputs, other.outputs), kTolerance);
  calls.backward(*network, c, false);
  const MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), 31, c.d_outputs.data());
  EXPECT_LT(relative_error(calls.gradients, reference.gradients), kTolerance);
}

TEST(TorchNetwork, SeesParametersThatChangedInPlaceAndGradientBlocksThatMoved) {
  const NetworkCase c(small_spec(), 31);
  const auto network = load_torch_networks()(c.spec);
  Calls calls(*network, 31);
  calls.forward(*network, c, true, c.parameters.data());
  calls.backward(*network, c, false);
  for (std::size_t i = 0; i < c.parameters.size(); ++i) c.parameters.data()[i] *= 0.5f;
  calls.gradients = Buffer<float>(Device{}, c.parameters.size());
  calls.forward(*network, c, true, c.parameters.data());
  calls.backward(*network, c, false);
  const MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), 31, c.d_outputs.data());
  EXPECT_LT(relative_error(calls.outputs, reference.outputs), kTolerance);
  EXPECT_LT(relative_error(calls.gradients, reference.gradients), kTolerance);
}

// A parameter block other than the last call's is looked at anew.
TEST(TorchNetwork, AlternatesBetweenParameterBlocksInOneWorkspace) {
  const NetworkCase c(small_spec(), 31);
  const auto network = load_torch_networks()(c.spec);
  Buffer<float> other(Device{}, c.parameters.size());
  for (std::size_t i = 0; i < other.size(); ++i) other.data()[i] = -0.5f * c.parameters.data()[i];
  Calls calls(*network, 31);
  for (const bool keep : {false, true}) {
    for (const float* parameters : {c.parameters.data(), other.data(), c.parameters.data()}) {
      calls.forward(*network, c, keep, parameters);
      const MlpReference reference = mlp_reference(c.spec, parameters, c.input(), 31, c.d_outputs.data());
      EXPECT_LT(relative_error(calls.outputs, reference.outputs), kTolerance);
    }
  }
}

TEST(TorchNetwork, WorkspacesKeepTheirOwnGraphs) {
  const NetworkCase c(small_spec(), 33), shorter(small_spec(), 31);
  const auto network = load_torch_networks()(c.spec);
  Calls calls(*network, 33), other(*network, 31);
  calls.forward(*network, c, true, c.parameters.data());
  other.forward(*network, shorter, true, shorter.parameters.data());
  calls.backward(*network, c, false);
  other.backward(*network, shorter, false);
  for (const auto& [run, batch] : {std::pair{&calls, &c}, std::pair{&other, &shorter}}) {
    const MlpReference reference =
        mlp_reference(c.spec, batch->parameters.data(), batch->input(), batch->rows, batch->d_outputs.data());
    EXPECT_LT(relative_error(run->gradients, reference.gradients), kTolerance);
  }
}

TEST(TorchNetwork, ThreadsShareOneObject) {
  constexpr int kThreads = 4;
  const NetworkCase c(small_spec(), 33);
  const NetworkFactory make = load_torch_networks();
  const MlpReference reference = mlp_reference(c.spec, c.parameters.data(), c.input(), 33, c.d_outputs.data());
  for (int repetition = 0; repetition < 50; ++repetition) {
    const auto network = make(c.spec);
    std::vector<Calls> calls;
    for (int t = 0; t < kThreads; ++t) calls.emplace_back(*network, 33);
    std::atomic<int> waiting{kThreads};  // so that all threads meet a network that knows none of their workspaces
#pragma omp parallel for num_threads(kThreads) schedule(static)
    for (int t = 0; t < kThreads; ++t) {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      Calls& own = calls[static_cast<std::size_t>(t)];
      own.forward(*network, c, false, c.parameters.data());
      own.forward(*network, c, true, c.parameters.data());
      own.backward(*network, c, false);
    }
    for (const Calls& own : calls) {
      ASSERT_LT(relative_error(own.outputs, reference.outputs), kTolerance);
      ASSERT_LT(relative_error(own.gradients, reference.gradients), kTolerance);
    }
  }
}

// An exception of LibTorch's library aborts a program that has an unwinder of its own (-static-libgcc).
TEST(TorchNetwork, TheProgramSharesItsUnwinderWithLibraries) {
  std::ifstream file(STAMPEDE_BINARY_DIR "/stampede", std::ios::binary);
  ASSERT_TRUE(file) << "build the target `stampede` first";
  std::ostringstream bytes;
  bytes << file.rdbuf();
  EXPECT_NE(bytes.str().find("libgcc_s.so.1"), std::string::npos);
}

TEST(TorchNetwork, FailuresArriveAsReadableRuntimeErrors) {
  const NetworkCase c(shapes()[6].spec, 31);
  const auto network = load_torch_networks()(c.spec);
  Calls calls(*network, 31);
  const std::vector<std::int32_t> classes(31, 31);  // one too many
  const auto forward = [&] {
    network->forward(calls.stream, c.parameters.data(), {nullptr, classes.data()}, 31, true, calls.workspace.data(),
                     calls.outputs.data());
  };
  EXPECT_THROW(calls.backward(*network, c, false), RuntimeError);
  try {
    forward();
    FAIL() << "a class out of range was accepted";
  } catch (const RuntimeError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("LibTorch: ") && message.find("range") != std::string::npos) << message;
    EXPECT_EQ(message.find("frame #"), std::string::npos) << message;
  }
  calls.forward(*network, c, true, c.parameters.data());
  EXPECT_NO_THROW(calls.backward(*network, c, false));
}

}  // namespace
}  // namespace stampede
