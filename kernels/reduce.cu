// SPDX-License-Identifier: Apache-2.0
#include "kernels/reduce.h"

#include "kernels/launch.h"
#include "kernels/reduce_blocks.h"

namespace stampede {
namespace {

std::size_t reduce_chunks(std::size_t count) { return count == 0 ? 1 : (count + kReduceChunk - 1) / kReduceChunk; }

// partials[c] = the reduction of chunk c
template <class Op, class Input>
void reduce_chunks(const Stream& stream, Input input, std::size_t count, typename Op::Value* partials) {
  const std::size_t chunks = reduce_chunks(count);
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_blocks(stream, static_cast<unsigned>(chunks), kReduceLanes, 0,
                  ReduceChunkKernel<Op, Input>{input, count, partials});
    return;
  }
#endif
#pragma omp parallel for schedule(static) num_threads(stream.threads()) if (stream.threads() > 1 && chunks > 1)
  for (std::size_t c = 0; c < chunks; ++c) {
    const std::size_t begin = c * kReduceChunk;
    partials[c] = reduce_chunk<Op>(input, begin, begin + kReduceChunk < count ? begin + kReduceChunk : count);
  }
}

template <class Op, class Input>
void reduce(const Stream& stream, Input input, std::size_t count, typename Op::Value* scratch,
            typename Op::Value* result) {
  const std::size_t chunks = reduce_chunks(count);
  if (chunks == 1) return reduce_chunks<Op>(stream, input, count, result);
  reduce_chunks<Op>(stream, input, count, scratch);
  reduce<Op>(stream, Elements<typename Op::Value>{scratch}, chunks, scratch + chunks, result);
}

}  // namespace

std::size_t reduce_scratch_size(std::size_t count) {
  std::size_t size = 0;
  while (reduce_chunks(count) > 1) size += count = reduce_chunks(count);
  return size;
}

void reduce_sum(const Stream& stream, const float* x, std::size_t count, float* scratch, float* result) {
  reduce<SumOp>(stream, Elements<float>{x}, count, scratch, result);
}

void reduce_min(const Stream& stream, const float* x, std::size_t count, float* scratch, float* result) {
  reduce<MinOp>(stream, Elements<float>{x}, count, scratch, result);
}

void reduce_max(const Stream& stream, const float* x, std::size_t count, float* scratch, float* result) {
  reduce<MaxOp>(stream, Elements<float>{x}, count, scratch, result);
}

void reduce_dot(const Stream& stream, const float* x, const float* y, std::size_t count, float* scratch,
                float* result) {
  reduce<SumOp>(stream, Products{x, y}, count, scratch, result);
}

void reduce_count(const Stream& stream, const std::uint8_t* flags, std::uint8_t mask, std::size_t count,
                  std::int32_t* scratch, std::int32_t* result) {
  reduce<CountOp>(stream, FlagBits{flags, mask}, count, scratch, result);
}

}  // namespace stampede
