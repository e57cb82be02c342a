// SPDX-License-Identifier: Apache-2.0
// The CUDA matrix products under the emulator against plain fused-multiply-add loops and the CPU tiles, bit for bit.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/gemm.h"
#include "kernels/gemm_blocks.h"
#include "tests/emulator/product_rig.h"

namespace stampede {
namespace {

using namespace product_rig;
using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

constexpr GemmActivation kActivations[] = {GemmActivation::kLinear, GemmActivation::kTanh, GemmActivation::kRelu};

template <class Wide, class Narrow, bool kTransposed, class Epilogue>
void emulate_product(const BlockProduct& product, const Epilogue& epilogue, const Schedule& schedule) {
  const auto launch = [&]<class Tile>(Tile) {
    const ProductKernel<Tile, kTransposed, Epilogue> kernel{product, epilogue};
    simt::run(tile_count<Tile>(product), Tile::kThreads, 0, schedule, kernel);
  };
  if (product.columns > Narrow::kColumns) {
    launch(Wide{});
  } else {
    launch(Narrow{});
  }
}

constexpr Shape kShapes[] = {{1, 4, 64}, {31, 2, 16}, {33, 17, 64}, {257, 4, 16}, {65, 64, 64}, {33, 65, 144}};

void plain_forward(const LinearForward& op) {
  for (int r = 0; r < op.rows; ++r) {
    for (int o = 0; o < op.out_stride; ++o) {
      float sum = op.b[o];
      for (int k = 0; k < op.in; ++k) sum = std::fmaf(op.x[r * op.x_stride + k], op.w[k * op.out_stride + o], sum);
      op.y[r * op.y_stride + o] = activate(sum, op.activation);
    }
  }
}

TEST(GemmBlocks, ForwardHasTheBitsOfOneChain) {
  for (const Shape& shape : kShapes) {
    for (const GemmActivation activation : kActivations) {
      ForwardCase data(shape);
      GuardedArray<float> expected = data.output(), cpu = data.output();
      plain_forward(data.op(expected, activation));
      linear_forward(Stream::cpu(), data.op(cpu, activation));
      EXPECT_TRUE(same_bits(cpu.values(), expected.values())) << shape.rows;
      for (const Schedule& schedule : simt::all_schedules()) {
        GuardedArray<float> y = data.output();
        const LinearForward op = data.op(y, activation);
        emulate_product<WideTile, NarrowTile, false>(forward_product(op), ActivateEpilogue{activation}, schedule);
        EXPECT_TRUE(same_bits(y.values(), expected.values())) << shape.rows << " " << schedule.name();
      }
    }
  }
}

TEST(GemmBlocks, EmbeddingForwardAddsTheRowOfTheClass) {
  for (const Shape& shape : kShapes) {
    ForwardCase data(shape);
    std::vector<std::int32_t> classes;
    for (int r = 0; r < shape.rows; ++r) classes.push_back(r * 7 % shape.in);
    GuardedArray<float> y = data.output(), cpu = data.output();
    const LinearForward op = data.op(y, GemmActivation::kTanh);
    const EmbeddingForwardElement element{op, classes.data()};
    for (int i = 0; i < shape.rows * shape.out_stride; ++i) element(i);
    embedding_forward(Stream::cpu(), data.op(cpu, GemmActivation::kTanh), classes.data());
    const std::vector<float> values = y.values();
    EXPECT_TRUE(same_bits(values, cpu.values()));
    for (int r = 0; r < shape.rows; ++r) {
      for (int o = 0; o < shape.out_stride; ++o) {
        const float sum = op.b[o] + op.w[classes[static_cast<std::size_t>(r)] * shape.out_stride + o];
        ASSERT_EQ(values[static_cast<std::size_t>(r * op.y_stride + o)], tanh_of(sum));
      }
    }
  }
}

// dx of [rows, in_stride] from dy of [rows, out]; shape.in is the padded input width here.
std::vector<float> plain_backward_data(const LinearBackwardData& op, const std::vector<float>& before) {
  std::vector<float> dx = before;
  for (int r = 0; r < op.rows; ++r) {
    for (int k = 0; k < op.in_stride; ++k) {
      const auto place = static_cast<std::size_t>(r * op.dx_stride + k);
      float sum = op.accumulate ? before[place] : 0.0f;
      for (int o = 0; o < op.out; ++o) sum = std::fmaf(op.dy[r * op.dy_stride + o], op.wt[o * op.in_stride + k], sum);
      if (op.activation == GemmActivation::kTanh) {
        sum = sum * std::fmaf(-op.x[r * op.x_stride + k], op.x[r * op.x_stride + k], 1.0f);
      }
      if (op.activation == GemmActivation::kRelu && op.x[r * op.x_stride + k] <= 0.0f) sum = 0.0f;
      dx[place] = sum;
    }
  }
  return dx;
}

void check_backward_data(Shape shape, GemmActivation activation, bool accumulate) {
  const int in_stride = padded(shape.out_stride == 16 ? 16 : 65), dy_stride = padded(shape.in);
  const int dx_stride = in_stride + 16;
  GuardedArray<float> dy(matrix(shape.rows, dy_stride, shape.in, 4)), wt(matrix(shape.in, in_stride, in_stride, 5));
  GuardedArray<float> x(matrix(shape.rows, in_stride, in_stride, 6));
  const std::vector<float> before = matrix(shape.rows, dx_stride, dx_stride, 7);
  const auto op = [&](float* dx) {
    return LinearBackwardData{dy.data(), dy_stride, wt.data(),  in_stride, x.data(),   in_stride,
                              dx,        dx_stride, shape.rows, shape.in,  activation, accumulate};
  };
  const std::vector<float> expected = plain_backward_data(op(nullptr), before);
  GuardedArray<float> cpu(before);
  linear_backward_data(Stream::cpu(), op(cpu.data()));
  EXPECT_TRUE(same_bits(cpu.values(), expected)) << shape.rows;
  for (const Schedule& schedule : simt::all_schedules()) {
    GuardedArray<float> dx(before);
    emulate_product<WideTile, NarrowTile, false>(backward_data_product(op(dx.data())),
                                                 DifferentiateEpilogue{activation, x.data(), in_stride}, schedule);
    EXPECT_TRUE(same_bits(dx.values(), expected)) << shape.rows << " " << schedule.name();
  }
}

TEST(GemmBlocks, BackwardDataHasTheBitsOfOneChain) {
  for (const Shape& shape : kShapes) {
    for (const GemmActivation activation : kActivations) check_backward_data(shape, activation, false);
    check_backward_data(shape, GemmActivation::kLinear, true);
  }
}

struct Gradients {
  std::vector<float> weights, biases;
};

bool same_gradients(const Gradients& a, const Gradients& b) {
  return same_bits(a.weights, b.weights) && same_bits(a.biases, b.biases);
}

// Inputs of a weight gradient and, in `before`, what it adds to.
struct GradientCase {
  Shape shape;
  int x_stride = padded(shape.in), dy_stride = shape.out_stride + 16;
  GuardedArray<float> x{matrix(shape.rows, x_stride, shape.in, 8)};
  GuardedArray<float> dy{matrix(shape.rows, dy_stride, shape.out_stride, 9)};
  Gradients before{matrix(shape.in, shape.out_stride, shape.out_stride, 10),
                   matrix(1, shape.out_stride, shape.out_stride, 11)};

