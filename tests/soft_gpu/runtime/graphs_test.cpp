// SPDX-License-Identifier: Apache-2.0
// Graphs of the software runtime: what is recorded, what a capture forbids, and what an update keeps.
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/graph.h"
#include "tests/soft_gpu/runtime/hand_written_kernels.h"
#include "tests/soft_gpu/runtime/runtime_rig.h"

namespace stampede::soft_gpu {
namespace {

class SoftGraphs : public SoftRuntimeTest {
 protected:
  void SetUp() override {
    SoftRuntimeTest::SetUp();
    stream_ = make_stream();
    words_ = make_words(2);
  }

  template <class Work>
  cudaGraph_t captured(const Work& work) {
    EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
    work();
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
    return graph;
  }
  cudaGraph_t store(std::uint32_t value) {
    return captured([&] { launch_store(HandWritten::kStore, stream_, value, words_); });
  }
  static cudaGraphExec_t instantiate(cudaGraph_t graph) {
    cudaGraphExec_t executable = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    return executable;
  }
  static cudaError_t update(cudaGraphExec_t executable, cudaGraph_t graph) {
    cudaGraphExecUpdateResultInfo info{};
    const cudaError_t status = cudaGraphExecUpdate(executable, graph, &info);
    cudaGetLastError();
    return status;
  }

  cudaStream_t stream_ = nullptr;
  std::uint32_t* words_ = nullptr;
};

TEST_F(SoftGraphs, RecordWithoutRunning) {
  const cudaGraph_t graph = store(4);
  std::size_t nodes = 0;
  ASSERT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
  EXPECT_EQ(nodes, 1u);
  EXPECT_EQ(read(words_, stream_), 0u);
  const cudaGraphExec_t executable = instantiate(graph);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
  ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(read(words_, stream_), 4u);
}

TEST_F(SoftGraphs, AnUpdateLeavesEarlierLaunchesAlone) {
  const cudaGraphExec_t executable = instantiate(store(4));
  cudaGraphLaunch(executable, stream_);
  cudaMemcpyAsync(words_ + 1, words_, 4, cudaMemcpyDeviceToDevice, stream_);
  ASSERT_EQ(update(executable, store(5)), cudaSuccess);
  cudaGraphLaunch(executable, stream_);
  EXPECT_EQ(read(words_, stream_), 5u);
  EXPECT_EQ(read(words_ + 1, stream_), 4u);
}

TEST_F(SoftGraphs, AnUpdateRefusesOtherNodes) {
  const cudaGraphExec_t executable = instantiate(store(4));
  const auto fill = [&](std::size_t bytes) { return captured([&] { cudaMemsetAsync(words_, 0, bytes, stream_); }); };
  EXPECT_EQ(update(executable, fill(4)), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(update(instantiate(fill(4)), fill(8)), cudaErrorGraphExecUpdateFailure);
  const cudaGraph_t two = captured([&] {
    launch_store(HandWritten::kStore, stream_, 1, words_);
    launch_store(HandWritten::kStore, stream_, 2, words_);
  });
  EXPECT_EQ(update(executable, two), cudaErrorGraphExecUpdateFailure);
  cudaGraphLaunch(executable, stream_);
  EXPECT_EQ(read(words_, stream_), 4u);
}

TEST_F(SoftGraphs, WaitingEndsACapture) {
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
}

TEST_F(SoftGraphs, CopiesFromPageableMemoryAndEventsCannotBeCaptured) {
  std::uint32_t pageable = 3;
  cudaEvent_t event = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event, stream_), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaMemcpyAsync(words_, &pageable, 4, cudaMemcpyHostToDevice, stream_), cudaErrorStreamCaptureUnsupported);
}

TEST_F(SoftGraphs, OnlyRelaxedCapturesAllowAllocations) {
  void* memory = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
  const cudaStream_t strict = make_stream();
  ASSERT_EQ(cudaStreamBeginCapture(strict, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
}

TEST_F(SoftGraphs, WorkThatWaitsIsARuntimeErrorAndLeavesTheStreamUsable) {
  const Stream stream = Stream::cuda();
  const Buffer<float> buffer(stream.device(), 3);
  Graph graph(stream, true);
  const auto fill = [&] { fill_zero(stream, buffer.data(), 12); };
  for (int k = 0; k < Graph::kWarmUps; ++k) graph.run(fill);
  EXPECT_THROW(graph.run([&] { stream.synchronize(); }), RuntimeError);
  graph.run(fill);
  EXPECT_EQ(graph.nodes(), 1);
  EXPECT_EQ(to_host(stream, buffer.view()), std::vector<float>(3));
}

}  // namespace
}  // namespace stampede::soft_gpu
