// SPDX-License-Identifier: Apache-2.0
#include "kernels/cublas_products.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/error.h"
#include "kernels/product_epilogues.h"

namespace stampede {
namespace {

// Splitting a sum among blocks takes room for each part.
constexpr std::size_t kWorkspaceBytes = std::size_t{8} << 20;
constexpr std::size_t kWorkspaceFloats = kWorkspaceBytes / sizeof(float);
constexpr std::size_t kWorkspaceAlignment = 256;
constexpr std::uint32_t kAlignment = 64;  // of every other pointer

// The part of a block of scratch that lies behind the workspace.
struct Scratch {
  explicit Scratch(float* block) {
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    const std::uintptr_t aligned = (address + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    workspace = block + (aligned - address) / sizeof(float);
    vector = workspace + kWorkspaceFloats;
  }
  float* workspace;
  float* vector;  // a bias' gradient, or a one for each row
};

using Owner = std::unique_ptr<void, CublasLt::Status (*)(void*)>;

}  // namespace

struct CublasProducts::Plan {
  Owner desc, a, b, d;
  CublasLt::Algorithm algorithm;
  bool accumulate;
  CublasLt::Epilogue epilogue;
};

CublasProducts::Shape CublasProducts::Shape::plain() const {
  Shape shape = *this;
  shape.epilogue = CublasLt::kNoEpilogue;
  shape.mask_bits = 0;
  return shape;
}

CublasProducts::CublasProducts(const CublasLt& functions, Device device, bool tf32)
    : lt_(functions), device_(device), compute_(tf32 ? CublasLt::kComputeTf32 : CublasLt::kComputeFloat32) {
  check(lt_.create(&handle_), "cublasLtCreate");
}

CublasProducts::~CublasProducts() {
  plans_.clear();
  lt_.destroy(handle_);
}

void CublasProducts::check(CublasLt::Status status, const char* call) const {
  if (status == CublasLt::kSuccess) return;
  throw RuntimeError(std::string("cuBLASLt: ") + lt_.status_string(status) + " in " + call +
                     "; gemm=native trains without it");
}

std::size_t CublasProducts::scratch_size(int rows, int widest) {
  const auto vector = static_cast<std::size_t>(std::max(rows, widest));
  return kWorkspaceAlignment / sizeof(float) + kWorkspaceFloats + (vector + 15) / 16 * 16;
}

CublasProducts::Shape CublasProducts::shape_of(const LinearForward& op, ReluMask mask) {
  Shape shape{op.out_stride, op.rows, op.in, op.out_stride, op.x_stride, op.y_stride};
  if (op.activation == GemmActivation::kLinear) shape.epilogue = CublasLt::kBias;
  if (op.activation == GemmActivation::kRelu) shape.epilogue = CublasLt::kReluBias;
  if (mask.stride > 0) {
    shape.epilogue = CublasLt::kReluMaskBias;
    shape.mask_bits = mask.stride * 32;
  }
  return shape;
}

CublasProducts::Shape CublasProducts::shape_of(const LinearBackwardData& op, const BackwardSources& sources) {
  Shape shape{op.in_stride, op.rows, op.out, op.in_stride, op.dy_stride, op.dx_stride};
  shape.accumulate = op.accumulate;
  if (sources.w_stride > 0) {
    shape.transposed_a = true;
    shape.a_stride = sources.w_stride;
  }
  if (sources.mask.stride > 0) {
    shape.epilogue = CublasLt::kReluGradient;
    shape.mask_bits = sources.mask.stride * 32;
  }
  return shape;
}

CublasProducts::Shape CublasProducts::shape_of(const LinearBackwardWeights& op) {
  Shape shape{op.out_stride, op.in, op.rows, op.dy_stride, op.x_stride, op.out_stride};
  shape.transposed_b = shape.accumulate = true;
  shape.epilogue = CublasLt::kBiasGradientOfA;
  return shape;
}

// The sum over rows as a product with a column of ones.
CublasProducts::Shape CublasProducts::column_sums_shape(const LinearBackwardWeights& op) {
  Shape shape{op.out_stride, 1, op.rows, op.dy_stride, op.rows, op.out_stride};
  shape.accumulate = true;
  return shape;
}

std::unique_ptr<CublasProducts::Plan> CublasProducts::make_plan(const Shape& shape) const {
  // [rows, columns], or what lies in memory to be read transposed.
  const auto layout = [&](int rows, int columns, int stride, bool transposed) {
    if (transposed) std::swap(rows, columns);
    CublasLt::Layout made = nullptr;
    check(lt_.layout_create(&made, CublasLt::kFloat32, static_cast<std::uint64_t>(rows),
                            static_cast<std::uint64_t>(columns), stride),
          "cublasLtMatrixLayoutCreate");
    return Owner(made, lt_.layout_destroy);
  };
  CublasLt::Desc made = nullptr;
  check(lt_.desc_create(&made, compute_, CublasLt::kFloat32), "cublasLtMatmulDescCreate");
  auto plan = std::make_unique<Plan>(Plan{Owner(made, lt_.desc_destroy),
                                          layout(shape.m, shape.k, shape.a_stride, shape.transposed_a),
                                          layout(shape.k, shape.n, shape.b_stride, shape.transposed_b),
                                          layout(shape.m, shape.n, shape.d_stride, false),
                                          {},
                                          shape.accumulate,
                                          shape.epilogue});
  describe(*plan, shape);
  return choose_algorithm(*plan) ? std::move(plan) : nullptr;
}

void CublasProducts::describe(const Plan& plan, const Shape& shape) const {
  const auto set = [&](CublasLt::DescAttribute attribute, auto value) {
    check(lt_.desc_set(plan.desc.get(), attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  };
  set(CublasLt::kTransposeA, shape.transposed_a ? CublasLt::kTransposed : CublasLt::kPlain);
  set(CublasLt::kTransposeB, shape.transposed_b ? CublasLt::kTransposed : CublasLt::kPlain);
  set(CublasLt::kEpilogue, shape.epilogue);
  if (shape.epilogue == CublasLt::kNoEpilogue) return;
  // Never read; the choice of an algorithm looks at their alignment.
  const auto somewhere = reinterpret_cast<const void*>(static_cast<std::uintptr_t>(kAlignment));
  if (shape.epilogue != CublasLt::kReluGradient) set(CublasLt::kBiasPointer, somewhere);
  if (shape.mask_bits == 0) return;
  set(CublasLt::kMaskPointer, somewhere);
  set(CublasLt::kMaskStride, static_cast<std::int64_t>(shape.mask_bits));
}

bool CublasProducts::choose_algorithm(Plan& plan) const {
  CublasLt::Preference made = nullptr;
  check(lt_.preference_create(&made), "cublasLtMatmulPreferenceCreate");
  const Owner preference(made, lt_.preference_destroy);
  const auto set = [&](int attribute, auto value) {
    check(lt_.preference_set(made, static_cast<CublasLt::PreferenceAttribute>(attribute), &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  set(CublasLt::kMaxWorkspace, static_cast<std::uint64_t>(kWorkspaceBytes));
  // Not in place, where parts would be added in the order in which blocks finish.
  set(CublasLt::kReductionMask, std::uint32_t{CublasLt::kReduceInWorkspace});
  for (int matrix = 0; matrix < 4; ++matrix) set(CublasLt::kMinAlignmentA + matrix, kAlignment);
  CublasLt::Heuristic result{};
  int found = 0;
  const CublasLt::Status status = lt_.heuristic(handle_, plan.desc.get(), plan.a.get(), plan.b.get(), plan.d.get(),
                                                plan.d.get(), made, 1, &result, &found);
  if (status == CublasLt::kNotSupported || status == CublasLt::kInvalidValue) return false;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (found < 1 || result.state != CublasLt::kSuccess || result.workspace_bytes > kWorkspaceBytes) return false;
  plan.algorithm = result.algorithm;
  return true;
}

const CublasProducts::Plan* CublasProducts::find_plan(const Shape& shape) const {
  const std::lock_guard lock(mutex_);
  const auto known = plans_.find(shape);
  if (known != plans_.end()) return known->second.get();
  return plans_.emplace(shape, make_plan(shape)).first->second.get();
}

const CublasProducts::Plan& CublasProducts::best_plan(const Shape& shape) const {
  if (const Plan* const plan = find_plan(shape)) return *plan;
  if (const Plan* const plan = find_plan(shape.plain())) return *plan;
  throw RuntimeError("cuBLASLt has no algorithm for a product of " + std::to_string(shape.m) + " x " +
                     std::to_string(shape.k) + " by " + std::to_string(shape.n) + "; gemm=native trains without it");
}

bool CublasProducts::has_mask(const LinearForward& forward, const LinearBackwardData& backward, int w_stride) const {
  const ReluMask mask{nullptr, mask_stride(forward.out_stride)};
  return find_plan(shape_of(forward, mask)) != nullptr &&
         find_plan(shape_of(backward, {mask, nullptr, w_stride})) != nullptr;
}

void CublasProducts::plan(const LinearBackwardWeights& op) const {
  if (best_plan(shape_of(op)).epilogue == CublasLt::kNoEpilogue) best_plan(column_sums_shape(op));
}

void CublasProducts::forward(const Stream& stream, const LinearForward& op, ReluMask mask, float* scratch) const {
  const Plan& plan = best_plan(shape_of(op, mask));
  const bool complete = plan.epilogue != CublasLt::kNoEpilogue;
  run(stream, plan, op.w, op.x, op.y, complete ? op.b : nullptr, mask.bits, scratch);
  if (!complete) add_bias_and_activate(stream, op);
}

void CublasProducts::backward_data(const Stream& stream, const LinearBackwardData& op, const BackwardSources& sources,
                                   float* scratch) const {
  const Plan& plan = best_plan(shape_of(op, sources));
  run(stream, plan, sources.w_stride > 0 ? sources.w : op.wt, op.dy, op.dx, nullptr, sources.mask.bits, scratch);
  if (plan.epilogue == CublasLt::kNoEpilogue) multiply_by_derivative(stream, op);
}

void CublasProducts::backward_weights(const Stream& stream, const LinearBackwardWeights& op, float* scratch) const {
  float* const vector = Scratch(scratch).vector;
  const Plan& plan = best_plan(shape_of(op));
  const bool complete = plan.epilogue != CublasLt::kNoEpilogue;
  run(stream, plan, op.dy, op.x, op.dw, complete ? vector : nullptr, nullptr, scratch);
  if (complete) return add_to(stream, op.db, vector, op.out_stride);  // the epilogue replaces what was there
  fill(stream, vector, 1.0f, op.rows);
  run(stream, best_plan(column_sums_shape(op)), op.dy, vector, op.db, nullptr, nullptr, scratch);
}

void CublasProducts::run(const Stream& stream, const Plan& plan, const float* a, const float* b, float* d,
                         const void* bias, const void* mask, float* scratch) const {
  const std::lock_guard lock(mutex_);
  const auto set = [&](CublasLt::DescAttribute attribute, const void* pointer) {
    if (pointer == nullptr) return;
    check(lt_.desc_set(plan.desc.get(), attribute, &pointer, sizeof pointer), "cublasLtMatmulDescSetAttribute");
  };
  set(CublasLt::kBiasPointer, bias);
  set(CublasLt::kMaskPointer, mask);
  const float alpha = 1.0f, beta = plan.accumulate ? 1.0f : 0.0f;
  check(lt_.matmul(handle_, plan.desc.get(), &alpha, a, plan.a.get(), b, plan.b.get(), &beta, d, plan.d.get(), d,
                   plan.d.get(), &plan.algorithm, Scratch(scratch).workspace, kWorkspaceBytes, stream.handle()),
        "cublasLtMatmul");
}

}  // namespace stampede
