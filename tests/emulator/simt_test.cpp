// SPDX-License-Identifier: Apache-2.0
// The emulator itself: right kernels give right results in every order, and each planted bug is found.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/emulator/guarded_array.h"
#include "tests/emulator/removed_barriers.h"

namespace {

using simt::GuardedArray;
using simt::Schedule;

// One partial sum per block: a warp tree by shuffles, then the warps' sums through shared memory.
template <bool kBarrier>
struct BlockSum {
  const float* x;  // [n]
  float* sums;     // [grid]
  unsigned n;

  void operator()() const {
    SHARED_ARRAY(float, warp_sums, 32);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float value = i < n ? x[i] : 0.0f;
    for (unsigned delta = 16; delta > 0; delta /= 2) value += __shfl_down_sync(0xffffffffu, value, delta);
    if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
    if constexpr (kBarrier) __syncthreads();
    if (threadIdx.x == 0) {
      float total = 0.0f;
      for (unsigned w = 0; w < blockDim.x / 32; ++w) total += warp_sums[w];
      sums[blockIdx.x] = total;
    }
  }
};

template <bool kBarrier>
std::vector<float> block_sums(const Schedule& schedule) {
  std::vector<float> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17);
  GuardedArray<float> in(x), out(4, -1.0f);
  simt::run(4, 256, 0, schedule, BlockSum<kBarrier>{in.data(), out.data(), 1000});
  return out.values();
}

TEST(SimtEmulator, BlockSumIsExactInEveryOrder) {
  for (const Schedule& schedule : simt::all_schedules()) {
    const std::vector<float> sums = block_sums<true>(schedule);
    float total = 0.0f;
    for (const float sum : sums) total += sum;
    float expected = 0.0f;
    for (int i = 0; i < 1000; ++i) expected += static_cast<float>(i % 17);
    EXPECT_EQ(total, expected) << schedule.name();
  }
}

TEST(SimtEmulator, RemovedBarrierShowsAsPoison) {
  int wrong = 0;
  for (const Schedule& schedule : simt::all_schedules()) {
    for (const float sum : block_sums<false>(schedule)) wrong += std::isnan(sum);
  }
  EXPECT_GT(wrong, 0);
}

// Reverses tiles in place through shared memory; without the second barrier a fast thread overwrites what a slow one
// still has to read.
std::vector<int> reverse_tiles(const Schedule& schedule, bool second_barrier) {
  std::vector<int> x(256);
  for (int i = 0; i < 256; ++i) x[static_cast<std::size_t>(i)] = i;
  GuardedArray<int> data(x);
  int* p = data.data();
  simt::run(1, 64, 0, schedule, [p, second_barrier] {
    SHARED_ARRAY(int, tile, 64);
    for (unsigned begin = 0; begin < 256; begin += 64) {
      tile[threadIdx.x] = p[begin + threadIdx.x];
      __syncthreads();
      p[begin + threadIdx.x] = tile[63 - threadIdx.x];
      if (second_barrier) __syncthreads();
    }
  });
  return data.values();
}

TEST(SimtEmulator, MissingSecondBarrierGivesWrongResults) {
  std::vector<int> expected;
  for (int tile = 0; tile < 4; ++tile) {
    for (int i = 63; i >= 0; --i) expected.push_back(tile * 64 + i);
  }
  int wrong = 0;
  for (const Schedule& schedule : simt::all_schedules()) {
    EXPECT_EQ(reverse_tiles(schedule, true), expected) << schedule.name();
    wrong += reverse_tiles(schedule, false) != expected;
  }
  EXPECT_GT(wrong, 0);
}

// Neighbouring lanes exchange through shared memory; no shuffle keeps the warp together.
std::vector<int> neighbours(const Schedule& schedule) {
  GuardedArray<int> out(32, 0);
  int* p = out.data();
  simt::run(1, 32, 0, schedule, [p] {
    SHARED_ARRAY(int, lanes, 32);
    lanes[threadIdx.x] = static_cast<int>(threadIdx.x);
    __syncwarp();
    p[threadIdx.x] = lanes[threadIdx.x ^ 1];
  });
  return out.values();
}

// Where warps keep pace, a late read looks as if a barrier stood before it.
struct LateReadKernel {
  int* found;

  void operator()() const {
    SHARED_ARRAY(int, mine, 2);
    const unsigned warp = threadIdx.x / 32;
    mine[warp] = 1;
    for (int pause = 0; pause < 9; ++pause) __syncwarp();
    found[threadIdx.x] = mine[1 - warp];
  }
};

TEST(SimtEmulator, AWarpThatRunsAheadMissesWhatOthersHaveYetToWrite) {
  const auto reads = [](simt::Order order) {
    std::vector<int> found(64);
    simt::run(1, 64, 0, {order, 1}, LateReadKernel{found.data()});
    return std::count(found.begin(), found.end(), 1);
  };
  EXPECT_EQ(reads(simt::Order::kForward), 64);
  EXPECT_EQ(reads(simt::Order::kReverse), 64);
  EXPECT_EQ(reads(simt::Order::kWarps), 32);
}

TEST(SimtEmulator, MissingWarpBarrierShowsAsPoison) {
  EXPECT_EQ(simt::expect_barriers_are_needed(neighbours), 1u);
  EXPECT_EQ(neighbours({})[4], 5);
}

