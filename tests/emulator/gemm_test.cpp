// SPDX-License-Identifier: Apache-2.0
// The CUDA matrix products under the emulator against plain fused-multiply-add loops and the CPU tiles, bit for bit.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <span>
#include <utility>

#include "kernels/gemm.h"
#include "kernels/layer_products_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

constexpr GemmActivation kActivations[] = {GemmActivation::kLinear, GemmActivation::kTanh, GemmActivation::kRelu};

// Uniform in [-1, 1); columns from `used` on are NaN, so that reading padding shows.
std::vector<float> matrix(int rows, int stride, int used, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride), NAN);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < used; ++c) {
      seed = seed * 1664525u + 1013904223u;
      values[static_cast<std::size_t>(r * stride + c)] = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
    }
  }
  return values;
}

int padded(int n) { return (n + 15) / 16 * 16; }

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

struct Shape {
  int rows, in, out_stride;
};
constexpr Shape kShapes[] = {{1, 4, 64}, {31, 2, 16}, {33, 17, 64}, {257, 4, 16}, {65, 64, 64}, {33, 65, 144}};

class ForwardCase {
 public:
  explicit ForwardCase(Shape shape)
      : shape_(shape),
        stride_(padded(shape.in) + 16),
        x_(matrix(shape.rows, stride_, shape.in, 1)),
        w_(matrix(shape.in, shape.out_stride, shape.out_stride, 2)),
        b_(matrix(1, shape.out_stride, shape.out_stride, 3)) {}

  LinearForward op(GuardedArray<float>& y, GemmActivation activation) {
    return {x_.data(),   stride_,   w_.data(),         b_.data(), y.data(), shape_.out_stride + 16,
            shape_.rows, shape_.in, shape_.out_stride, activation};
  }
  GuardedArray<float> output() const {
    return GuardedArray<float>(static_cast<std::size_t>(shape_.rows * (shape_.out_stride + 16)), -9.0f);
  }
  const float* x() { return x_.data(); }
  int stride() const { return stride_; }

 private:
  Shape shape_;
  int stride_;
  GuardedArray<float> x_, w_, b_;
};

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

// How products of a layer are launched together.
auto emulated_layers(const Schedule& schedule, int* launches) {
  return [=](unsigned grid, const auto& kernel) {
    ++*launches;
    simt::run(grid, kLayerThreads, 0, schedule, kernel);
  };
}

TEST(LayerProducts, TwoLayersForwardInOneLaunch) {
  for (const auto& [a, b] : {std::pair{Shape{31, 4, 64}, Shape{31, 17, 64}},
                             {{33, 64, 16}, {65, 3, 16}},
                             {{65, 65, 80}, {0, 2, 80}},
                             {{1, 2, 144}, {257, 4, 64}}}) {
    ForwardCase first(a), second(b);
    GuardedArray<float> expected_first = first.output(), expected_second = second.output();
    const LinearForward expected[] = {first.op(expected_first, GemmActivation::kTanh),
                                      second.op(expected_second, GemmActivation::kRelu)};
    linear_forward(Stream::cpu(), expected);
    for (const Schedule& schedule : simt::all_schedules()) {
      GuardedArray<float> y_first = first.output(), y_second = second.output();
      int launches = 0;
      launch_forward_layers(first.op(y_first, GemmActivation::kTanh), second.op(y_second, GemmActivation::kRelu),
                            emulated_layers(schedule, &launches));
      EXPECT_EQ(launches, 1);
      EXPECT_TRUE(same_bits(y_first.values(), expected_first.values())) << a.rows << " " << schedule.name();
      EXPECT_TRUE(same_bits(y_second.values(), expected_second.values())) << b.rows << " " << schedule.name();
    }
  }
}

