// SPDX-License-Identifier: Apache-2.0
// Our own multi-layer perceptron: register-tiled on the CPU, block-tiled kernels on CUDA, no library unless asked.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "agents/networks/network.h"
#include "kernels/columns.h"
#include "kernels/cublas_products.h"

namespace stampede {

class MlpNetwork final : public Network {
 public:
  // products: what multiplies on streams that it serves, except for class inputs and tangents. Its algorithms are
  // chosen when a workspace's size is asked for, and by the number of rows: there, batch size does change bits.
  explicit MlpNetwork(NetworkSpec spec, std::shared_ptr<const CublasProducts> products = nullptr);

  int preferred_rows(const Stream& stream) const override;
  std::size_t workspace_size(int rows, bool with_gradient) const override;
  std::size_t prepared_size() const override { return prepared_size_; }
  void forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep, float* workspace,
               float* outputs) const override;
  void forward_tower(const Stream& stream, const float* parameters, NetworkInput input, int rows, int tower,
                     float* workspace, float* outputs) const override;
  void prepare_backward(const Stream& stream, const float* parameters, float* prepared) const override;
  void backward(const Stream& stream, const float* parameters, const float* prepared, NetworkInput input, int rows,
                const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const override;
  void forward_tangent(const Stream& stream, const float* parameters, const float* direction, NetworkInput input,
                       int rows, float* workspace, float* tangents) const override;
  void update_statistics(const Stream& stream, const float* workspace, int rows, float* parameters) const override;

 private:
  // Layers [begin, end), whole towers, of so many rows.
  struct Pass {
    int rows;
    bool keep;
    std::size_t begin, end;
  };
  void run_layers(const Stream& stream, const float* parameters, NetworkInput input, const Pass& pass, float* workspace,
                  float* outputs) const;

  // A layer's normalisation: forward, its gradient and its tangent, in place of the products before it.
  void normalize(const Stream& stream, const float* parameters, std::size_t layer, int rows, bool keep,
                 float* workspace, float* y) const;
  void normalize_batch(const Stream& stream, const float* parameters, std::size_t layer, int rows, bool keep,
                       float* workspace, float* y) const;
  void differentiate_norm(const Stream& stream, const float* parameters, std::size_t layer, int rows, float* workspace,
                          float* dy, float* gradients) const;
  void move_norm(const Stream& stream, const float* parameters, const float* direction, std::size_t layer, int rows,
                 float* workspace, float* dx) const;
  // Two towers alike, layer by layer together: on CUDA each takes one launch for both.
  bool together(const Stream& stream) const { return alike_ && stream.is_cuda(); }
  void forward_together(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep,
                        float* workspace, float* outputs) const;
  void backward_together(const Stream& stream, const float* prepared, NetworkInput input, int rows,
                         const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const;
  // A layer's products without their pointers.
  LinearForward forward_shape(std::size_t layer, int rows) const;
  LinearBackwardWeights weights_shape(std::size_t layer, int rows) const;
  LinearBackwardData data_shape(std::size_t layer, int rows) const;

  // Whether output rows end with this layer's, and between which rows these are moved.
  bool shows_features(std::size_t layer) const { return static_cast<int>(layer) == spec().features().layer; }
  ColumnRange feature_columns(std::size_t layer, int rows) const;

  // With a library: the choice of its algorithms, and its part of a workspace, which lies behind the rest.
  void plan(int rows, bool with_gradient) const;
  bool has_mask(std::size_t layer, int rows) const;
  int plain_stride(std::size_t layer) const;                           // BackwardSources::w_stride
  ReluMask mask(std::size_t layer, int rows, float* workspace) const;  // of a workspace with gradient
  // In floats from a workspace's start.
  std::size_t native_size(int rows, bool with_gradient) const;
  std::size_t mask_offset(int rows, bool with_gradient) const;
  std::size_t scratch_offset(int rows, bool with_gradient) const;

  std::size_t gradient_scratch_size(int rows) const;
  float* gradient_scratch(float* workspace, int rows) const;  // [gradient_parts(rows), largest_gradient_]
  float* inverse_deviations(float* workspace, int rows, std::size_t layer) const;  // [rows]
  float* batch_statistics(float* workspace, int rows, std::size_t layer) const;    // mean and variance, [2, out_stride]

  // Where a layer stands and where what belongs to it lies.
  struct Place {
    bool first = false, last = false;  // in its tower
    int output_column = 0;             // of a last layer, in an output row
    std::size_t kept = 0;              // of a hidden layer's activations in the workspace, in floats per row
    std::size_t transposed = 0;        // of its transposed weights in the prepared block
    std::size_t normalized = 0;        // of a normalisation's results, in floats per row
    std::size_t inverse = 0;           // of a layer normalisation's inverse deviations, behind everything else
    std::size_t statistics = 0;        // of a batch normalisation's, in front of them
    std::size_t mask = 0;              // of a library's ReLU bits, in words per row, behind all of these
  };

  std::vector<Place> places_;   // one per layer
  std::size_t kept_ = 0;        // floats per row of all hidden activations and normalised values
  std::size_t norms_ = 0;       // layers with layer normalisation
  std::size_t statistics_ = 0;  // floats of all batch statistics
  std::size_t widest_ = 0;      // floats per row of the widest hidden layer
  std::size_t passing_ = 2;     // hidden layers whose values or gradients are there at a time
  bool alike_ = false;          // two towers of equal strides, multiplied by our own kernels without more
  std::size_t masks_ = 0;       // words per row of all ReLU bits
  std::size_t prepared_size_ = 0;
  std::shared_ptr<const CublasProducts> products_;
  std::size_t largest_gradient_ = 0;  // floats of what one of our own kernels sums over rows at once
};

}  // namespace stampede
