// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/math.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

int padded(int size) { return (size + 15) / 16 * 16; }

// [rows, padded(columns)] of random numbers with zero padding.
struct Matrix {
  Matrix(int row_count, int column_count, std::uint64_t seed, int extra_stride = 0)
      : rows(row_count),
        columns(column_count),
        stride(padded(column_count) + extra_stride),
        memory(Device{}, static_cast<std::size_t>(rows * stride)) {
    for (int r = 0; r < rows && seed != 0; ++r) {
      for (int c = 0; c < columns; ++c) {
        const RandomKey key{seed, static_cast<std::uint64_t>(r), Purpose::kPermutation};
        at(r, c) = 2.0f * uniform_float(key.lane_word(static_cast<std::uint32_t>(c))) - 1.0f;
      }
    }
  }
  float& at(int r, int c) { return memory.data()[r * stride + c]; }
  float* data() { return memory.data(); }

  int rows, columns, stride;
  Buffer<float> memory;
};

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

float activate(float x, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return tanh_of(x);
  if (activation == GemmActivation::kRelu) return x < 0.0f ? 0.0f : x;
  return x;
}

constexpr GemmActivation kActivations[] = {GemmActivation::kLinear, GemmActivation::kTanh, GemmActivation::kRelu};
constexpr int kRows[] = {1, 2, 5, 6, 7, 13, 31, 33, 64, 257};
struct Shape {
  int in, out;
};
constexpr Shape kShapes[] = {{4, 64}, {1, 1}, {3, 17}, {31, 33}, {64, 2}, {33, 48}, {65, 100}, {16, 144}, {257, 31}};

// out: columns that are not padding, or 0 where the caller does not say.
void check_forward(const Shape& shape, int rows, GemmActivation activation, int out) {
  Matrix x(rows, shape.in, 1, 16), w(shape.in, shape.out, 2), b(1, shape.out, 3), y(rows, shape.out, 0, 32);
  linear_forward(Stream::cpu(), {x.data(), x.stride, w.data(), b.data(), y.data(), y.stride, rows, shape.in,
                                 padded(shape.out), activation, out});
  for (int r = 0; r < rows; ++r) {
    for (int o = 0; o < padded(shape.out); ++o) {
      float sum = b.at(0, o);
      for (int k = 0; k < shape.in; ++k) sum = std::fmaf(x.at(r, k), w.at(k, o), sum);
      ASSERT_TRUE(same_bits(y.at(r, o), activate(sum, activation)))
          << shape.in << "x" << shape.out << " rows " << rows << " at " << r << "," << o << " out " << out;
    }
    for (int o = padded(shape.out); o < y.stride; ++o) ASSERT_EQ(y.at(r, o), 0.0f);
  }
}

TEST(Gemm, ForwardMatchesOneFusedChainPerOutputBitForBit) {
  for (const Shape shape : kShapes) {
    for (const int rows : kRows) {
      for (const GemmActivation activation : kActivations) {
        check_forward(shape, rows, activation, 0);
        check_forward(shape, rows, activation, shape.out);
      }
    }
  }
}

TEST(Gemm, NarrowLayersAddInTheSameOrder) {
  for (const int rows : {1, 15, 16, 17, 31, 33, 257}) {
    for (const int in : {1, 7, 16, 31, 64, 257}) {
      for (const int out : {1, 2, 3, 4}) check_forward({in, out}, rows, GemmActivation::kLinear, out);
    }
  }
}

float derivative(float value, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return std::fmaf(-value, value, 1.0f);
  return 1.0f;
}

TEST(Gemm, BackwardDataMatchesOneFusedChainPerInputBitForBit) {
  const Stream stream = Stream::cpu();
  for (const Shape shape : kShapes) {
    for (const int rows : kRows) {
      for (const GemmActivation activation : kActivations) {
        Matrix dy(rows, shape.out, 1), wt(shape.out, shape.in, 2), x(rows, shape.in, 3), dx(rows, shape.in, 0);
        linear_backward_data(stream, {dy.data(), dy.stride, wt.data(), wt.stride, x.data(), x.stride, dx.data(),
                                      dx.stride, rows, shape.out, activation});
        for (int r = 0; r < rows; ++r) {
          for (int k = 0; k < dx.stride; ++k) {
            float sum = 0.0f;
            for (int o = 0; o < shape.out; ++o) sum = std::fmaf(dy.at(r, o), wt.at(o, k), sum);
            if (activation == GemmActivation::kRelu && x.at(r, k) <= 0.0f) sum = 0.0f;
            ASSERT_TRUE(same_bits(dx.at(r, k), sum * derivative(x.at(r, k), activation)))
                << shape.in << "x" << shape.out << " rows " << rows << " at " << r << "," << k;
          }
        }
      }
    }
  }
}

TEST(Gemm, BackwardDataAccumulatesWhenAsked) {
  Matrix dy(7, 3, 1), wt(3, 80, 2), dx(7, 80, 3), before(7, 80, 3);
  linear_backward_data(Stream::cpu(), {dy.data(), dy.stride, wt.data(), wt.stride, nullptr, 0, dx.data(), dx.stride, 7,
                                       3, GemmActivation::kLinear, true});
  for (int r = 0; r < 7; ++r) {
    for (int k = 0; k < 80; ++k) {
      float sum = before.at(r, k);
      for (int o = 0; o < 3; ++o) sum = std::fmaf(dy.at(r, o), wt.at(o, k), sum);
      ASSERT_TRUE(same_bits(dx.at(r, k), sum));
    }
  }
}

