// SPDX-License-Identifier: Apache-2.0
// What an algorithm knows of a network: a pure function of a parameter block, its gradient and its tangent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "agents/networks/network_spec.h"
#include "kernels/stream.h"

namespace stampede {

// One of the two is set: prepared float rows, or class indices when the spec is one-hot.
struct NetworkInput {
  const float* features = nullptr;        // [rows, input_stride], padding zero
  const std::int32_t* classes = nullptr;  // [rows]
};

// Parameters, gradients and workspaces are passed in; the object itself holds no state that a call changes, so threads
// share it. An output row depends on the row's own inputs only: batch size and tiling change no bit. The exception is
// batch normalisation, which uses the batch's statistics where forward() keeps for a gradient, else the running ones.
//
// Every float pointer is aligned to 64 bytes, as what an Arena hands out.
class Network {
 public:
  virtual ~Network() = default;

  const NetworkSpec& spec() const { return spec_; }

  // Rows that one call should get on this stream: a tile that stays in cache on a CPU; everything (0) on CUDA, for
  // Torch and wherever rows depend on each other through batch normalisation.
  virtual int preferred_rows(const Stream& stream) const = 0;
  // Floats a workspace needs for calls of up to `rows` rows; with_gradient also keeps what backward() reads.
  virtual std::size_t workspace_size(int rows, bool with_gradient) const = 0;
  // Floats of the shared scratch that prepare_backward() fills.
  virtual std::size_t prepared_size() const = 0;

  // outputs [rows, output_stride]. workspace of workspace_size(rows, keep) floats; keep = true leaves in it what
  // backward() needs. Stream-ordered.
  virtual void forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep,
                       float* workspace, float* outputs) const = 0;
  // forward(keep = false) of one tower: its columns of outputs. The others keep what they held, or are computed too by
  // a network that has no way to leave them out. Stream-ordered.
  virtual void forward_tower(const Stream& stream, const float* parameters, NetworkInput input, int rows, int /*tower*/,
                             float* workspace, float* outputs) const {
    forward(stream, parameters, input, rows, false, workspace, outputs);
  }
  // Once after parameters changed and before any backward(): derives the weight layouts backward reads.
  virtual void prepare_backward(const Stream& stream, const float* parameters, float* prepared) const = 0;
  // Adds the parameters' gradient of this call's rows to gradients [parameter_count], in ascending row order, unless
  // null (an actor's pass through a critic wants d_inputs alone); writes d_inputs [rows, input_stride] unless null.
  // d_outputs [rows, output_stride] has zero padding. What forward() kept stays: several backward() and
  // forward_tangent() calls may follow one forward().
  virtual void backward(const Stream& stream, const float* parameters, const float* prepared, NetworkInput input,
                        int rows, const float* d_outputs, float* workspace, float* gradients,
                        float* d_inputs) const = 0;
  // Forward-mode derivative: tangents [rows, output_stride] = how outputs change along `direction` [parameter_count]
  // (padding zero) from `parameters`, with inputs held fixed. Reads what forward(keep = true) left of the same rows.
  virtual void forward_tangent(const Stream& stream, const float* parameters, const float* direction,
                               NetworkInput input, int rows, float* workspace, float* tangents) const = 0;

  // Moves the running statistics of batch normalisation in `parameters` towards those that forward(keep = true) found
  // in its rows. Without such layers nothing happens. Stream-ordered.
  virtual void update_statistics(const Stream& /*stream*/, const float* /*workspace*/, int /*rows*/,
                                 float* /*parameters*/) const {}

 protected:
  explicit Network(NetworkSpec spec) : spec_(std::move(spec)) {}

 private:
  NetworkSpec spec_;
};

}  // namespace stampede
