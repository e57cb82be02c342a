// SPDX-License-Identifier: Apache-2.0
// Batch normalisation's CUDA kernels under the emulator: the bits of the CPU's.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/batch_norm_blocks.h"
#include "tests/emulator/guarded_array.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::Schedule;

std::vector<float> spread(std::size_t count, int seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>((i * 37 + static_cast<std::size_t>(seed) * 11) % 101) / 32.0f - 1.4f;
  }
  return values;
}

// A batch forward and back; forward() and backward() launch or call.
template <class Forward, class Backward>
std::vector<float> normalised(int rows, int stride, const Forward& forward, const Backward& backward) {
  const auto width = static_cast<std::size_t>(stride), count = width * static_cast<std::size_t>(rows);
  GuardedArray<float> x(spread(count, 1)), y(count, 0.0f), dy(spread(count, 2)), gain(spread(width, 3));
  GuardedArray<float> bias(spread(width, 4)), mean(width, 0.0f), variance(width, 0.0f);
  GuardedArray<float> d_gain(spread(width, 5)), d_bias(spread(width, 6));
  forward(BatchNormForward{x.data(), gain.data(), bias.data(), y.data(), mean.data(), variance.data(), rows, stride,
                           GemmActivation::kTanh});
  backward(
      BatchNormBackward{dy.data(), x.data(), variance.data(), gain.data(), d_gain.data(), d_bias.data(), rows, stride});
  std::vector<float> all;
  for (auto* values : {&x, &y, &dy, &mean, &variance, &d_gain, &d_bias}) {
    const std::vector<float> own = values->values();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

std::vector<float> emulated(int rows, int stride, const Schedule& schedule) {
  const auto run = [&](const auto& kernel) {
    simt::run(static_cast<unsigned>(stride / kBatchNormColumns), kBatchNormThreads, 0, schedule, kernel);
  };
  return normalised(
      rows, stride, [&](const BatchNormForward& op) { run(BatchForwardKernel{op}); },
      [&](const BatchNormBackward& op) { run(BatchBackwardKernel{op}); });
}

TEST(BatchNormBlocks, SameBitsAsTheCpu) {
  const Stream stream = Stream::cpu();
  for (const int rows : {1, 15, 16, 31, 33, 257}) {
    for (const int stride : {16, 48}) {
      const std::vector<float> expected = normalised(
          rows, stride, [&](const BatchNormForward& op) { batch_norm_forward(stream, op); },
          [&](const BatchNormBackward& op) { batch_norm_backward(stream, op); });
      for (const Schedule& schedule : simt::all_schedules()) {
        EXPECT_TRUE(simt::same_bits(emulated(rows, stride, schedule), expected)) << rows << " " << schedule.name();
      }
    }
  }
}

// In double: the mean, the variance and what follows.
TEST(BatchNormBlocks, SumsAreThoseOfTheRows) {
  constexpr int kRows = 257, kStride = 16;
  const std::vector<float> x = spread(kRows * kStride, 1), got = emulated(kRows, kStride, {});
  const std::size_t means = 3 * static_cast<std::size_t>(kRows * kStride);
  for (std::size_t c = 0; c < kStride; ++c) {
    double mean = 0.0, variance = 0.0;
    for (std::size_t r = 0; r < kRows; ++r) mean += static_cast<double>(x[r * kStride + c]) / kRows;
    for (std::size_t r = 0; r < kRows; ++r)
      variance += std::pow(static_cast<double>(x[r * kStride + c]) - mean, 2.0) / kRows;
    EXPECT_NEAR(got[means + c], mean, 1e-6);
    EXPECT_NEAR(got[means + kStride + c], variance, 1e-6);
  }
}

TEST(BatchNormBlocks, InferenceIsElementwise) {
  constexpr int kRows = 33, kStride = 32;
  const std::vector<float> x = spread(kRows * kStride, 1);
  GuardedArray<float> ours(x), theirs(x), gain(spread(kStride, 2)), bias(spread(kStride, 3)), mean(spread(kStride, 4));
  GuardedArray<float> variance(kStride, 0.7f);
  const auto op = [&](GuardedArray<float>& values) {
    return BatchNormInference{values.data(),   gain.data(), bias.data(), mean.data(),
                              variance.data(), kRows,       kStride,     GemmActivation::kRelu};
  };
  for (int i = 0; i < kRows * kStride; ++i) BatchInferenceElement{op(ours)}(i);
  batch_norm_inference(Stream::cpu(), op(theirs));
  EXPECT_TRUE(simt::same_bits(ours.values(), theirs.values()));
}

TEST(RemovedBarriers, OfBatchNormalisation) {
  const auto launch = [](const Schedule& schedule) { return emulated(65, 16, schedule); };
  EXPECT_EQ(simt::expect_barriers_are_needed(launch), 3u);
}

}  // namespace
}  // namespace stampede