TEST(SimtEmulator, OffByOneBeyondGlobalArrayIsFound) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer stops at the write itself";
#endif
  GuardedArray<float> out(33, 0.0f);
  float* p = out.data();
  simt::run(2, 32, 0, {}, [p] {
    const unsigned i = blockIdx.x * 32 + threadIdx.x;
    if (i <= 33) p[i] = 1.0f;  // the bug: <= for <
  });
  EXPECT_THROW(out.values(), simt::Error);
}

TEST(SimtEmulator, OffByOneBeyondSharedArrayIsFound) {
  EXPECT_THROW(simt::run(1, 33, 0, {},
                         [] {
                           SHARED_ARRAY(float, tile, 32);
                           tile[threadIdx.x] = 1.0f;
                         }),
               simt::Error);
  EXPECT_THROW(simt::run(1, 1, 8, {},
                         [] {
                           DYNAMIC_SHARED(float, memory);
                           memory[2] = 1.0f;
                         }),
               simt::Error);
}

template <class Kernel>
std::string error_of(unsigned threads, Kernel kernel) {
  try {
    simt::run(1, threads, 0, {}, kernel);
  } catch (const simt::Error& error) {
    return error.what();
  }
  return "";
}

TEST(SimtEmulator, DivergentBarriersAreFound) {
  const std::string absent = error_of(64, [] {
    if (threadIdx.x < 32) __syncthreads();
  });
  EXPECT_NE(absent.find("divergent barrier"), std::string::npos);
  const std::string elsewhere = error_of(64, [] {
    if (threadIdx.x < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  });
  EXPECT_NE(elsewhere.find("divergent barrier"), std::string::npos);
}

TEST(SimtEmulator, DeadlockIsFound) {
  const std::string error = error_of(32, [] {
    if (threadIdx.x < 16) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  });
  EXPECT_NE(error.find("deadlock"), std::string::npos);
}

TEST(SimtEmulator, AbsentLanesAreFound) {
  EXPECT_NE(error_of(32,
                     [] {
                       if (threadIdx.x != 5) __syncwarp();
                     })
                .find("has left"),
            std::string::npos);
  EXPECT_NE(error_of(32,
                     [] {
                       if (threadIdx.x < 16) __shfl_sync(0x0000ffffu, 1, 20);
                     })
                .find("takes no part"),
            std::string::npos);
  EXPECT_NE(error_of(32, [] { __ballot_sync(0x0000ffffu, 1); }).find("takes no part"), std::string::npos);
}

TEST(SimtEmulator, WarpOperations) {
  for (const Schedule& schedule : simt::all_schedules()) {
    std::vector<int> down(64), up(64), across(64), broadcast(64), ballot(64), any(64), all(64);
    simt::run(1, 64, 0, schedule, [&] {
      const unsigned t = threadIdx.x;
      const int value = static_cast<int>(t);
      down[t] = __shfl_down_sync(0xffffffffu, value, 3);
      up[t] = __shfl_up_sync(0xffffffffu, value, 3, 16);
      across[t] = __shfl_xor_sync(0xffffffffu, value, 5);
      broadcast[t] = __shfl_sync(0xffffffffu, value, 7, 8);
      ballot[t] = static_cast<int>(__ballot_sync(0xffffffffu, t % 2));
      any[t] = __any_sync(0xffffffffu, t == 40);
      all[t] = __all_sync(0xffffffffu, t < 32);
    });
    for (int t = 0; t < 64; ++t) {
      const auto i = static_cast<std::size_t>(t);
      EXPECT_EQ(down[i], t % 32 + 3 < 32 ? t + 3 : t);
      EXPECT_EQ(up[i], t % 16 >= 3 ? t - 3 : t);
      EXPECT_EQ(across[i], t ^ 5);
      EXPECT_EQ(broadcast[i], t / 8 * 8 + 7);
      EXPECT_EQ(static_cast<unsigned>(ballot[i]), 0xaaaaaaaau);
      EXPECT_EQ(any[i], t >= 32);
      EXPECT_EQ(all[i], t < 32);
    }
  }
}

TEST(SimtEmulator, PartialWarpAndAtomics) {
  for (const Schedule& schedule : simt::all_schedules()) {
    int count = 0, largest = -1;
    std::vector<std::uint32_t> ballots(41);
    simt::run(3, 41, 0, schedule, [&] {
      atomicAdd(&count, 1);
      atomicMax(&largest, static_cast<int>(blockIdx.x * 100 + threadIdx.x));
      ballots[threadIdx.x] = __ballot_sync(0xffffffffu, 1);
    });
    EXPECT_EQ(count, 3 * 41);
    EXPECT_EQ(largest, 240);
    EXPECT_EQ(ballots[0], 0xffffffffu);
    EXPECT_EQ(ballots[40], 0x1ffu);  // the second warp has nine lanes
  }
}

TEST(SimtEmulator, KernelExceptionsPassThrough) {
  EXPECT_THROW(simt::run(1, 33, 0, {},
                         [] {
                           if (threadIdx.x == 32) throw std::logic_error("from the kernel");
                         }),
               std::logic_error);
}

}  // namespace
