// SPDX-License-Identifier: Apache-2.0
// CUDA's functions for graphs.
#include "tests/soft_gpu/runtime/launch_of.h"
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

namespace {

Work copy_on_device(Context& context, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (kind != cudaMemcpyDeviceToDevice) throw ApiError{cudaErrorNotSupported};
  if (bytes == 0 || !context.memory().contains(to) || !context.memory().contains(from)) {
    throw ApiError{cudaErrorInvalidValue};
  }
  return Copy{Copy::Direction::kOnDevice, reinterpret_cast<std::uint64_t>(to), reinterpret_cast<std::uint64_t>(from),
              bytes};
}

Work fill_of_bytes(Context& context, const cudaMemsetParams& parameters) {
  if (parameters.elementSize != 1 || parameters.height != 1) throw ApiError{cudaErrorNotSupported};
  if (parameters.width == 0 || !context.memory().contains(parameters.dst)) throw ApiError{cudaErrorInvalidValue};
  return Fill{reinterpret_cast<std::uint64_t>(parameters.dst), static_cast<int>(parameters.value), parameters.width};
}

}  // namespace

extern "C" {

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  return Runtime::get().call([&](Context& context) { *graph = context.create_graph(); });
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                   std::size_t count, const cudaKernelNodeParams* parameters) {
  return Runtime::get().call(
      [&](Context& context) { *node = context.add_node(graph, before, count, launch_of(*parameters)); });
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                     std::size_t count, void* to, const void* from, std::size_t bytes,
                                     cudaMemcpyKind kind) {
  return Runtime::get().call([&](Context& context) {
    *node = context.add_node(graph, before, count, copy_on_device(context, to, from, bytes, kind));
  });
}

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                   std::size_t count, const cudaMemsetParams* parameters) {
  return Runtime::get().call(
      [&](Context& context) { *node = context.add_node(graph, before, count, fill_of_bytes(context, *parameters)); });
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  return Runtime::get().call([&](Context& context) { context.set_node(executable, node, launch_of(*parameters)); });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t executable, cudaGraphNode_t node, void* to,
                                               const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return Runtime::get().call(
      [&](Context& context) { context.set_node(executable, node, copy_on_device(context, to, from, bytes, kind)); });
}

cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaMemsetParams* parameters) {
  return Runtime::get().call(
      [&](Context& context) { context.set_node(executable, node, fill_of_bytes(context, *parameters)); });
}

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
