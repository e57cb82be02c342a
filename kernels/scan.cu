// SPDX-License-Identifier: Apache-2.0
#include "kernels/scan.h"

#include "kernels/launch.h"
#include "kernels/scan_blocks.h"

namespace stampede {
namespace {

std::size_t scan_chunk_count(std::size_t count) { return (count + kScanChunk - 1) / kScanChunk; }

template <class T>
struct ScanChunk {
  ScanArguments<T> scan;
  void operator()(int chunk) const { scan_chunk(scan, static_cast<std::size_t>(chunk)); }
};

template <class T>
void scan_chunks(const Stream& stream, const ScanArguments<T>& scan) {
  const std::size_t chunks = scan_chunk_count(scan.count);
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_blocks(stream, static_cast<unsigned>(chunks), kScanLanes, 0, ScanChunkKernel<T>{scan});
    return;
  }
#endif
  for_each_index_on_cpu(stream, static_cast<int>(chunks), ScanChunk<T>{scan}, 1);
}

// Scans the chunks' totals first, then every chunk from its base.
template <class T>
void scan(const Stream& stream, ScanKind kind, const T* in, T* out, std::size_t count, T* scratch) {
  const std::size_t chunks = scan_chunk_count(count);
  if (chunks == 0) return;
  if (chunks > 1) {
    scan_chunks(stream, ScanArguments<T>{in, count, scratch, nullptr, nullptr, kind});
    scan(stream, ScanKind::kExclusive, scratch, scratch, chunks, scratch + chunks);
  }
  scan_chunks(stream, ScanArguments<T>{in, count, nullptr, chunks > 1 ? scratch : nullptr, out, kind});
}

}  // namespace

std::size_t scan_scratch_size(std::size_t count) {
  std::size_t size = 0;
  while (scan_chunk_count(count) > 1) size += count = scan_chunk_count(count);
  return size;
}

void inclusive_scan(const Stream& stream, const float* in, float* out, std::size_t count, float* scratch) {
  scan(stream, ScanKind::kInclusive, in, out, count, scratch);
}

void inclusive_scan(const Stream& stream, const std::int32_t* in, std::int32_t* out, std::size_t count,
                    std::int32_t* scratch) {
  scan(stream, ScanKind::kInclusive, in, out, count, scratch);
}

void exclusive_scan(const Stream& stream, const float* in, float* out, std::size_t count, float* scratch) {
  scan(stream, ScanKind::kExclusive, in, out, count, scratch);
}

void exclusive_scan(const Stream& stream, const std::int32_t* in, std::int32_t* out, std::size_t count,
                    std::int32_t* scratch) {
  scan(stream, ScanKind::kExclusive, in, out, count, scratch);
}

}  // namespace stampede
