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
using CapturedGraph = std::unique_ptr<CUgraph_st, DestroyGraph>;
using ExecutableGraph = std::unique_ptr<CUgraphExec_st, DestroyExecutable>;

class CudaGraphCalls final : public GraphCalls {
 public:
  explicit CudaGraphCalls(const Stream& stream) : stream_(stream) {}

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
    const cudaError_t status = cudaGraphExecUpdate(executable(slot).get(), captured_.get(), &info);
    if (status == cudaErrorGraphExecUpdateFailure) {
      cudaGetLastError();
      return false;
    }
    CUDA_CHECK(status);
    return true;
  }

  void instantiate(int slot) override {
    cudaGraphExec_t created = nullptr;
    CUDA_CHECK(cudaGraphInstantiate(&created, captured_.get(), 0));
    executable(slot).reset(created);
  }

  void launch(int slot) override { CUDA_CHECK(cudaGraphLaunch(executable(slot).get(), handle())); }

 private:
  cudaStream_t handle() const { return static_cast<cudaStream_t>(stream_.handle()); }
  ExecutableGraph& executable(int slot) { return executables_[slot]; }

  Stream stream_;
  CapturedGraph captured_;
  ExecutableGraph executables_[Graph::kKept];
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
