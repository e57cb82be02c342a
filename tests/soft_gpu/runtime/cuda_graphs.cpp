// SPDX-License-Identifier: Apache-2.0
// CUDA's functions for graphs.
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return Runtime::get().call(
      [&](Context& context) { context.begin_capture(stream, mode == cudaStreamCaptureModeRelaxed); });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  return Runtime::get().call([&](Context& context) { *graph = context.end_capture(stream); });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  return Runtime::get().call([&](Context& context) {
    if (nodes != nullptr) throw ApiError{cudaErrorNotSupported};
    *count = context.graph(graph).nodes.size();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return Runtime::get().call([&](Context& context) { context.destroy_graph(graph); });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return Runtime::get().call([&](Context& context) { *executable = context.instantiate(graph); });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  return Runtime::get().call([&](Context& context) {
    *info = {};
    if (context.update(executable, graph)) return;
    info->result = cudaGraphExecUpdateErrorTopologyChanged;
    throw ApiError{cudaErrorGraphExecUpdateFailure};
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) { context.launch(executable, stream); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return Runtime::get().call([&](Context& context) { context.destroy_executable(executable); });
}

}  // extern "C"
