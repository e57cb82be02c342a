// SPDX-License-Identifier: Apache-2.0
// Layer normalisation: known values, padding that enters nothing, and CUDA kernels with the bits of the CPU.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/layer_norm.h"
#include "kernels/layer_norm_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

struct Shape {
  int rows, size, stride;
};
constexpr Shape kShapes[] = {{1, 1, 16}, {31, 16, 16}, {33, 17, 32}, {9, 64, 64}, {257, 31, 32}, {7, 100, 112}};

// Uniform in [-2, 2) in the columns below `size`, zero in padding.
std::vector<float> matrix(int rows, Shape shape, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(rows * shape.stride));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < shape.size; ++c) {
      seed = seed * 1664525u + 1013904223u;
      values[static_cast<std::size_t>(r * shape.stride + c)] = static_cast<float>(seed >> 8) * 0x1p-22f - 2.0f;
    }
  }
  return values;
}

// Both passes over one batch, on the CPU or under the emulator.
struct Passes {
  explicit Passes(Shape s)
      : shape(s),
        x(matrix(s.rows, s, 1)),
        gain(matrix(1, s, 2)),
        bias(matrix(1, s, 3)),
        y(x.values().size(), -9.0f),
        inverse(static_cast<std::size_t>(s.rows), -9.0f),
        dy(matrix(s.rows, s, 4)),
        d_gain(matrix(1, s, 5)),
        d_bias(matrix(1, s, 6)),
        dx(matrix(s.rows, s, 7)) {}

