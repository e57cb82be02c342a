// SPDX-License-Identifier: Apache-2.0
#include "kernels/reduce.h"

#include "kernels/launch.h"
#include "kernels/reduce_blocks.h"

namespace stampede {
namespace {

std::size_t reduce_chunk_count(std::size_t count) { return count == 0 ? 1 : (count + kReduceChunk - 1) / kReduceChunk; }

template <class Op, class Input>
struct ReduceChunk {
  Input input;
  std::size_t count;
  typename Op::Value* partials;  // [chunks]

  void operator()(int chunk) const {
    const std::size_t begin = static_cast<std::size_t>(chunk) * kReduceChunk;
    partials[chunk] = reduce_chunk<Op>(input, begin, begin + kReduceChunk < count ? begin + kReduceChunk : count);
  }
};

// partials[c] = the reduction of chunk c
template <class Op, class Input>
void reduce_chunks(const Stream& stream, Input input, std::size_t count, typename Op::Value* partials) {
  const std::size_t chunks = reduce_chunk_count(count);
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_blocks(stream, static_cast<unsigned>(chunks), kReduceLanes, 0,
                  ReduceChunkKernel<Op, Input>{input, count, partials});
    return;
  }
#endif
  for_each_index_on_cpu(stream, static_cast<int>(chunks), ReduceChunk<Op, Input>{input, count, partials}, 1);
}

template <class Op, class Input>
void reduce(const Stream& stream, Input input, std::size_t count, typename Op::Value* scratch,
            typename Op::Value* result) {
  const std::size_t chunks = reduce_chunk_count(count);
  if (chunks == 1) return reduce_chunks<Op>(stream, input, count, result);
  reduce_chunks<Op>(stream, input, count, scratch);
  reduce<Op>(stream, Elements<typename Op::Value>{scratch}, chunks, scratch + chunks, result);
}

}  // namespace

std::size_t reduce_scratch_size(std::size_t count) {
  std::size_t size = 0;
  while (reduce_chunk_count(count) > 1) size += count = reduce_chunk_count(count);
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
