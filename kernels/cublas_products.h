// SPDX-License-Identifier: Apache-2.0
// The products of gemm.h computed by cuBLASLt, for layers too wide for the block tiles of our own to be fastest.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/cublas_lt.h"
#include "kernels/gemm.h"

namespace stampede {

// One bit per output of a layer with ReLU, in cuBLASLt's own order: written forward, read by the gradient.
struct ReluMask {
  std::uint32_t* bits = nullptr;  // [rows, stride], or null: the gradient reads the activations
  int stride = 0;                 // words per row, a multiple of 16
};

// What the gradient of a layer's inputs may read beside what LinearBackwardData names.
struct BackwardSources {
  ReluMask mask = {};
  // The weights themselves, [in, w_stride], instead of their transpose. Null where stride is 0, and where `in` is not a
  // multiple of 16: the padding of dx is written by the padding of the transpose.
  const float* w = nullptr;
  int w_stride = 0;
};

// Bias, ReLU, its derivative and the bias' gradient are epilogues of the products where cuBLASLt has an algorithm with
// them, else kernels of their own (kernels/product_epilogues.h).
//
// An algorithm is chosen once per shape: by plan(), or by the first product of that shape. Choosing asks the host only,
// and a product only enqueues, so both may be part of a CUDA graph. Sums that are split among blocks are combined in a
// fixed order, never by whichever block comes first: the same bits on the same device and version of the library, but
// not those of gemm.h. Threads may share it. All functions throw RuntimeError with what the library says.
class CublasProducts {
 public:
  // `device` is where the pointers of products lie: CUDA, unless a test's functions compute on the host. tf32 rounds
  // inputs of products to 10 bits of mantissa, for tensor cores.
  CublasProducts(const CublasLt& functions, Device device, bool tf32);
  ~CublasProducts();

  bool serves(const Stream& stream) const { return stream.device().kind == device_.kind; }

  // Floats of scratch that products of up to `rows` rows and `widest` floats per row need.
  static std::size_t scratch_size(int rows, int widest);

  // Words per row of the mask of a layer with so many outputs.
  static int mask_stride(int out_stride) { return (out_stride + 511) / 512 * 16; }
  // Whether forward() can write a mask that backward_data() reads. Pointers do not matter.
  bool has_mask(const LinearForward& forward, const LinearBackwardData& backward, int w_stride) const;
  void plan(const LinearForward& op, ReluMask mask) const { best_plan(shape_of(op, mask)); }
  void plan(const LinearBackwardData& op, const BackwardSources& sources) const { best_plan(shape_of(op, sources)); }
  void plan(const LinearBackwardWeights& op) const;

  void forward(const Stream& stream, const LinearForward& op, ReluMask mask, float* scratch) const;
  void backward_data(const Stream& stream, const LinearBackwardData& op, const BackwardSources& sources,
                     float* scratch) const;
  void backward_weights(const Stream& stream, const LinearBackwardWeights& op, float* scratch) const;

 private:
  // D [m, n] = op(A) op(B) (+ D), column-major: our row-major matrices seen transposed.
  struct Shape {
    int m, n, k, a_stride, b_stride, d_stride;
    bool transposed_a = false, transposed_b = false, accumulate = false;
    CublasLt::Epilogue epilogue = CublasLt::kNoEpilogue;
    int mask_bits = 0;  // per row
    auto operator<=>(const Shape&) const = default;
    Shape plain() const;  // the same without epilogue
  };
  struct Plan;
  static Shape shape_of(const LinearForward& op, ReluMask mask);
  static Shape shape_of(const LinearBackwardData& op, const BackwardSources& sources);
  static Shape shape_of(const LinearBackwardWeights& op);
  static Shape column_sums_shape(const LinearBackwardWeights& op);

  const Plan* find_plan(const Shape& shape) const;  // null when there is no algorithm
  const Plan& best_plan(const Shape& shape) const;  // without its epilogue where there is none with it
  std::unique_ptr<Plan> make_plan(const Shape& shape) const;
  void describe(const Plan& plan, const Shape& shape) const;
  bool choose_algorithm(Plan& plan) const;
  void run(const Stream& stream, const Plan& plan, const float* a, const float* b, float* d, const void* bias,
           const void* mask, float* scratch) const;
  void check(CublasLt::Status status, const char* call) const;

  CublasLt lt_;
  Device device_;
  CublasLt::ComputeType compute_;
  CublasLt::Handle handle_ = nullptr;
  mutable std::mutex mutex_;                              // guards plans and the pointers that their descriptors hold
  mutable std::map<Shape, std::unique_ptr<Plan>> plans_;  // null: no algorithm
};

}  // namespace stampede
