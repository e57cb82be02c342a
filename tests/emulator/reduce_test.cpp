// SPDX-License-Identifier: Apache-2.0
// Reductions and scans: the CUDA blocks under the emulator give the bits of the CPU functions, for any thread count.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/reduce.h"
#include "kernels/reduce_blocks.h"
#include "kernels/scan.h"
#include "kernels/scan_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

const std::size_t kSizes[] = {1, 31, 33, 257, 4095, 4097, 9001};

std::vector<float> noisy_values(std::size_t count) {
  std::vector<float> x(count);
  std::uint32_t h = 12345;
  for (float& value : x) {
    h = h * 1664525u + 1013904223u;
    value = (static_cast<float>(h >> 8) * 0x1p-24f - 0.4f) * (h & 128 ? 1000.0f : 0.001f);
  }
  return x;
}

// The launches of reduce.cu: chunks, then chunks of the partial results.
template <class Op, class Input>
typename Op::Value emulated_reduce(Input input, std::size_t count, const Schedule& schedule) {
  using Value = typename Op::Value;
  const unsigned chunks = count == 0 ? 1 : static_cast<unsigned>((count + kReduceChunk - 1) / kReduceChunk);
  GuardedArray<Value> partials(chunks, Value{-77});
  const ReduceChunkKernel<Op, Input> kernel{input, count, partials.data()};
  simt::run(chunks, kReduceLanes, 0, schedule, kernel);
  const std::vector<Value> values = partials.values();
  if (chunks == 1) return values[0];
  return emulated_reduce<Op>(Elements<Value>{values.data()}, chunks, schedule);
}

template <class Op>
float emulated_float_reduce(const std::vector<float>& x, const Schedule& schedule) {
  GuardedArray<float> in(x);
  return emulated_reduce<Op>(Elements<float>{in.data()}, x.size(), schedule);
}

using FloatReduction = void(const Stream&, const float*, std::size_t, float*, float*);

float cpu_reduce(FloatReduction* reduction, const std::vector<float>& x, int threads) {
  GuardedArray<float> scratch(reduce_scratch_size(x.size()), 0.0f);
  float result = -77.0f;
  reduction(Stream::cpu(threads), x.data(), x.size(), scratch.data(), &result);
  scratch.values();
  return result;
}

template <class Op>
void expect_same_bits(FloatReduction* reduction, const std::vector<float>& x) {
  const std::vector<float> one{cpu_reduce(reduction, x, 1)};
  EXPECT_TRUE(same_bits(one, {cpu_reduce(reduction, x, 3)})) << x.size();
  for (const Schedule& schedule : simt::all_schedules()) {
    EXPECT_TRUE(same_bits(one, {emulated_float_reduce<Op>(x, schedule)})) << x.size() << " " << schedule.name();
  }
}

TEST(Reduce, SameBitsOnCpuAndCuda) {
  for (const std::size_t count : kSizes) {
    const std::vector<float> x = noisy_values(count);
    expect_same_bits<SumOp>(reduce_sum, x);
    expect_same_bits<MinOp>(reduce_min, x);
    expect_same_bits<MaxOp>(reduce_max, x);
  }
}

TEST(Reduce, ValuesAgreeWithPlainLoops) {
  for (const std::size_t count : {1ul, 31ul, 33ul, 257ul, 4097ul, 100003ul, 4096ul * 4096ul + 1ul}) {
    const std::vector<float> x = noisy_values(count);
    double sum = 0.0, magnitude = 0.0;
    for (const float value : x) sum += value, magnitude += std::fabs(value);
    EXPECT_NEAR(cpu_reduce(reduce_sum, x, 2), sum, 1e-6 * magnitude) << count;
    EXPECT_EQ(cpu_reduce(reduce_min, x, 2), *std::min_element(x.begin(), x.end()));
    EXPECT_EQ(cpu_reduce(reduce_max, x, 2), *std::max_element(x.begin(), x.end()));
  }
}

TEST(Reduce, DotProducts) {
  for (const std::size_t count : kSizes) {
    const std::vector<float> x = noisy_values(count), y(x.rbegin(), x.rend());
    double sum = 0.0, magnitude = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const double product = static_cast<double>(x[i]) * static_cast<double>(y[i]);
      sum += product, magnitude += std::fabs(product);
    }
    GuardedArray<float> scratch(reduce_scratch_size(count), 0.0f), a(x), b(y);
    std::vector<float> one(1), two(1);
    reduce_dot(Stream::cpu(1), x.data(), y.data(), count, scratch.data(), one.data());
    reduce_dot(Stream::cpu(3), x.data(), y.data(), count, scratch.data(), two.data());
    EXPECT_NEAR(one[0], sum, 1e-6 * magnitude) << count;
    EXPECT_TRUE(same_bits(one, two)) << count;
    for (const Schedule& schedule : simt::all_schedules()) {
      const float emulated = emulated_reduce<SumOp>(Products{a.data(), b.data()}, count, schedule);
      EXPECT_TRUE(same_bits(one, {emulated})) << count << " " << schedule.name();
    }
  }
}

