// SPDX-License-Identifier: Apache-2.0
// Reductions, scans, matrix products and optimisers give the same bits on a CPU, with any number of threads, and on
// CUDA.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kernels/batch_norm.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "tests/parity/device_array.h"

namespace stampede {
namespace {

std::vector<float> noise(std::size_t count, std::uint32_t seed, float size = 1.0f) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f) * size;
  }
  return values;
}

// Runs `compute` on one CPU thread and on every other stream, and expects the same bits from each.
template <class Compute>
void expect_parity(const Compute& compute) {
  const auto expected = compute(Stream::cpu(1));
  for (const Stream& stream : streams_to_compare()) {
    const auto result = compute(stream);
    ASSERT_EQ(result.size(), expected.size());
    EXPECT_TRUE(same_bits(result, expected)) << device_name(stream.device());
  }
}

void append(std::vector<float>& all, const std::vector<float>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

TEST(KernelParity, Reductions) {
  for (const std::size_t count : {1ul, 31ul, 33ul, 257ul, 4097ul, 1000003ul}) {
    expect_parity([&](const Stream& stream) {
      const DeviceArray<float> x(stream, noise(count, 1)), scratch(stream, reduce_scratch_size(count) + 1);
      const DeviceArray<float> result(stream, 3);
      reduce_sum(stream, x.data(), count, scratch.data(), result.data());
      reduce_min(stream, x.data(), count, scratch.data(), result.data() + 1);
      reduce_max(stream, x.data(), count, scratch.data(), result.data() + 2);
      return result.values();
    });
  }
}

// Rows with zero padding behind `size` columns.
std::vector<float> padded_rows(std::size_t rows, std::size_t size, std::size_t stride, std::uint32_t seed) {
  std::vector<float> values = noise(rows * stride, seed, 2.0f);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % stride < size ? values[i] : 0.0f;
  return values;
}

TEST(KernelParity, LayerNormalisation) {
  for (const auto& [rows, size, stride] : {std::array{1, 1, 16}, {33, 17, 32}, {257, 64, 64}, {2050, 100, 112}}) {
    expect_parity([&, n = static_cast<std::size_t>(rows), width = static_cast<std::size_t>(size),
                   pitch = static_cast<std::size_t>(stride)](const Stream& stream) {
      const auto array = [&](std::size_t count, std::uint32_t seed) {
        return DeviceArray<float>(stream, padded_rows(count, width, pitch, seed));
      };
      const DeviceArray<float> x = array(n, 1), gain = array(1, 2), bias = array(1, 3), dy = array(n, 4);
      const DeviceArray<float> d_gain = array(1, 5), d_bias = array(1, 6), dx = array(n, 7);
      const DeviceArray<float> y(stream, n * pitch), inverse(stream, n);
      const int r = static_cast<int>(n), s = static_cast<int>(width), p = static_cast<int>(pitch);
      constexpr GemmActivation kActivation = GemmActivation::kTanh;
      layer_norm_forward(stream, {x.data(), gain.data(), bias.data(), y.data(), inverse.data(), r, s, p, kActivation});
      layer_norm_tangent(stream, {dx.data(), x.data(), inverse.data(), gain.data(), d_gain.data(), d_bias.data(),
                                  y.data(), r, s, p, kActivation});
      layer_norm_backward(stream,
                          {dy.data(), x.data(), inverse.data(), gain.data(), d_gain.data(), d_bias.data(), r, s, p});
      std::vector<float> all;
      for (const DeviceArray<float>* values : {&x, &y, &inverse, &dy, &d_gain, &d_bias, &dx}) {
        append(all, values->values());
      }
      return all;
    });
  }
}

TEST(KernelParity, BatchNormalisation) {
  for (const auto& [rows, size, stride] : {std::array{1, 1, 16}, {33, 17, 32}, {257, 64, 64}, {1025, 100, 112}}) {
    expect_parity([&, n = static_cast<std::size_t>(rows), width = static_cast<std::size_t>(size),
                   pitch = static_cast<std::size_t>(stride)](const Stream& stream) {
      const auto array = [&](std::size_t count, std::uint32_t seed) {
        return DeviceArray<float>(stream, padded_rows(count, width, pitch, seed));
      };
      const DeviceArray<float> x = array(n, 1), gain = array(1, 2), bias = array(1, 3), dy = array(n, 4);
      const DeviceArray<float> d_gain = array(1, 5), d_bias = array(1, 6), later = array(n, 7);
      const DeviceArray<float> running_mean = array(1, 8), running_variance(stream, std::vector<float>(pitch, 0.5f));
      const DeviceArray<float> y(stream, n * pitch), mean(stream, pitch), variance(stream, pitch);
      const int r = static_cast<int>(n), p = static_cast<int>(pitch);
      constexpr GemmActivation kActivation = GemmActivation::kTanh;
      batch_norm_forward(
          stream, {x.data(), gain.data(), bias.data(), y.data(), mean.data(), variance.data(), r, p, kActivation});
      batch_norm_backward(stream,
                          {dy.data(), x.data(), variance.data(), gain.data(), d_gain.data(), d_bias.data(), r, p});
      update_running_statistics(stream,
                                {mean.data(), variance.data(), running_mean.data(), running_variance.data(), r, p});
      batch_norm_inference(stream, {later.data(), gain.data(), bias.data(), running_mean.data(),
                                    running_variance.data(), r, p, kActivation});
      std::vector<float> all;
      for (const DeviceArray<float>* values :
           {&x, &y, &dy, &d_gain, &d_bias, &running_mean, &running_variance, &later}) {
        append(all, values->values());
      }
      return all;
    });
  }
}

TEST(KernelParity, CountsAndScans) {
  for (const std::size_t count : {1ul, 31ul, 33ul, 257ul, 1025ul, 300007ul}) {
    expect_parity([&](const Stream& stream) {
      std::vector<std::int32_t> numbers(count);
      std::vector<std::uint8_t> flags(count);
      for (std::size_t i = 0; i < count; ++i) {
        numbers[i] = static_cast<std::int32_t>(i * 31 % 101) - 50;
        flags[i] = static_cast<std::uint8_t>(i * 7 % 8);
      }
      const DeviceArray<std::int32_t> x(stream, numbers), scratch(stream, scan_scratch_size(count) + 1);
      const DeviceArray<std::int32_t> out(stream, 2 * count + 1);
      const DeviceArray<std::uint8_t> bytes(stream, flags);
      inclusive_scan(stream, x.data(), out.data(), count, scratch.data());
      exclusive_scan(stream, x.data(), out.data() + count, count, scratch.data());
      reduce_count(stream, bytes.data(), 4, count, scratch.data(), out.data() + 2 * count);
      return out.values();
    });
    expect_parity([&](const Stream& stream) {
      const DeviceArray<float> x(stream, noise(count, 2)), scratch(stream, scan_scratch_size(count) + 1);
      inclusive_scan(stream, x.data(), x.data(), count, scratch.data());
      return x.values();
    });
  }
}

struct Shape {
  int rows, in, out_stride;
};
constexpr Shape kShapes[] = {{1, 4, 64}, {31, 2, 16}, {33, 17, 64}, {257, 4, 16}, {4097, 64, 64}, {257, 130, 256}};

std::size_t area(int rows, int columns) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }

