// SPDX-License-Identifier: Apache-2.0
// The multi-layer perceptron of a spec computed by LibTorch's modules and differentiated by its autograd.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "agents/networks/network.h"

namespace stampede {

// The modules' tensors are views of the parameter blocks that calls pass, so optimisers and checkpoints see one layout
// for every implementation. Unlike other networks it keeps something between calls: an autograd graph cannot lie in a
// float block, so the workspace's address names the graph that forward(keep = true) built, which lives here until the
// next such call replaces it. Threads may share the object as long as each has its own workspace.
//
// On a CPU it computes on stream.threads() threads, on one inside a parallel region; unlike MlpNetwork's, the last bits
// of its results may depend on threads, batch size and processor. On CUDA (a build with STAMPEDE_TORCH_CUDA; else a
// CUDA stream is a RuntimeError) everything is enqueued on the given stream by the calling thread, without waiting, so
// a Graph can capture it. LibTorch's allocator hands memory that a call has freed only to later calls on the same
// stream, and a captured graph runs once, before them; so captures need no memory pool of their own.
//
// Every call throws RuntimeError for whatever LibTorch reports, such as a class out of range.
class TorchNetwork final : public Network {
 public:
  explicit TorchNetwork(NetworkSpec spec);
  ~TorchNetwork() override;

  // LibTorch tiles by itself: 0.
  int preferred_rows(const Stream& stream) const override;
  std::size_t workspace_size(int rows, bool with_gradient) const override;
  std::size_t prepared_size() const override { return 0; }
  void forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep, float* workspace,
               float* outputs) const override;
  void prepare_backward(const Stream& stream, const float* parameters, float* prepared) const override;
  // Throws RuntimeError before the workspace's first forward(keep = true).
  void backward(const Stream& stream, const float* parameters, const float* prepared, NetworkInput input, int rows,
                const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const override;
  void forward_tangent(const Stream& stream, const float* parameters, const float* direction, NetworkInput input,
                       int rows, float* workspace, float* tangents) const override;
  void update_statistics(const Stream& stream, const float* workspace, int rows, float* parameters) const override;

 private:
  struct Workspace;
  Workspace& workspace_of(const float* address) const;

  mutable std::mutex mutex_;  // guards the map, not what it holds
  mutable std::unordered_map<const float*, std::unique_ptr<Workspace>> workspaces_;
};

}  // namespace stampede

// What the program looks up in the shared library; the caller owns the result.
extern "C" stampede::Network* stampede_make_torch_network(const stampede::NetworkSpec& spec);