TEST(Reduce, EmptyAndNotANumber) {
  EXPECT_EQ(cpu_reduce(reduce_sum, {}, 1), 0.0f);
  EXPECT_EQ(cpu_reduce(reduce_min, {}, 1), INFINITY);
  EXPECT_EQ(cpu_reduce(reduce_max, {}, 1), -INFINITY);
  std::vector<float> x = noisy_values(300);
  for (const std::size_t place : {0ul, 131ul, 299ul}) {
    std::vector<float> poisoned = x;
    poisoned[place] = NAN;
    for (FloatReduction* reduction : {reduce_sum, reduce_min, reduce_max}) {
      EXPECT_TRUE(std::isnan(cpu_reduce(reduction, poisoned, 1))) << place;
    }
  }
}

TEST(Reduce, CountsFlags) {
  for (const std::size_t count : kSizes) {
    std::vector<std::uint8_t> flags(count);
    std::int32_t expected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      flags[i] = static_cast<std::uint8_t>(i * 7 % 8);
      expected += (flags[i] & 5) != 0;
    }
    std::vector<std::int32_t> scratch(reduce_scratch_size(count));
    std::int32_t result = -1;
    reduce_count(Stream::cpu(2), flags.data(), 5, count, scratch.data(), &result);
    EXPECT_EQ(result, expected);
    for (const Schedule& schedule : simt::all_schedules()) {
      EXPECT_EQ(emulated_reduce<CountOp>(FlagBits{flags.data(), 5}, count, schedule), expected) << schedule.name();
    }
  }
}

// The launches of scan.cu.
template <class T>
std::vector<T> emulated_scan(ScanKind kind, const std::vector<T>& x, const Schedule& schedule) {
  const auto chunks = static_cast<unsigned>((x.size() + kScanChunk - 1) / kScanChunk);
  GuardedArray<T> in(x), out(x.size(), T{-77});
  std::vector<T> bases;
  if (chunks > 1) {
    GuardedArray<T> totals(chunks, T{-77});
    const ScanArguments<T> sums{in.data(), x.size(), totals.data(), nullptr, nullptr, kind};
    simt::run(chunks, kScanLanes, 0, schedule, ScanChunkKernel<T>{sums});
    bases = emulated_scan(ScanKind::kExclusive, totals.values(), schedule);
  }
  const ScanArguments<T> scan{in.data(), x.size(), nullptr, bases.empty() ? nullptr : bases.data(), out.data(), kind};
  simt::run(chunks, kScanLanes, 0, schedule, ScanChunkKernel<T>{scan});
  return out.values();
}

template <class T>
std::vector<T> cpu_scan(ScanKind kind, const std::vector<T>& x, int threads) {
  GuardedArray<T> scratch(scan_scratch_size(x.size()), T{0}), out(x.size(), T{-77});
  const auto function = [kind](auto... arguments) {
    return kind == ScanKind::kInclusive ? inclusive_scan(arguments...) : exclusive_scan(arguments...);
  };
  function(Stream::cpu(threads), x.data(), out.data(), x.size(), scratch.data());
  scratch.values();
  return out.values();
}

TEST(Scan, SameBitsOnCpuAndCuda) {
  for (const std::size_t count : {1ul, 31ul, 33ul, 257ul, 1024ul, 1025ul, 5003ul}) {
    const std::vector<float> x = noisy_values(count);
    for (const ScanKind kind : {ScanKind::kInclusive, ScanKind::kExclusive}) {
      const std::vector<float> expected = cpu_scan(kind, x, 1);
      EXPECT_TRUE(same_bits(expected, cpu_scan(kind, x, 3))) << count;
      for (const Schedule& schedule : simt::all_schedules()) {
        EXPECT_TRUE(same_bits(expected, emulated_scan(kind, x, schedule))) << count << " " << schedule.name();
      }
    }
  }
}

TEST(Scan, IntegersAreExact) {
  for (const std::size_t count : {1ul, 31ul, 33ul, 257ul, 1025ul, 1024ul * 1024ul + 33ul}) {
    std::vector<std::int32_t> x(count), inclusive(count), exclusive(count);
    for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<std::int32_t>(i * 31 % 101) - 50;
    std::partial_sum(x.begin(), x.end(), inclusive.begin());
    std::exclusive_scan(x.begin(), x.end(), exclusive.begin(), 0);
    EXPECT_EQ(cpu_scan(ScanKind::kInclusive, x, 2), inclusive) << count;
    EXPECT_EQ(cpu_scan(ScanKind::kExclusive, x, 2), exclusive) << count;
    if (count > 2000) continue;
    for (const Schedule& schedule : simt::all_schedules()) {
      EXPECT_EQ(emulated_scan(ScanKind::kInclusive, x, schedule), inclusive) << schedule.name();
      EXPECT_EQ(emulated_scan(ScanKind::kExclusive, x, schedule), exclusive) << schedule.name();
    }
  }
}

TEST(Scan, InPlaceAndFloatAccuracy) {
  std::vector<float> x = noisy_values(5003);
  std::vector<float> scratch(scan_scratch_size(x.size()));
  const std::vector<float> apart = cpu_scan(ScanKind::kInclusive, x, 1);
  double sum = 0.0, magnitude = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += x[i];
    magnitude += std::fabs(x[i]);
    ASSERT_NEAR(apart[i], sum, 1e-6 * magnitude) << i;
  }
  inclusive_scan(Stream::cpu(), x.data(), x.data(), x.size(), scratch.data());
  EXPECT_TRUE(same_bits(x, apart));
}

}  // namespace
}  // namespace stampede
