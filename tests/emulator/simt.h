// SPDX-License-Identifier: Apache-2.0
// Runs block-cooperative CUDA kernels on the CPU, one fibre per CUDA thread; include it before any kernel header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef __CUDACC__
#error "the emulator replaces nvcc: compile this file with a host compiler"
#endif

// What is modelled: blocks one after the other, every thread of a block alive at once, barriers, warp exchanges, static
// and dynamic shared memory, integer atomics. A fibre runs until it waits, so a result that depends on the order of
// threads between two barriers differs between schedules. What is found: results that depend on that order, reads of
// shared memory that nobody wrote (it starts as NaN), writes beyond a shared array, threads that wait at different
// barriers or leave before one, warp operations with absent lanes, deadlocks. What is not: weak memory ordering, races
// of lanes that a schedule happens to run in a harmless order, speed.
namespace simt {

// The emulated program broke a rule of the CUDA execution model; the message says where.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Order { kForward, kReverse, kRandom, kWarps };

// In which order blocks and threads get their turns. A random schedule also lets some threads run ahead of others; with
// kWarps a warp runs until all of it waits for others, the last warp first.
struct Schedule {
  Order order = Order::kForward;
  std::uint64_t seed = 0;

  std::string name() const;
};

// Forward, reverse, two random ones and warp by warp: a kernel is correct only if all of them give the same bits.
std::vector<Schedule> all_schedules();

// Calls kernel() once for each of grid x block threads. Throws Error; the kernel's own exceptions pass through.
void run(unsigned grid, unsigned block, std::size_t shared_bytes, Schedule schedule,
         const std::function<void()>& kernel);

struct Index {
  unsigned x = 0;
};

using Location = std::source_location;

// The places of the __syncthreads() and __syncwarp() that some launches reach, in the order of their first use.
std::vector<Location> barriers_of(const std::function<void()>& launches);
// The same launches with the barrier at one place left out: a bug that a test of these kernels has to notice.
void run_without(const Location& barrier, const std::function<void()>& launches);

// What a kernel calls through the CUDA names below.
namespace detail {

void* shared_array(const void* key, std::size_t bytes);
void* dynamic_shared();
void block_barrier(const Location& where);
void warp_barrier(std::uint32_t mask, const Location& where);
void named_barrier(unsigned barrier, unsigned threads, const Location& where);
// Publishes this lane's word, waits for every lane of the mask, and returns the 32 words of the warp.
const std::uint64_t* exchange(std::uint32_t mask, std::uint64_t word, const Location& where);
// The mask restricted to the lanes that this warp has.
std::uint32_t present(std::uint32_t mask);
void require_lane(std::uint32_t mask, unsigned lane, const Location& where);
// The addresses that the lanes of a warp pass to a load of matrices; Error where one is not aligned to 16 bytes.
const std::uint64_t* matrix_rows(const void* row, const Location& where);

template <class T>
std::uint64_t to_word(T value) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  return word;
}

template <class T>
T from_word(std::uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

inline std::uint32_t half_word(std::uint64_t address, unsigned place) {
  std::uint16_t half;
  std::memcpy(&half, reinterpret_cast<const char*>(address) + 2 * place, sizeof half);
  return half;
}

}  // namespace detail
}  // namespace simt

extern thread_local constinit simt::Index threadIdx;
extern thread_local constinit simt::Index blockIdx;
extern thread_local constinit simt::Index blockDim;
extern thread_local constinit simt::Index gridDim;

inline void __syncthreads(simt::Location where = simt::Location::current()) { simt::detail::block_barrier(where); }

// PTX's bar.sync of some of a block's warps: barrier in [1, 16), threads a multiple of 32.
inline void sync_some_warps(unsigned barrier, unsigned threads, simt::Location where = simt::Location::current()) {
  simt::detail::named_barrier(barrier, threads, where);
}

inline void __syncwarp(std::uint32_t mask = 0xffffffffu, simt::Location where = simt::Location::current()) {
  simt::detail::warp_barrier(mask, where);
}

// CUDA's rules: `width` lanes form a segment; a source outside the segment gives the lane its own value back.
template <class T>
T __shfl_sync(std::uint32_t mask, T value, int source, int width = 32,
              simt::Location where = simt::Location::current()) {
  const std::uint64_t* words = simt::detail::exchange(mask, simt::detail::to_word(value), where);
  const unsigned segment = threadIdx.x % 32 / static_cast<unsigned>(width) * static_cast<unsigned>(width);
  const unsigned lane = segment + static_cast<unsigned>(source) % static_cast<unsigned>(width);
  simt::detail::require_lane(mask, lane, where);
  return simt::detail::from_word<T>(words[lane]);
}

template <class T>
T __shfl_down_sync(std::uint32_t mask, T value, unsigned delta, int width = 32,
                   simt::Location where = simt::Location::current()) {
  const std::uint64_t* words = simt::detail::exchange(mask, simt::detail::to_word(value), where);
  const unsigned lane = threadIdx.x % 32;
  const unsigned source =
      lane % static_cast<unsigned>(width) + delta < static_cast<unsigned>(width) ? lane + delta : lane;
  simt::detail::require_lane(mask, source, where);
  return simt::detail::from_word<T>(words[source]);
}

