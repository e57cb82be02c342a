// SPDX-License-Identifier: Apache-2.0
// One chunk of a fixed-shape prefix sum: the plain CPU loop and the CUDA block that computes the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/block.h"
#include "kernels/hd.h"

namespace stampede {

// The shape: a lane sums four neighbours in ascending order; 32 lanes are scanned by doubling distances (Kogge & Stone
// 1973); the totals of the eight groups of 32 are added in ascending order. Chunk totals are scanned in the same way.
inline constexpr unsigned kScanLanes = 256;
inline constexpr unsigned kScanPerLane = 4;
inline constexpr std::size_t kScanChunk = kScanLanes * kScanPerLane;

enum class ScanKind : std::uint8_t { kInclusive, kExclusive };

// What a chunk's scan reads and writes: either the totals of all chunks, or the scanned values given the chunks' bases.
template <class T>
struct ScanArguments {
  const T* in;  // [count]
  std::size_t count;
  T* totals;       // [chunks], or null
  const T* bases;  // [chunks], or null for one chunk alone
  T* out;          // [count]; written when totals is null
  ScanKind kind;
};

// The last step of both versions: `before` is the sum of the lanes before this one in the chunk.
template <class T>
HD void finish_scan_lane(const ScanArguments<T>& scan, std::size_t chunk, unsigned lane, T before,
                         const T* running) {  // [kScanPerLane] sums within the lane
  if (scan.totals != nullptr) {
    if (lane == kScanLanes - 1) scan.totals[chunk] = before + running[kScanPerLane - 1];
    return;
  }
  const std::size_t first = chunk * kScanChunk + std::size_t{lane} * kScanPerLane;
  const T base = scan.bases == nullptr ? T{0} : scan.bases[chunk];
  for (unsigned j = 0; j < kScanPerLane; ++j) {
    if (first + j >= scan.count) return;
    const T inclusive = base + (before + running[j]);
    const T exclusive = base + (j == 0 ? before : before + running[j - 1]);
    scan.out[first + j] = scan.kind == ScanKind::kInclusive ? inclusive : exclusive;
  }
}

template <class T>
HD void sum_scan_lane(const ScanArguments<T>& scan, std::size_t chunk, unsigned lane, T* running) {
  const std::size_t first = chunk * kScanChunk + std::size_t{lane} * kScanPerLane;
  T sum = 0;
  for (unsigned j = 0; j < kScanPerLane; ++j) {
    sum = sum + (first + j < scan.count ? scan.in[first + j] : T{0});
    running[j] = sum;
  }
}

template <class T>
void scan_chunk(const ScanArguments<T>& scan, std::size_t chunk) {
  T running[kScanLanes][kScanPerLane];
  T lanes[kScanLanes];
  for (unsigned l = 0; l < kScanLanes; ++l) {
    sum_scan_lane(scan, chunk, l, running[l]);
    lanes[l] = running[l][kScanPerLane - 1];
  }
  T group_base = 0;
  for (unsigned group = 0; group < kScanLanes; group += 32) {
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      for (unsigned l = 31; l >= distance; --l) lanes[group + l] = lanes[group + l - distance] + lanes[group + l];
    }
    for (unsigned l = 0; l < 32; ++l) {
      const T before = group_base + (l == 0 ? T{0} : lanes[group + l - 1]);
      finish_scan_lane(scan, chunk, group + l, before, running[group + l]);
    }
    group_base = group_base + lanes[group + 31];
  }
}

#ifdef STAMPEDE_BLOCK_KERNELS
// One block of kScanLanes threads per chunk.
template <class T>
struct ScanChunkKernel {
  ScanArguments<T> scan;

  DEVICE void operator()() const {
    SHARED_ARRAY(T, group_totals, kScanLanes / 32);
    const unsigned lane = threadIdx.x % 32;
    const unsigned group = threadIdx.x / 32;
    T running[kScanPerLane];
    sum_scan_lane(scan, blockIdx.x, threadIdx.x, running);
    T total = running[kScanPerLane - 1];
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      const T lower = __shfl_up_sync(0xffffffffu, total, distance);
      if (lane >= distance) total = lower + total;
    }
    const T lower = __shfl_up_sync(0xffffffffu, total, 1);
    if (lane == 31) group_totals[group] = total;
    __syncthreads();
    T group_base = 0;
    for (unsigned g = 0; g < group; ++g) group_base = group_base + group_totals[g];
    finish_scan_lane(scan, blockIdx.x, threadIdx.x, group_base + (lane == 0 ? T{0} : lower), running);
  }
};
#endif

}  // namespace stampede
