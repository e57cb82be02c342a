// SPDX-License-Identifier: Apache-2.0
// The software runtime does what CUDA promises and no more: a host that does not wait sees what it should not use.
#include "kernels/buffer.h"
#include "kernels/readback.h"
#include "tests/soft_gpu/runtime/hand_written_kernels.h"
#include "tests/soft_gpu/runtime/runtime_rig.h"

namespace stampede::soft_gpu {
namespace {

using SoftStreams = SoftRuntimeTest;

TEST_F(SoftStreams, NothingRunsBeforeSomebodyWaits) {
  const cudaStream_t stream = make_stream();
  std::uint32_t* const word = make_words();
  std::uint32_t* const host = make_pinned(5);
  ASSERT_EQ(launch_store(HandWritten::kStore, stream, 7, word), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(host, word, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(*host, kPoisonWord);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(*host, 7u);
}

TEST_F(SoftStreams, AnEventWaitsForWhatCameBeforeIt) {
  const cudaStream_t stream = make_stream();
  std::uint32_t* const words = make_words(2);
  std::uint32_t *const first = make_pinned(0), *const second = make_pinned(0);
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaEventSynchronize(event), cudaSuccess);  // never recorded
  launch_store(HandWritten::kStore, stream, 3, words, 2);
  cudaMemcpyAsync(first, words, 4, cudaMemcpyDeviceToHost, stream);
  ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  cudaMemcpyAsync(second, words + 1, 4, cudaMemcpyDeviceToHost, stream);
  ASSERT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(*first, 3u);
  EXPECT_EQ(*second, kPoisonWord);
}

TEST_F(SoftStreams, SourcesAreReadAtTheCallOnlyWhenPageable) {
  const cudaStream_t stream = make_stream();
  std::uint32_t* const words = make_words(2);
  std::uint32_t pageable = 1;
  std::uint32_t* const pinned = make_pinned(1);
  ASSERT_EQ(cudaMemcpyAsync(words, &pageable, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(words + 1, pinned, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  pageable = *pinned = 2;
  EXPECT_EQ(read(words, stream), 1u);
  EXPECT_EQ(read(words + 1, stream), 2u);
}

TEST_F(SoftStreams, DestinationsKeepWhatWorkBeforeThemReads) {
  const cudaStream_t stream = make_stream();
  std::uint32_t *const words = make_words(2), *const pinned = make_pinned(9);
  cudaMemcpyAsync(words, pinned, 4, cudaMemcpyHostToDevice, stream);
  cudaMemcpyAsync(pinned, words + 1, 4, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(read(words, stream), 9u);
  EXPECT_EQ(*pinned, 0u);
}

TEST_F(SoftStreams, TheDefaultStreamOrdersBlockingStreamsAlone) {
  std::uint32_t* const words = make_words(2);
  const cudaStream_t blocking = make_stream(cudaStreamDefault), other = make_stream();
  cudaMemset(words, 1, 8);
  launch_store(HandWritten::kStore, blocking, 5, words);
  launch_store(HandWritten::kStore, other, 5, words + 1);
  EXPECT_EQ(read(words + 1, other), 5u);  // the fill has not run yet
  EXPECT_EQ(read(words, blocking), 5u);   // the fill, then the store
  EXPECT_EQ(read(words + 1, other), 0x01010101u);
}

TEST_F(SoftStreams, AFillOnTheDefaultStreamMayComeLate) {
  std::uint32_t* const word = make_words();
  const cudaStream_t stream = make_stream();
  cudaMemset(word, 0, 4);
  launch_store(HandWritten::kStore, stream, 5, word);
  EXPECT_EQ(read(word, stream), 5u);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(read(word, stream), 0u);
}

TEST_F(SoftStreams, NewBuffersAreZeroBeforeAnyStreamUsesThem) {
  const Stream stream = Stream::cuda();
  const Buffer<float> buffer(stream.device(), 3);
  const std::vector<float> values{1.0f, 2.0f, 3.0f};
  copy_to_device(stream, buffer.data(), values.data(), 12);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(to_host(stream, buffer.view()), values);
}

TEST_F(SoftStreams, ALargerReadbackWaitsForTheOneBefore) {
  const Stream stream = Stream::cuda();
  const Buffer<float> buffer(stream.device(), 4096);
  Readback<float> readback;
  readback.request(stream, View<const float>{buffer.data(), {3}});
  readback.request(stream, View<const float>{buffer.data(), {4096}});
  EXPECT_EQ(readback.wait(stream).size(), 4096u);
  EXPECT_EQ(last_fault(), "");
}

TEST_F(SoftStreams, FreeingWaitsForTheDeviceButNotFreeingOnTheHost) {
  const cudaStream_t stream = make_stream();
  std::uint32_t *const word = make_words(), *const pinned = make_pinned(0);
  launch_store(HandWritten::kStore, stream, 5, word);
  EXPECT_EQ(cudaFree(word), cudaSuccess);
  EXPECT_EQ(cudaFree(word), cudaErrorInvalidValue);
  EXPECT_EQ(last_fault(), "");
  cudaMemcpyAsync(make_words(), pinned, 4, cudaMemcpyHostToDevice, stream);
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
}

TEST_F(SoftStreams, WorkOfADestroyedStreamIsStillDone) {
  const cudaStream_t stream = make_stream();
  std::uint32_t* const word = make_words();
  launch_store(HandWritten::kStore, stream, 5, word);
  ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(read(word, make_stream()), 5u);
}

}  // namespace
}  // namespace stampede::soft_gpu
