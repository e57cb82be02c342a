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

// A fill of words 0 and 1, and a copy of word 0 over word 1, one after the other.
struct AddedNodes {
  cudaGraph_t graph = nullptr;
  cudaGraphNode_t fill = nullptr, copy = nullptr;
};

AddedNodes add_nodes(std::uint32_t* words) {
  AddedNodes added;
  EXPECT_EQ(cudaGraphCreate(&added.graph, 0), cudaSuccess);
  cudaMemsetParams fill{};
  fill.dst = words;
  fill.elementSize = fill.height = 1;
  fill.value = 1;
  fill.width = 4;
  EXPECT_EQ(cudaGraphAddMemsetNode(&added.fill, added.graph, nullptr, 0, &fill), cudaSuccess);
  EXPECT_EQ(
      cudaGraphAddMemcpyNode1D(&added.copy, added.graph, &added.fill, 1, words + 1, words, 4, cudaMemcpyDeviceToDevice),
      cudaSuccess);
  return added;
}

TEST_F(SoftGraphs, NodesThatAreAddedRunInOrder) {
  const cudaGraphExec_t executable = instantiate(add_nodes(words_).graph);
  ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
  EXPECT_EQ(read(words_, stream_), 0x01010101u);
  EXPECT_EQ(read(words_ + 1, stream_), 0x01010101u);
}

TEST_F(SoftGraphs, ANodeThatIsSetLeavesEarlierLaunchesAndOtherNodesAlone) {
  std::uint32_t* const other = make_words();
  const AddedNodes added = add_nodes(words_);
  const cudaGraphExec_t executable = instantiate(added.graph);
  cudaGraphLaunch(executable, stream_);
  const auto set = [&](cudaGraphNode_t node) {
    return cudaGraphExecMemcpyNodeSetParams1D(executable, node, other, words_, 4, cudaMemcpyDeviceToDevice);
  };
  ASSERT_EQ(set(added.copy), cudaSuccess);
  EXPECT_EQ(set(added.fill), cudaErrorInvalidValue);
  EXPECT_EQ(set(add_nodes(words_).copy), cudaErrorInvalidValue);
  EXPECT_EQ(read(words_ + 1, stream_), 0x01010101u);
  EXPECT_EQ(read(other, stream_), 0u);
  cudaGraphLaunch(executable, stream_);
  EXPECT_EQ(read(other, stream_), 0x01010101u);
  cudaGetLastError();
}

TEST_F(SoftGraphs, AGraphThatRecordsGivesWayToOneThatCaptures) {
  const Stream stream = Stream::cuda();
  const Buffer<float> from(stream.device(), 2), to(stream.device(), 2);
  const auto set = [&](float value) { copy_to_device(stream, from.data(), &value, sizeof value); };
  set(3.0f);
  Graph graph(stream, true);
  bool needs_stream = false;
  const auto work = [&] {
    fill_zero(stream, to.data(), 8);
    if (needs_stream) static_cast<void>(stream.handle());
    copy_on_device(stream, to.data(), from.data(), 4);
  };
  for (int k = 0; k < Graph::kWarmUps + 2; ++k) {
    graph.run(work);
    EXPECT_EQ(to_host(stream, to.view()), (std::vector<float>{3.0f, 0.0f}));
  }
  EXPECT_EQ(graph.nodes(), 2);
  EXPECT_EQ(graph.changed_nodes(), 0);
  needs_stream = true;
  for (int k = 0; k < 2; ++k) {
    set(5.0f + static_cast<float>(k));
    graph.run(work);
    EXPECT_EQ(to_host(stream, to.view()), (std::vector<float>{5.0f + static_cast<float>(k), 0.0f}));
    EXPECT_EQ(graph.nodes(), 2);
    EXPECT_EQ(graph.changed_nodes(), 2);
  }
  EXPECT_EQ(graph.instantiations(), 2);
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