  template <class Function>
  Gradients run(const Function& function) {
    GuardedArray<float> dw(before.weights), db(before.biases);
    function(LinearBackwardWeights{x.data(), x_stride, dy.data(), dy_stride, dw.data(), db.data(), shape.rows, shape.in,
                                   shape.out_stride});
    return {dw.values(), db.values()};
  }
};

void plain_backward_weights(const LinearBackwardWeights& op, const std::int32_t* classes) {
  for (int r = 0; r < op.rows; ++r) {
    for (int o = 0; o < op.out_stride; ++o) {
      const float dy = op.dy[r * op.dy_stride + o];
      op.db[o] += dy;
      if (classes != nullptr) op.dw[classes[r] * op.out_stride + o] += dy;
      for (int k = 0; classes == nullptr && k < op.in; ++k) {
        float& dw = op.dw[k * op.out_stride + o];
        dw = std::fmaf(op.x[r * op.x_stride + k], dy, dw);
      }
    }
  }
}

TEST(GemmBlocks, BackwardWeightsHasTheBitsOfOneChain) {
  for (const Shape& shape : kShapes) {
    GradientCase data{shape};
    const Gradients expected = data.run([](const auto& op) { plain_backward_weights(op, nullptr); });
    const Gradients cpu = data.run([](const auto& op) { linear_backward_weights(Stream::cpu(), op); });
    EXPECT_TRUE(same_gradients(cpu, expected)) << shape.rows;
    for (const Schedule& schedule : simt::all_schedules()) {
      const Gradients cuda = data.run([&](const auto& op) {
        emulate_product<WideGradientTile, NarrowGradientTile, true>(backward_weights_product(op), NoEpilogue{},
                                                                    schedule);
      });
      EXPECT_TRUE(same_gradients(cuda, expected)) << shape.rows << " " << schedule.name();
    }
  }
}

TEST(GemmBlocks, EmbeddingBackwardWeightsAddsRowsInOrder) {
  for (const Shape& shape : kShapes) {
    GradientCase data{shape};
    std::vector<std::int32_t> classes;
    for (int r = 0; r < shape.rows; ++r) classes.push_back(r * r % shape.in);
    const Gradients expected = data.run([&](const auto& op) { plain_backward_weights(op, classes.data()); });
    const Gradients cpu =
        data.run([&](const auto& op) { embedding_backward_weights(Stream::cpu(), op, classes.data()); });
    EXPECT_TRUE(same_gradients(cpu, expected)) << shape.rows;
    for (const Schedule& schedule : simt::all_schedules()) {
      const Gradients cuda = data.run([&](const auto& op) {
        simt::run(static_cast<unsigned>(op.in + 1), EmbeddingGradientKernel::kThreads, 0, schedule,
                  EmbeddingGradientKernel{op, classes.data()});
      });
      EXPECT_TRUE(same_gradients(cuda, expected)) << shape.rows << " " << schedule.name();
    }
  }
}

// Each part's sums start from zero; parts are added in ascending order.
Gradients plain_parts(GradientCase& data, int parts, const std::int32_t* classes) {
  return data.run([&](const LinearBackwardWeights& op) {
    const auto size = static_cast<std::size_t>((op.in + 1) * op.out_stride);
    std::vector<std::vector<float>> sums;
    for (int p = 0; p < parts; ++p) {
      const RowPart part(op.rows, parts, p);
      sums.emplace_back(size, 0.0f);
      LinearBackwardWeights own = op;
      own.x += part.begin * op.x_stride;
      own.dy += part.begin * op.dy_stride;
      own.dw = sums.back().data();
      own.db = own.dw + op.in * op.out_stride;
      own.rows = part.end - part.begin;
      plain_backward_weights(own, classes ? classes + part.begin : nullptr);
    }
    for (std::size_t i = 0; i < size; ++i) {
      const auto weights = static_cast<std::size_t>(op.in * op.out_stride);
      float& place = i < weights ? op.dw[i] : op.db[i - weights];
      for (const std::vector<float>& part : sums) place += part[i];
    }
  });
}

// launch(op): the first of the two launches.
template <class Launch>
Gradients emulate_parts(GradientCase& data, int parts, const Launch& launch) {
  return data.run([&](LinearBackwardWeights op) {
    const int weights = op.in * op.out_stride, size = weights + op.out_stride;
    GuardedArray<float> scratch(static_cast<std::size_t>(parts * size), NAN);
    op.scratch = scratch.data();
    launch(op);
    const AddParts add{op.scratch, parts, size, weights, op.dw, op.db};
    for (int i = 0; i < size; ++i) add(i);
  });
}

TEST(GemmBlocks, LongSumsInPartsAreAddedInOrder) {
  for (const Shape& shape : kShapes) {
    for (const int parts : {1, 2, 5}) {
      GradientCase data{shape};
      const Gradients expected = plain_parts(data, parts, nullptr);
      for (const Schedule& schedule : simt::all_schedules()) {
        const Gradients cuda = emulate_parts(data, parts, [&](const LinearBackwardWeights& op) {
          const auto launch = [&]<class Tile>(Tile) {
            const unsigned tiles = tile_count<Tile>(backward_weights_product(op));
            simt::run(static_cast<unsigned>(parts) * tiles, Tile::kThreads, 0, schedule,
                      PartialGradientKernel<Tile>{op, parts});
          };
          if (op.out_stride > NarrowGradientTile::kColumns) {
            launch(WideGradientTile{});
          } else {
            launch(NarrowGradientTile{});
          }
        });
        EXPECT_TRUE(same_gradients(cuda, expected)) << shape.rows << " in " << parts << " " << schedule.name();
      }
    }
  }
}

TEST(GemmBlocks, EmbeddingGradientsInPartsAreAddedInOrder) {
  for (const Shape& shape : kShapes) {
    GradientCase data{shape};
    std::vector<std::int32_t> classes;
    for (int r = 0; r < shape.rows; ++r) classes.push_back(r * r % shape.in);
    const Gradients expected = plain_parts(data, 3, classes.data());
    for (const Schedule& schedule : simt::all_schedules()) {
      const Gradients cuda = emulate_parts(data, 3, [&](const LinearBackwardWeights& op) {
        simt::run(static_cast<unsigned>(3 * (op.in + 1)), EmbeddingGradientKernel::kThreads, 0, schedule,
                  EmbeddingGradientKernel{op, classes.data(), 3});
      });
      EXPECT_TRUE(same_gradients(cuda, expected)) << shape.rows << " " << schedule.name();
    }
  }
}

// A free vector of parameters is a bias without inputs.
TEST(GemmBlocks, BiasesWithoutInputsHaveATile) {
  GradientCase data{{70, 0, 16}};
  const Gradients expected = data.run([](const auto& op) { plain_backward_weights(op, nullptr); });
  ASSERT_FALSE(same_bits(expected.biases, data.before.biases));
  const Gradients cuda = data.run([&](const auto& op) {
    emulate_product<WideGradientTile, NarrowGradientTile, true>(backward_weights_product(op), NoEpilogue{}, {});
  });
  EXPECT_TRUE(same_bits(cuda.biases, expected.biases));
}

TEST(GradientParts, AreOneForTilesOfACpuAndAllRowsTogether) {
  EXPECT_EQ(gradient_parts(128), 1);
  EXPECT_EQ(gradient_parts(1023), 1);
  EXPECT_EQ(gradient_parts(1024), 2);
  EXPECT_EQ(gradient_parts(1 << 16), 128);
  EXPECT_EQ(gradient_parts(1 << 20), 128);
  int next = 0;
  for (int p = 0; p < 7; ++p) {
    const RowPart part(257, 7, p);
    EXPECT_EQ(part.begin, next);
    next = part.end;
  }
  EXPECT_EQ(next, 257);
  const RowPart last(0x7FFFFFFF, 128, 127);
  EXPECT_EQ(last.begin, 0x7FFFFFFF - (1 << 24));
  EXPECT_EQ(last.end, 0x7FFFFFFF);
}

TEST(GemmBlocks, TransposePadsWithZeros) {
  for (const int in : {1, 17, 31}) {
    const int out = 5, out_stride = 16, in_stride = padded(in);
    GuardedArray<float> w(matrix(in, out_stride, out, 12));
    const auto size = static_cast<std::size_t>(out * in_stride);
    GuardedArray<float> wt(size, -9.0f), cpu(size, -9.0f);
    const TransposeElement element{w.data(), in, out_stride, wt.data(), in_stride};
    for (int i = 0; i < out * in_stride; ++i) element(i);
    transpose_weights(Stream::cpu(), w.data(), in, out, out_stride, cpu.data(), in_stride);
    const std::vector<float> values = wt.values();
    EXPECT_TRUE(same_bits(values, cpu.values()));
    for (int o = 0; o < out; ++o) {
      for (int k = 0; k < in_stride; ++k) {
        ASSERT_EQ(values[static_cast<std::size_t>(o * in_stride + k)], k < in ? w.data()[k * out_stride + o] : 0.0f);
      }
    }
  }
}

}  // namespace
}  // namespace stampede