std::vector<float> forward(const Stream& stream, Shape shape, GemmActivation activation) {
  const int stride = (shape.in + 15) / 16 * 16;
  const DeviceArray<float> x(stream, noise(area(shape.rows, stride), 3)), y(stream, area(shape.rows, shape.out_stride));
  const DeviceArray<float> w(stream, noise(area(shape.in, shape.out_stride), 4));
  const DeviceArray<float> b(stream, noise(area(1, shape.out_stride), 5));
  linear_forward(stream, {x.data(), stride, w.data(), b.data(), y.data(), shape.out_stride, shape.rows, shape.in,
                          shape.out_stride, activation});
  return y.values();
}

std::vector<float> backward_data(const Stream& stream, Shape shape, GemmActivation activation) {
  const int in_stride = (shape.in + 15) / 16 * 16, out = shape.out_stride;
  const DeviceArray<float> dy(stream, noise(area(shape.rows, out), 6)), w(stream, noise(area(shape.in, out), 7));
  const DeviceArray<float> wt(stream, area(out, in_stride)), x(stream, noise(area(shape.rows, in_stride), 8));
  const DeviceArray<float> dx(stream, area(shape.rows, in_stride));
  transpose_weights(stream, w.data(), shape.in, out, out, wt.data(), in_stride);
  linear_backward_data(stream, {dy.data(), out, wt.data(), in_stride, x.data(), in_stride, dx.data(), in_stride,
                                shape.rows, out, activation});
  std::vector<float> all = dx.values();
  append(all, wt.values());
  return all;
}