void expect_backward_weights(Shape shape, int rows, bool tell_width) {
  Matrix x(rows, shape.in, 1), dy(rows, shape.out, 2), dw(shape.in, shape.out, 3), db(1, shape.out, 4);
  Matrix dw_before(shape.in, shape.out, 3), db_before(1, shape.out, 4);
  linear_backward_weights(Stream::cpu(), {x.data(), x.stride, dy.data(), dy.stride, dw.data(), db.data(), rows,
                                          shape.in, dw.stride, tell_width ? shape.out : 0});
  for (int o = 0; o < dw.stride; ++o) {
    float bias = db_before.at(0, o);
    for (int r = 0; r < rows; ++r) bias += dy.at(r, o);
    ASSERT_TRUE(same_bits(db.at(0, o), bias));
    for (int k = 0; k < shape.in; ++k) {
      float sum = dw_before.at(k, o);
      for (int r = 0; r < rows; ++r) sum = std::fmaf(x.at(r, k), dy.at(r, o), sum);
      ASSERT_TRUE(same_bits(dw.at(k, o), sum)) << shape.in << "x" << shape.out << " rows " << rows;
    }
  }
}

TEST(Gemm, BackwardWeightsAddRowsInAscendingOrderBitForBit) {
  for (const Shape shape : kShapes) {
    for (const int rows : kRows) {
      expect_backward_weights(shape, rows, false);
      expect_backward_weights(shape, rows, true);
    }
  }
  for (const int out : {1, 2, 3, 4, 5}) {
    for (const int in : {1, 16, 31, 64, 65, 144, 257}) expect_backward_weights({in, out}, 33, true);
  }
}

TEST(Gemm, EmbeddingEqualsOneHotRows) {
  const Stream stream = Stream::cpu();
  const int rows = 33, classes = 31, out = 40;
  Matrix x(rows, classes, 0), w(classes, out, 2), b(1, out, 3), y(rows, out, 0), y_hot(rows, out, 0), dy(rows, out, 5);
  Matrix dw(classes, out, 0), db(1, out, 0), dw_hot(classes, out, 0), db_hot(1, out, 0);
  std::vector<std::int32_t> index(rows);
  for (int r = 0; r < rows; ++r) {
    index[static_cast<std::size_t>(r)] = (r * 7) % classes;
    x.at(r, (r * 7) % classes) = 1.0f;
  }
  const int stride = padded(out);
  const LinearForward op{x.data(), x.stride, w.data(), b.data(), y.data(),
                         y.stride, rows,     classes,  stride,   GemmActivation::kTanh};
  embedding_forward(stream, op, index.data());
  LinearForward hot = op;
  hot.y = y_hot.data();
  linear_forward(stream, hot);
  embedding_backward_weights(stream, {nullptr, 0, dy.data(), dy.stride, dw.data(), db.data(), rows, classes, stride},
                             index.data());
  linear_backward_weights(
      stream, {x.data(), x.stride, dy.data(), dy.stride, dw_hot.data(), db_hot.data(), rows, classes, stride});
  for (int o = 0; o < out; ++o) {
    for (int r = 0; r < rows; ++r) ASSERT_EQ(y.at(r, o), y_hot.at(r, o));
    for (int k = 0; k < classes; ++k) ASSERT_EQ(dw.at(k, o), dw_hot.at(k, o));
    ASSERT_EQ(db.at(0, o), db_hot.at(0, o));
  }
}

TEST(Gemm, TransposeWritesEveryElementAndZeroPadding) {
  for (const Shape shape : kShapes) {
    Matrix w(shape.in, shape.out, 1), wt(shape.out, shape.in, 2);
    for (int o = 0; o < shape.out; ++o) {
      for (int k = 0; k < wt.stride; ++k) wt.at(o, k) = 9.0f;
    }
    transpose_weights(Stream::cpu(), w.data(), shape.in, shape.out, w.stride, wt.data(), wt.stride);
    for (int o = 0; o < shape.out; ++o) {
      for (int k = 0; k < wt.stride; ++k) ASSERT_EQ(wt.at(o, k), k < shape.in ? w.at(k, o) : 0.0f);
    }
  }
}

TEST(Gemm, NanIsNeverHidden) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const GemmActivation activation : kActivations) {
    Matrix x(9, 5, 1), w(5, 20, 2), b(1, 20, 3), y(9, 20, 0), dy(9, 20, 4), wt(20, 20, 6), dx(9, 20, 0);
    x.at(4, 2) = nan;
    linear_forward(Stream::cpu(), {x.data(), x.stride, w.data(), b.data(), y.data(), y.stride, 9, 5, 32, activation});
    dy.at(4, 3) = nan;
    linear_backward_data(Stream::cpu(), {dy.data(), dy.stride, wt.data(), wt.stride, y.data(), y.stride, dx.data(),
                                         dx.stride, 9, 20, activation});
    for (int r = 0; r < 9; ++r) {
      for (int o = 0; o < 20; ++o) {
        ASSERT_EQ(std::isnan(y.at(r, o)), r == 4) << static_cast<int>(activation);
        ASSERT_EQ(std::isnan(dx.at(r, o)), r == 4) << static_cast<int>(activation);
      }
    }
  }
}

}  // namespace
}  // namespace stampede
