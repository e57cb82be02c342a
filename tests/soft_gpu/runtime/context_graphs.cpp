// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
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

// Alone, a node keeps its kernel too.
bool can_be_set(const Work& from, const Work& to) {
  if (!can_become(from, to)) return false;
  const Launch* const launch = std::get_if<Launch>(&from);
  return launch == nullptr || launch->kernel == std::get<Launch>(to).kernel;
}

std::size_t index_of(const RecordedGraph& graph, cudaGraphNode_t node) {
  const auto same = [&](const auto& handle) { return reinterpret_cast<cudaGraphNode_t>(handle.get()) == node; };
  const auto found = std::find_if(graph.handles.begin(), graph.handles.end(), same);
  if (found == graph.handles.end()) throw ApiError{cudaErrorInvalidValue};
  return static_cast<std::size_t>(found - graph.handles.begin());
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

cudaGraphNode_t Context::add_node(cudaGraph_t graph, const cudaGraphNode_t* before, std::size_t count, Work work) {
  RecordedGraph& found = *graphs_.find(graph);
  const bool follows =
      found.nodes.empty() ? count == 0 : count == 1 && index_of(found, *before) + 1 == found.nodes.size();
  if (!follows) throw ApiError{cudaErrorNotSupported};
  found.nodes.push_back(std::move(work));
  found.handles.push_back(std::make_unique<char>());
  return reinterpret_cast<cudaGraphNode_t>(found.handles.back().get());
}

cudaGraphExec_t Context::instantiate(cudaGraph_t graph) {
  const std::shared_ptr<RecordedGraph>& source = graphs_.find(graph);
  return executables_.add(
      std::make_shared<ExecutableGraph>(ExecutableGraph{std::make_shared<std::vector<Work>>(source->nodes), source}));
}

// Launches before the update keep the nodes they were given.
bool Context::update(cudaGraphExec_t executable, cudaGraph_t graph) {
  ExecutableGraph& found = *executables_.find(executable);
  const std::vector<Work>&from = *found.nodes, &to = graphs_.find(graph)->nodes;
  if (from.size() != to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!can_become(from[i], to[i])) return false;
  }
  found.nodes = std::make_shared<std::vector<Work>>(to);
  return true;
}

void Context::set_node(cudaGraphExec_t executable, cudaGraphNode_t node, Work work) {
  ExecutableGraph& found = *executables_.find(executable);
  const std::shared_ptr<const RecordedGraph> source = found.source.lock();
  if (source == nullptr) throw ApiError{cudaErrorInvalidValue};
  const std::size_t i = index_of(*source, node);
  if (!can_be_set((*found.nodes)[i], work)) throw ApiError{cudaErrorInvalidValue};
  // As above: a launch that has not run shares the nodes.
  if (found.nodes.use_count() > 1) found.nodes = std::make_shared<std::vector<Work>>(*found.nodes);
  (*found.nodes)[i] = std::move(work);
}

void Context::launch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::shared_ptr<SoftStream>& found = find(stream);
  const ExecutableGraph& graph = *executables_.find(executable);
  forbid_during_capture(*found);
  enqueue(found, graph.nodes);
}

}  // namespace stampede::soft_gpu
