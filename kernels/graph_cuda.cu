// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda_check.h"
#include "kernels/error.h"
#include "kernels/graph.h"

namespace stampede {

#ifdef __CUDACC__
namespace {

struct DestroyGraph {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
struct DestroyExecutable {
  // One that still runs is freed by the driver when it has finished.
  void operator()(cudaGraphExec_t executable) const { cudaGraphExecDestroy(executable); }
};
using OwnedGraph = std::unique_ptr<CUgraph_st, DestroyGraph>;
using ExecutableGraph = std::unique_ptr<CUgraphExec_st, DestroyExecutable>;

ExecutableGraph instantiated(cudaGraph_t graph) {
  cudaGraphExec_t created = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&created, graph, 0));
  return ExecutableGraph(created);
}

cudaMemsetParams fill_parameters(const ZeroFill& fill) {
  cudaMemsetParams parameters{};
  parameters.dst = fill.memory;
  parameters.elementSize = 1;
  parameters.width = fill.bytes;
  parameters.height = 1;
  return parameters;
}

// Calls use() with the parameters of kernel i of the work.
template <class Use>
void with_kernel_parameters(const WorkList& work, std::size_t i, const Use& use) {
  const auto& launch = std::get<KernelLaunch>(work[i]);
  const KernelArguments arguments = work.arguments(i);
  void* addresses[] = {const_cast<void*>(arguments[0].data), const_cast<void*>(arguments[1].data)};
  cudaKernelNodeParams parameters{};
  parameters.func = const_cast<void*>(launch.function);
  parameters.gridDim = dim3(launch.grid);
  parameters.blockDim = dim3(launch.block);
  parameters.sharedMemBytes = static_cast<unsigned>(launch.shared);
  parameters.kernelParams = addresses;
  use(parameters);
}

// Each node after the one before, as on a stream.
cudaGraphNode_t add_node(cudaGraph_t graph, cudaGraphNode_t before, const WorkList& work, std::size_t i) {
  cudaGraphNode_t node = nullptr;
  const std::size_t count = before == nullptr ? 0 : 1;
  if (const auto* const copy = std::get_if<DeviceCopy>(&work[i])) {
    CUDA_CHECK(cudaGraphAddMemcpyNode1D(&node, graph, &before, count, copy->to, copy->from, copy->bytes,
                                        cudaMemcpyDeviceToDevice));
  } else if (const auto* const fill = std::get_if<ZeroFill>(&work[i])) {
    const cudaMemsetParams parameters = fill_parameters(*fill);
    CUDA_CHECK(cudaGraphAddMemsetNode(&node, graph, &before, count, &parameters));
  } else {
    with_kernel_parameters(work, i, [&](const cudaKernelNodeParams& parameters) {
      CUDA_CHECK(cudaGraphAddKernelNode(&node, graph, &before, count, &parameters));
    });
  }
  return node;
}

class CudaGraphCalls final : public GraphCalls {
 public:
  explicit CudaGraphCalls(const Stream& stream) : stream_(stream) {}

  void begin_recording(WorkRecorder& recorder) override { stream_.record_to(&recorder); }
  void end_recording() noexcept override { stream_.record_to(nullptr); }

  void build(int slot, const WorkList& work) override {
    cudaGraph_t graph = nullptr;
    CUDA_CHECK(cudaGraphCreate(&graph, 0));
    Slot built{.graph = OwnedGraph(graph)};
    built.nodes.reserve(work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      built.nodes.push_back(add_node(graph, built.nodes.empty() ? nullptr : built.nodes.back(), work, i));
    }
    built.executable = instantiated(graph);
    slots_[slot] = std::move(built);
  }

  void change(int slot, std::size_t i, const WorkList& work) override {
    const cudaGraphExec_t executable = slots_[slot].executable.get();
    const cudaGraphNode_t node = slots_[slot].nodes[i];
    if (const auto* const copy = std::get_if<DeviceCopy>(&work[i])) {
      CUDA_CHECK(cudaGraphExecMemcpyNodeSetParams1D(executable, node, copy->to, copy->from, copy->bytes,
                                                    cudaMemcpyDeviceToDevice));
    } else if (const auto* const fill = std::get_if<ZeroFill>(&work[i])) {
      const cudaMemsetParams parameters = fill_parameters(*fill);
      CUDA_CHECK(cudaGraphExecMemsetNodeSetParams(executable, node, &parameters));
    } else {
      with_kernel_parameters(work, i, [&](const cudaKernelNodeParams& parameters) {
        CUDA_CHECK(cudaGraphExecKernelNodeSetParams(executable, node, &parameters));
      });
    }
  }

  void enqueue(const WorkList& work) override {
    for (std::size_t i = 0; i < work.size(); ++i) {
      if (const auto* const copy = std::get_if<DeviceCopy>(&work[i])) {
        stampede::enqueue(stream_, *copy);
      } else if (const auto* const fill = std::get_if<ZeroFill>(&work[i])) {
        stampede::enqueue(stream_, *fill);
      } else {
        stampede::enqueue(stream_, std::get<KernelLaunch>(work[i]), work.arguments(i));
      }
    }
  }

  void begin_capture() override {
    captured_.reset();
    // Relaxed: a kernel's first launch loads its code, which the stricter modes forbid. Waiting stays an error.
    CUDA_CHECK(cudaStreamBeginCapture(handle(), cudaStreamCaptureModeRelaxed));
  }

  int end_capture() override {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(handle(), &graph);
    captured_.reset(graph);
    if (status != cudaSuccess) {
      cudaGetLastError();
      throw RuntimeError(std::string("the iteration could not be captured as a CUDA graph: ") +
                         cudaGetErrorString(status) + "; cuda_graph=false trains without");
    }
    std::size_t nodes = 0;
    CUDA_CHECK(cudaGraphGetNodes(captured_.get(), nullptr, &nodes));
    return static_cast<int>(nodes);
  }

  void abandon_capture() noexcept override {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(handle(), &graph);
    captured_.reset(graph);
    cudaGetLastError();
  }

  bool update(int slot) override {
    cudaGraphExecUpdateResultInfo info{};
    const cudaError_t status = cudaGraphExecUpdate(slots_[slot].executable.get(), captured_.get(), &info);
    if (status == cudaErrorGraphExecUpdateFailure) {
      cudaGetLastError();
      return false;
    }
    CUDA_CHECK(status);
    return true;
  }

  void instantiate(int slot) override { slots_[slot] = {.executable = instantiated(captured_.get())}; }

  void launch(int slot) override { CUDA_CHECK(cudaGraphLaunch(slots_[slot].executable.get(), handle())); }

 private:
  struct Slot {
    OwnedGraph graph{};                    // null when captured; owns the nodes
    std::vector<cudaGraphNode_t> nodes{};  // by which the executable graph's are changed
    ExecutableGraph executable{};
  };
  cudaStream_t handle() const { return static_cast<cudaStream_t>(stream_.handle()); }

  Stream stream_;
  OwnedGraph captured_;
  Slot slots_[Graph::kKept];
};

}  // namespace
#endif

std::unique_ptr<GraphCalls> cuda_graph_calls([[maybe_unused]] const Stream& stream) {
#ifdef __CUDACC__
  if (stream.is_cuda()) return std::make_unique<CudaGraphCalls>(stream);
#endif
  return nullptr;
}

}  // namespace stampede