  LayerNormForward forward(GemmActivation activation) {
    return {x.data(),   gain.data(), bias.data(),  y.data(),  inverse.data(),
            shape.rows, shape.size,  shape.stride, activation};
  }
  LayerNormBackward backward() {
    return {dy.data(),     x.data(),   inverse.data(), gain.data(), d_gain.data(),
            d_bias.data(), shape.rows, shape.size,     shape.stride};
  }
  LayerNormTangent tangent(GemmActivation activation) {
    return {dx.data(), x.data(),   inverse.data(), gain.data(),  d_gain.data(), d_bias.data(),
            y.data(),  shape.rows, shape.size,     shape.stride, activation};
  }
  void run(GemmActivation activation) {
    const Stream stream = Stream::cpu(1);
    layer_norm_forward(stream, forward(activation));
    layer_norm_tangent(stream, tangent(activation));
    layer_norm_backward(stream, backward());
  }
  void emulate(GemmActivation activation, const Schedule& schedule) {
    const unsigned blocks = layer_norm_blocks(shape.rows);
    simt::run(blocks, kLayerNormThreads, 0, schedule, LayerNormForwardKernel{forward(activation)});
    simt::run(blocks, kLayerNormThreads, 0, schedule, LayerNormTangentKernel{tangent(activation)});
    for (int o = 0; o < shape.stride; ++o) LayerNormColumn{backward()}(o);
    simt::run(blocks, kLayerNormThreads, 0, schedule, LayerNormBackwardKernel{backward()});
  }
  std::vector<float> results() {
    std::vector<float> all;
    for (GuardedArray<float>* array : {&x, &y, &inverse, &dy, &d_gain, &d_bias, &dx}) {
      const std::vector<float> values = array->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  Shape shape;
  GuardedArray<float> x, gain, bias, y, inverse, dy, d_gain, d_bias, dx;
};

TEST(LayerNorm, SameBitsOnCpuAndCuda) {
  for (const Shape shape : kShapes) {
    for (const GemmActivation activation : {GemmActivation::kLinear, GemmActivation::kTanh, GemmActivation::kRelu}) {
      Passes cpu(shape);
      cpu.run(activation);
      for (const Schedule& schedule : simt::all_schedules()) {
        Passes emulated(shape);
        emulated.emulate(activation, schedule);
        EXPECT_TRUE(same_bits(cpu.results(), emulated.results()))
            << shape.rows << " x " << shape.size << " " << schedule.name();
      }
    }
  }
}

// (1, 2, 3, 6): mean 3, variance 3.5.
TEST(LayerNorm, KnownRow) {
  const Shape shape{1, 4, 16};
  Passes passes(shape);
  const float row[4] = {1.0f, 2.0f, 3.0f, 6.0f};
  for (int o = 0; o < 4; ++o) {
    passes.x.data()[o] = row[o];
    passes.gain.data()[o] = 2.0f;
    passes.bias.data()[o] = 0.5f;
  }
  layer_norm_forward(Stream::cpu(1), passes.forward(GemmActivation::kRelu));
  for (int o = 0; o < 4; ++o) {
    const double n = (static_cast<double>(row[o]) - 3.0) / std::sqrt(3.5 + 1e-5);
    EXPECT_NEAR(passes.x.data()[o], n, 1e-6);
    EXPECT_NEAR(passes.y.data()[o], std::max(0.0, 2.0 * n + 0.5), 1e-6);
  }
}

// Rows of equal numbers have no spread to divide by; the result is the bias, not a division by zero.
TEST(LayerNorm, ConstantRowsBecomeTheBias) {
  const Shape shape{3, 17, 32};
  Passes passes(shape);
  for (int r = 0; r < shape.rows; ++r) {
    for (int o = 0; o < shape.size; ++o) passes.x.data()[r * shape.stride + o] = 4.0f;
  }
  layer_norm_forward(Stream::cpu(1), passes.forward(GemmActivation::kLinear));
  for (int r = 0; r < shape.rows; ++r) {
    for (int o = 0; o < shape.size; ++o) EXPECT_EQ(passes.y.data()[r * shape.stride + o], passes.bias.data()[o]);
  }
}

// Means of normalised rows over the logical columns alone are 0 and 1; all that is written to padding is zero.
TEST(LayerNorm, PaddingStaysZeroAndEntersNothing) {
  for (const Shape shape : kShapes) {
    Passes passes(shape);
    passes.run(GemmActivation::kTanh);
    for (int r = 0; r < shape.rows; ++r) {
      double sum = 0.0, squares = 0.0;
      for (int o = 0; o < shape.stride; ++o) {
        const int i = r * shape.stride + o;
        const auto n = static_cast<double>(passes.x.data()[i]);
        sum += n;
        squares += n * n;
        if (o < shape.size) continue;
        for (GuardedArray<float>* array : {&passes.x, &passes.y, &passes.dy, &passes.dx}) {
          ASSERT_EQ(array->data()[i], 0.0f) << shape.size << " column " << o;
        }
      }
      EXPECT_NEAR(sum / shape.size, 0.0, 1e-6);
      EXPECT_NEAR(squares / shape.size, shape.size > 1 ? 1.0 : 0.0, 1e-3);
    }
    for (int o = shape.size; o < shape.stride; ++o) EXPECT_EQ(passes.d_gain.data()[o] + passes.d_bias.data()[o], 0.0f);
  }
}

// Gain and bias of a long batch on CUDA: parts of its rows, added in ascending order.
TEST(LayerNorm, ColumnsInPartsAreAddedInOrder) {
  const Shape shape{257, 31, 32};
  constexpr int kParts = 5;
  Passes whole(shape), cut(shape);
  std::vector<float> gain = whole.d_gain.values(), bias = whole.d_bias.values();
  for (int p = 0; p < kParts; ++p) {
    const RowPart part(shape.rows, kParts, p);
    for (std::size_t o = 0; o < gain.size(); ++o) {
      float d_gain = 0.0f, d_bias = 0.0f;
      for (std::size_t r = static_cast<std::size_t>(part.begin); r < static_cast<std::size_t>(part.end); ++r) {
        const float dy = whole.dy.data()[r * 32 + o];
        d_gain = std::fmaf(dy, whole.x.data()[r * 32 + o], d_gain);
        d_bias += dy;
      }
      gain[o] += d_gain;
      bias[o] += d_bias;
    }
  }
  GuardedArray<float> scratch(static_cast<std::size_t>(2 * kParts * shape.stride), NAN);
  LayerNormBackward op = cut.backward();
  op.scratch = scratch.data();
  for (int i = 0; i < kParts * shape.stride; ++i) LayerNormColumn{op, kParts}(i);
  const AddParts add{op.scratch, kParts, 2 * shape.stride, shape.stride, op.d_gain, op.d_bias};
  for (int i = 0; i < 2 * shape.stride; ++i) add(i);
  EXPECT_TRUE(same_bits(cut.d_gain.values(), gain));
  EXPECT_TRUE(same_bits(cut.d_bias.values(), bias));
}

TEST(LayerNorm, InferenceInPlaceGivesTheSameOutputs) {
  for (const Shape shape : kShapes) {
    Passes kept(shape), in_place(shape);
    layer_norm_forward(Stream::cpu(1), kept.forward(GemmActivation::kRelu));
    LayerNormForward op = in_place.forward(GemmActivation::kRelu);
    op.y = op.x;
    op.inverse = nullptr;
    layer_norm_forward(Stream::cpu(1), op);
    EXPECT_TRUE(same_bits(kept.y.values(), in_place.x.values())) << shape.size;
  }
}

}  // namespace
}  // namespace stampede