std::vector<float> backward_weights(const Stream& stream, Shape shape) {
  const int stride = (shape.in + 15) / 16 * 16;
  const DeviceArray<float> x(stream, noise(area(shape.rows, stride), 9));
  const DeviceArray<float> dy(stream, noise(area(shape.rows, shape.out_stride), 10));
  const DeviceArray<float> dw(stream, noise(area(shape.in, shape.out_stride), 11));
  const DeviceArray<float> db(stream, noise(area(1, shape.out_stride), 12));
  linear_backward_weights(stream, {x.data(), stride, dy.data(), shape.out_stride, dw.data(), db.data(), shape.rows,
                                   shape.in, shape.out_stride});
  std::vector<float> all = dw.values();
  append(all, db.values());
  return all;
}

std::vector<float> embedding(const Stream& stream, Shape shape) {
  std::vector<std::int32_t> chosen;
  for (int r = 0; r < shape.rows; ++r) chosen.push_back(static_cast<std::int32_t>(area(r, r + 7)) % shape.in);
  const DeviceArray<std::int32_t> classes(stream, chosen);
  const DeviceArray<float> w(stream, noise(area(shape.in, shape.out_stride), 13));
  const DeviceArray<float> b(stream, noise(area(1, shape.out_stride), 14)),
      y(stream, area(shape.rows, shape.out_stride));
  embedding_forward(stream,
                    {nullptr, 0, w.data(), b.data(), y.data(), shape.out_stride, shape.rows, shape.in, shape.out_stride,
                     GemmActivation::kTanh},
                    classes.data());
  embedding_backward_weights(
      stream, {nullptr, 0, y.data(), shape.out_stride, w.data(), b.data(), shape.rows, shape.in, shape.out_stride},
      classes.data());
  std::vector<float> all = y.values();
  append(all, w.values());
  append(all, b.values());
  return all;
}

TEST(KernelParity, MatrixProducts) {
  for (const Shape& shape : kShapes) {
    for (const auto activation : {GemmActivation::kLinear, GemmActivation::kTanh, GemmActivation::kRelu}) {
      expect_parity([&](const Stream& stream) { return forward(stream, shape, activation); });
      expect_parity([&](const Stream& stream) { return backward_data(stream, shape, activation); });
    }
    expect_parity([&](const Stream& stream) { return backward_weights(stream, shape); });
    expect_parity([&](const Stream& stream) { return embedding(stream, shape); });
  }
}

std::vector<float> optimize(const Stream& stream, const OptimizerConfig& config, std::size_t count, int groups) {
  const DeviceArray<float> parameters(stream, noise(count, 15)), first(stream, count), second(stream, count);
  const DeviceArray<float> gradients(stream, area(groups, static_cast<int>(count)));
  const DeviceArray<float> scratch(stream, optimizer_scratch_size(count)), target(stream, noise(count, 16));
  const DeviceArray<LearnerState> state(stream, std::vector<LearnerState>(1));
  const OptimizerBlocks blocks{parameters.data(), gradients.data(), first.data(), second.data(), scratch.data(), count};
  for (std::uint32_t step = 0; step < 5; ++step) {
    const std::vector<float> fresh = noise(count * static_cast<std::size_t>(groups), 17 + step, 0.1f);
    copy_to_device(stream, gradients.data(), fresh.data(), fresh.size() * sizeof(float));
    optimizer_step(stream, config, blocks, groups, 0.01f, 0.5f, state.data());
    polyak_update(stream, parameters.data(), target.data(), count, 0.1f);
  }
  std::vector<float> all = parameters.values();
  append(all, first.values());
  append(all, second.values());
  append(all, target.values());
  const LearnerState last = state.values()[0];
  append(all, {last.gradient_norm, static_cast<float>(last.step), static_cast<float>(last.failed)});
  return all;
}

TEST(KernelParity, OptimizerSteps) {
  for (const auto kind : {OptimizerKind::kAdam, OptimizerKind::kAdamW, OptimizerKind::kRmsProp, OptimizerKind::kSgd,
                          OptimizerKind::kRAdam}) {
    OptimizerConfig config;
    config.kind = kind;
    config.weight_decay = 0.01f;
    config.max_norm = 0.5f;
    config.max_value = 0.05f;
    for (const std::size_t count : {16ul, 4112ul, 70000ul}) {
      expect_parity([&](const Stream& stream) { return optimize(stream, config, count, 1); });
      expect_parity([&](const Stream& stream) { return optimize(stream, config, count, 7); });
    }
  }
}

TEST(KernelParity, CudaWasCompared) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  EXPECT_EQ(streams_to_compare().size(), 2u);
}

}  // namespace
}  // namespace stampede
