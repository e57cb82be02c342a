// SPDX-License-Identifier: Apache-2.0
// One software device as the host sees it: its memory, streams, events and graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <vector>

#include "tests/soft_gpu/runtime/kernel_table.h"
#include "tests/soft_gpu/runtime/pinned_memory.h"
#include "tests/soft_gpu/runtime/soft_stream.h"
#include "tests/soft_gpu/runtime/work.h"

namespace stampede::soft_gpu {

// What a call returns instead of cudaSuccess.
struct ApiError {
  cudaError_t code;
};

// Objects that the host knows by a pointer of CUDA's.
template <class Pointer, class Object>
class Handles {
 public:
  Pointer add(std::shared_ptr<Object> object) {
    const auto handle = reinterpret_cast<Pointer>(object.get());
    objects_[handle] = std::move(object);
    return handle;
  }
  // Throws ApiError for a handle that was never given out, or given back.
  const std::shared_ptr<Object>& find(Pointer handle) const {
    const auto found = objects_.find(handle);
    if (found == objects_.end()) throw ApiError{cudaErrorInvalidResourceHandle};
    return found->second;
  }
  void remove(Pointer handle) {
    find(handle);
    objects_.erase(handle);
  }
  const std::map<Pointer, std::shared_ptr<Object>>& all() const { return objects_; }

 private:
  std::map<Pointer, std::shared_ptr<Object>> objects_;
};

// Nodes in the order of the one stream that they were captured from, or one after the other as they were added.
struct RecordedGraph {
  std::vector<Work> nodes;
  std::vector<std::unique_ptr<char>> handles{};  // of nodes that were added; what the host knows them by
};
struct ExecutableGraph {
  std::shared_ptr<std::vector<Work>> nodes;
  std::weak_ptr<const RecordedGraph> source;
};

// Functions throw ApiError, and Fault when work fails that they wait for.
class Context {
 public:
  Context(std::size_t memory_bytes, const Schedule& schedule);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  DeviceMemory& memory() { return memory_; }
  PinnedMemory& pinned() { return pinned_; }
  Executor& executor() { return executor_; }

  cudaStream_t create_stream(bool non_blocking);
  // Its work is done some time later.
  void destroy_stream(cudaStream_t stream);
  void synchronize(cudaStream_t stream);
  // For what was enqueued.
  void synchronize_device();
  // The same; throws while any stream captures.
  void synchronize_whole_device();

  cudaEvent_t create_event();
  void destroy_event(cudaEvent_t event) { events_.remove(event); }
  void record(cudaEvent_t event, cudaStream_t stream);
  void synchronize(cudaEvent_t event);

  // Enqueues work, or records it while the stream captures.
  void submit(cudaStream_t stream, Work work);
  // Which direction a copy has, and what of it happens within the call, follows from where the bytes lie.
  void copy(cudaStream_t stream, void* to, const void* from, std::size_t bytes);

  void begin_capture(cudaStream_t stream, bool relaxed);
  cudaGraph_t end_capture(cudaStream_t stream);
  cudaGraph_t create_graph() { return graphs_.add(std::make_shared<RecordedGraph>()); }
  // Only lines of nodes: each depends on the one before alone.
  cudaGraphNode_t add_node(cudaGraph_t graph, const cudaGraphNode_t* before, std::size_t count, Work work);
  const RecordedGraph& graph(cudaGraph_t graph) const { return *graphs_.find(graph); }
  void destroy_graph(cudaGraph_t graph) { graphs_.remove(graph); }
  cudaGraphExec_t instantiate(cudaGraph_t graph);
  // False, and nothing done, when the graph has other nodes.
  bool update(cudaGraphExec_t executable, cudaGraph_t graph);
  // For a node of the graph that the executable one was made of.
  void set_node(cudaGraphExec_t executable, cudaGraphNode_t node, Work work);
  void launch(cudaGraphExec_t executable, cudaStream_t stream);
  void destroy_executable(cudaGraphExec_t executable) { executables_.remove(executable); }

  // For calls that wait for the device or may do so: throws while a stream captures that does not allow them.
  void forbid_during_strict_capture();

 private:
  const std::shared_ptr<SoftStream>& find(cudaStream_t stream) const;
  void enqueue(const std::shared_ptr<SoftStream>& stream, WorkList work);
  void run_to(SoftStream& stream, SoftStream::Ticket ticket);
  void forbid_during_capture(SoftStream& stream);
  void poison(const Work& work) const;

  DeviceMemory memory_;
  PinnedMemory pinned_;
  Executor executor_;
  std::shared_ptr<SoftStream> legacy_ = std::make_shared<SoftStream>(SoftStream::Kind::kLegacy);
  Handles<cudaStream_t, SoftStream> streams_;
  std::vector<std::shared_ptr<SoftStream>> destroyed_streams_;  // with work left
  Handles<cudaEvent_t, SoftEvent> events_;
  Handles<cudaGraph_t, RecordedGraph> graphs_;
  Handles<cudaGraphExec_t, ExecutableGraph> executables_;
};

}  // namespace stampede::soft_gpu