template <class T>
T __shfl_up_sync(std::uint32_t mask, T value, unsigned delta, int width = 32,
                 simt::Location where = simt::Location::current()) {
  const std::uint64_t* words = simt::detail::exchange(mask, simt::detail::to_word(value), where);
  const unsigned lane = threadIdx.x % 32;
  const unsigned source = lane % static_cast<unsigned>(width) >= delta ? lane - delta : lane;
  simt::detail::require_lane(mask, source, where);
  return simt::detail::from_word<T>(words[source]);
}

template <class T>
T __shfl_xor_sync(std::uint32_t mask, T value, int lane_mask, int width = 32,
                  simt::Location where = simt::Location::current()) {
  const std::uint64_t* words = simt::detail::exchange(mask, simt::detail::to_word(value), where);
  const unsigned lane = threadIdx.x % 32;
  const unsigned partner = lane ^ static_cast<unsigned>(lane_mask);
  const unsigned source =
      partner / static_cast<unsigned>(width) <= lane / static_cast<unsigned>(width) ? partner : lane;
  simt::detail::require_lane(mask, source, where);
  return simt::detail::from_word<T>(words[source]);
}

inline std::uint32_t __ballot_sync(std::uint32_t mask, int predicate,
                                   simt::Location where = simt::Location::current()) {
  const std::uint64_t* words = simt::detail::exchange(mask, predicate != 0, where);
  const std::uint32_t lanes = simt::detail::present(mask);
  std::uint32_t result = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((lanes >> lane & 1u) != 0 && words[lane] != 0) result |= 1u << lane;
  }
  return result;
}

inline int __any_sync(std::uint32_t mask, int predicate, simt::Location where = simt::Location::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}

inline int __all_sync(std::uint32_t mask, int predicate, simt::Location where = simt::Location::current()) {
  return __ballot_sync(mask, predicate, where) == simt::detail::present(mask);
}

// Every write is visible at once here.
inline void __threadfence() {}

// The tensor-core product of kernels/mma.h, which says what a lane holds; sums in ascending order, where the hardware's
// order is its own.
inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                         simt::Location where = simt::Location::current()) {
  constexpr std::uint32_t kAll = 0xffffffffu;
  const auto both = [](std::uint32_t low, std::uint32_t high) { return low | static_cast<std::uint64_t>(high) << 32; };
  std::uint64_t words[3][32];
  const std::uint64_t mine[3] = {both(a[0], a[1]), both(a[2], a[3]), both(b0, b1)};
  for (int w = 0; w < 3; ++w) std::memcpy(words[w], simt::detail::exchange(kAll, mine[w], where), sizeof words[w]);
  const auto bf16 = [](std::uint64_t word, unsigned position) {
    return simt::detail::from_word<float>(word >> 16 * position << 16 & 0xffff0000u);
  };
  const unsigned group = threadIdx.x % 32 / 4, quarter = threadIdx.x % 4;
  for (unsigned e = 0; e < 4; ++e) {
    const unsigned row = group + 8 * (e / 2), column = 2 * quarter + e % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned holder = k % 8 / 2, upper = k / 8;
      const float left = bf16(words[upper][row % 8 * 4 + holder], 2 * (row / 8) + k % 2);
      d[e] += left * bf16(words[2][column * 4 + holder], 2 * upper + k % 2);
    }
  }
}

// Loads of matrices, as kernels/mma.h has them.
inline void load_matrices(std::uint32_t (&d)[4], const std::uint32_t* row,
                          simt::Location where = simt::Location::current()) {
  const std::uint64_t* rows = simt::detail::matrix_rows(row, where);
  const unsigned group = threadIdx.x % 32 / 4, pair = threadIdx.x % 4 * 2;
  for (unsigned m = 0; m < 4; ++m) {
    const std::uint64_t address = rows[8 * m + group];
    d[m] = simt::detail::half_word(address, pair) | simt::detail::half_word(address, pair + 1) << 16;
  }
}

inline void load_transposed(std::uint32_t (&d)[4], const std::uint32_t* row,
                            simt::Location where = simt::Location::current()) {
  const std::uint64_t* rows = simt::detail::matrix_rows(row, where);
  const unsigned group = threadIdx.x % 32 / 4, pair = threadIdx.x % 4 * 2;
  for (unsigned m = 0; m < 4; ++m) {
    const std::uint64_t* first = rows + 8 * m + pair;
    d[m] = simt::detail::half_word(first[0], group) | simt::detail::half_word(first[1], group) << 16;
  }
}

// A fibre is never interrupted, so a plain read-modify-write is atomic here.
template <class T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = static_cast<T>(old + value);
  return old;
}

template <class T>
T atomicMax(T* address, T value) {
  const T old = *address;
  *address = old < value ? value : old;
  return old;
}

template <class T>
T atomicMin(T* address, T value) {
  const T old = *address;
  *address = value < old ? value : old;
  return old;
}

template <class T>
T atomicCAS(T* address, T expected, T desired) {
  const T old = *address;
  if (old == expected) *address = desired;
  return old;
}

inline int __popc(std::uint32_t x) { return __builtin_popcount(x); }
inline int __ffs(std::uint32_t x) { return __builtin_ffs(static_cast<int>(x)); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }

#define STAMPEDE_SIMT_EMULATOR 1
#define DEVICE inline
// The lambda's static variable is one address per place (and per template instance), as a __shared__ variable is.
#define SHARED_ARRAY(T, name, count)                            \
  T* const name = static_cast<T*>(::simt::detail::shared_array( \
      [] {                                                      \
        static const char key = 0;                              \
        return &key;                                            \
      }(),                                                      \
      sizeof(T) * (count)))
#define DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::simt::detail::dynamic_shared())