// A layer of two towers backward: shared inputs x, derivatives and weights of their own.
struct BackwardCase {
  int rows, in, out_stride;
  bool with_weights, with_data;
  std::size_t towers = 2;
  int in_stride = padded(in);
  GuardedArray<float> x{matrix(rows, in_stride, in, 8)}, dy{matrix(2 * rows, out_stride, out_stride, 9)};
  GuardedArray<float> wt{matrix(2 * out_stride, in_stride, in_stride, 10)};

  template <class Run>
  std::vector<float> run(const Run& run) {
    const int gradient = (in + 1) * out_stride;
    GuardedArray<float> dw(matrix(2, gradient, gradient, 11)), dx(matrix(2 * rows, in_stride, in_stride, 12));
    LinearBackwardWeights weights[2];
    LinearBackwardData data[2];
    for (int t = 0; t < 2; ++t) {
      float* const own = dw.data() + t * gradient;
      const float* const derivatives = dy.data() + t * rows * out_stride;
      weights[t] = {x.data(), in_stride, derivatives, out_stride, own, own + in * out_stride, rows, in, out_stride};
      data[t] = {derivatives,
                 out_stride,
                 wt.data() + t * out_stride * in_stride,
                 in_stride,
                 x.data(),
                 in_stride,
                 dx.data() + t * rows * in_stride,
                 in_stride,
                 rows,
                 out_stride,
                 t == 0 ? GemmActivation::kTanh : GemmActivation::kRelu};
    }
    run(std::span(weights, with_weights ? towers : 0), std::span(data, with_data ? towers : 0));
    std::vector<float> all = dw.values();
    const std::vector<float> inputs = dx.values();
    all.insert(all.end(), inputs.begin(), inputs.end());
    return all;
  }
};

TEST(LayerProducts, BothGradientsOfALayerInOneLaunch) {
  BackwardCase cases[] = {{33, 64, 64, true, true},    {257, 5, 64, true, false}, {31, 64, 16, true, true},
                          {65, 7, 64, true, true},     {33, 8, 16, true, true},   {1, 65, 80, false, true},
                          {129, 64, 64, true, true, 1}};
  for (BackwardCase& c : cases) {
    const std::vector<float> expected =
        c.run([](auto weights, auto data) { linear_backward(Stream::cpu(), weights, data); });
    for (const Schedule& schedule : simt::all_schedules()) {
      int launches = 0;
      const std::vector<float> got = c.run(
          [&](auto weights, auto data) { launch_backward_layer(weights, data, emulated_layers(schedule, &launches)); });
      EXPECT_EQ(launches, 1);
      EXPECT_TRUE(same_bits(got, expected)) << c.rows << " " << c.in << " " << schedule.name();
    }
  }
}

TEST(LayerProducts, ManyTransposesInOneLaunch) {
  for (const std::size_t count : {1ul, 3ul, 8ul}) {
    std::deque<GuardedArray<float>> w, wt, expected;
    std::vector<WeightTranspose> ours, theirs;
    for (std::size_t t = 0; t < count; ++t) {
      const int in = 3 + 5 * static_cast<int>(t), out = 20 - 2 * static_cast<int>(t);
      w.emplace_back(matrix(in, 32, 32, static_cast<std::uint32_t>(t)));
      wt.emplace_back(static_cast<std::size_t>(out * padded(in)), -9.0f);
      expected.emplace_back(static_cast<std::size_t>(out * padded(in)), -9.0f);
      ours.push_back({w[t].data(), in, out, 32, wt[t].data(), padded(in)});
      theirs.push_back({w[t].data(), in, out, 32, expected[t].data(), padded(in)});
    }
    const TransposeElements elements(ours);
    for (int i = 0; i < elements.ends[TransposeElements::kMost - 1]; ++i) elements(i);
    transpose_weights(Stream::cpu(), theirs);
    for (std::size_t t = 0; t < count; ++t) EXPECT_TRUE(same_bits(wt[t].values(), expected[t].values())) << t;
  }
}

}  // namespace
}  // namespace stampede
