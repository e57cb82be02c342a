// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "tests/soft_gpu/runtime/context.h"

namespace stampede::soft_gpu {
namespace {

// Which of a node's properties an executable graph keeps: CUDA takes other arguments, grids and addresses in an update,
// and other kernels too; it may refuse fills of another size, so this one does.
bool can_become(const Work& from, const Work& to) {
  if (from.index() != to.index()) return false;
  if (const Fill* const fill = std::get_if<Fill>(&from)) return fill->bytes == std::get<Fill>(to).bytes;
  if (const Copy* const copy = std::get_if<Copy>(&from)) return copy->direction == std::get<Copy>(to).direction;
  return true;
}

}  // namespace

void Context::begin_capture(cudaStream_t stream, bool relaxed) {
  SoftStream& found = *find(stream);
  if (found.kind() == SoftStream::Kind::kLegacy) throw ApiError{cudaErrorStreamCaptureUnsupported};
  if (found.capture()) throw ApiError{cudaErrorIllegalState};
  found.capture() = SoftStream::Capture{.relaxed = relaxed};
}

cudaGraph_t Context::end_capture(cudaStream_t stream) {
  SoftStream& found = *find(stream);
  if (!found.capture()) throw ApiError{cudaErrorIllegalState};
  const SoftStream::Capture capture = std::move(*found.capture());
  found.capture().reset();
  if (capture.invalidated) throw ApiError{cudaErrorStreamCaptureInvalidated};
  return graphs_.add(std::make_shared<RecordedGraph>(RecordedGraph{capture.nodes}));
}

cudaGraphExec_t Context::instantiate(cudaGraph_t graph) {
  auto nodes = std::make_shared<const std::vector<Work>>(graphs_.find(graph)->nodes);
  return executables_.add(std::make_shared<ExecutableGraph>(ExecutableGraph{std::move(nodes)}));
}

// Launches before the update keep the nodes they were given.
bool Context::update(cudaGraphExec_t executable, cudaGraph_t graph) {
  ExecutableGraph& found = *executables_.find(executable);
  const std::vector<Work>&from = *found.nodes, &to = graphs_.find(graph)->nodes;
  if (from.size() != to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!can_become(from[i], to[i])) return false;
  }
  found.nodes = std::make_shared<const std::vector<Work>>(to);
  return true;
}

void Context::launch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::shared_ptr<SoftStream>& found = find(stream);
  const ExecutableGraph& graph = *executables_.find(executable);
  forbid_during_capture(*found);
  enqueue(found, graph.nodes);
}

}  // namespace stampede::soft_gpu
