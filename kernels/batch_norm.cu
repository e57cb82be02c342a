// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include <cstddef>

#include "kernels/batch_norm_blocks.h"
#include "kernels/element_count.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// On a CPU a vector of columns goes through the rows together. CUDA has BatchForwardKernel and BatchBackwardKernel.
constexpr int kColumns = kBatchNormColumns;
struct ColumnSums {
  float part[kBatchNormParts][kColumns] = {};

  // add(row, sums of a part) for every row; the total is in part[0].
  template <class Add>
  void over_rows(int rows, const Add& add) {
    int r = 0;
    for (; r + kBatchNormParts <= rows; r += kBatchNormParts) {
      for (int p = 0; p < kBatchNormParts; ++p) add(r + p, part[p]);
    }
    for (int p = 0; r < rows; ++r, ++p) add(r, part[p]);
    for (int half = kBatchNormParts / 2; half > 0; half /= 2) {
      for (int p = 0; p < half; ++p) {
        for (int c = 0; c < kColumns; ++c) part[p][c] += part[p + half][c];
      }
    }
  }
};

struct BatchForwardOp {
  BatchNormForward op;

  void operator()(int group) const {
    const int begin = group * kColumns;
    const float share = 1.0f / static_cast<float>(op.rows);
    ColumnSums sums, squares;
    sums.over_rows(op.rows, [&](int r, float* part) {
      const float* const x = row(op.x, r, begin);
      for (int c = 0; c < kColumns; ++c) part[c] += x[c];
    });
    float *const mean = sums.part[0], *const variance = squares.part[0], inverse[kColumns];
    for (int c = 0; c < kColumns; ++c) mean[c] *= share;
    squares.over_rows(op.rows, [&](int r, float* part) {
      const float* const x = row(op.x, r, begin);
      for (int c = 0; c < kColumns; ++c) part[c] = fused(x[c] - mean[c], x[c] - mean[c], part[c]);
    });
    for (int c = 0; c < kColumns; ++c) {
      variance[c] *= share;
      inverse[c] = inverse_deviation(variance[c]);
      op.mean[begin + c] = mean[c];
      op.variance[begin + c] = variance[c];
    }
    for (int r = 0; r < op.rows; ++r) {
      float* const x = row(op.x, r, begin);
      float* const y = row(op.y, r, begin);
      for (int c = 0; c < kColumns; ++c) {
        x[c] = (x[c] - mean[c]) * inverse[c];
        y[c] = activate(fused(x[c], op.gain[begin + c], op.bias[begin + c]), op.activation);
      }
    }
  }

  float* row(float* rows, int r, int begin) const { return rows + static_cast<std::ptrdiff_t>(r) * op.stride + begin; }
};

struct BatchInferenceOp {
  BatchNormInference op;

  void operator()(int group) const {
    const int begin = group * kColumns;
    float inverse[kColumns];
    for (int c = 0; c < kColumns; ++c) inverse[c] = inverse_deviation(op.variance[begin + c]);
    for (int r = 0; r < op.rows; ++r) {
      float* const x = op.x + static_cast<std::ptrdiff_t>(r) * op.stride + begin;
      for (int c = 0; c < kColumns; ++c) {
        const float n = (x[c] - op.mean[begin + c]) * inverse[c];
        x[c] = activate(fused(n, op.gain[begin + c], op.bias[begin + c]), op.activation);
      }
    }
  }
};

struct BatchBackwardOp {
  BatchNormBackward op;

  void operator()(int group) const {
    const int begin = group * kColumns;
    const float share = 1.0f / static_cast<float>(op.rows);
    ColumnSums sums, products;
    sums.over_rows(op.rows, [&](int r, float* part) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + begin;
      for (int c = 0; c < kColumns; ++c) part[c] += op.dy[i + c];
    });
    products.over_rows(op.rows, [&](int r, float* part) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + begin;
      for (int c = 0; c < kColumns; ++c) part[c] = fused(op.dy[i + c], op.n[i + c], part[c]);
    });
    float *const sum = sums.part[0], *const product = products.part[0], scale[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      if (op.d_gain != nullptr) {
        op.d_gain[begin + c] += product[c];
        op.d_bias[begin + c] += sum[c];
      }
      sum[c] *= share;
      product[c] *= share;
      scale[c] = op.gain[begin + c] * inverse_deviation(op.variance[begin + c]);
    }
    for (int r = 0; r < op.rows; ++r) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + begin;
      for (int c = 0; c < kColumns; ++c) {
        op.dy[i + c] = scale[c] * fused(-product[c], op.n[i + c], op.dy[i + c] - sum[c]);
      }
    }
  }
};

struct BatchRunningOp {
  RunningStatistics op;

  HD void operator()(int i) const {
    const auto rows = static_cast<float>(op.rows);
    const float unbiased = op.rows > 1 ? op.batch_variance[i] * (rows / (rows - 1.0f)) : op.batch_variance[i];
    op.mean[i] = fused(kBatchNormMomentum, op.batch_mean[i] - op.mean[i], op.mean[i]);
    op.variance[i] = fused(kBatchNormMomentum, unbiased - op.variance[i], op.variance[i]);
  }
};

}  // namespace

void batch_norm_forward(const Stream& stream, const BatchNormForward& op) {
  if (op.rows <= 0) return;
  const int groups = op.stride / kColumns;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return launch_blocks(stream, static_cast<unsigned>(groups), kBatchNormThreads, 0, BatchForwardKernel{op});
  }
#endif
  for_each_index_on_cpu(stream, groups, BatchForwardOp{op}, 1);
}

void batch_norm_inference(const Stream& stream, const BatchNormInference& op) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return for_each_index(stream, element_count(op.rows, op.stride), BatchInferenceElement{op});
  }
#endif
  for_each_index_on_cpu(stream, op.stride / kColumns, BatchInferenceOp{op}, 1);
}

void batch_norm_backward(const Stream& stream, const BatchNormBackward& op) {
  if (op.rows <= 0) return;
  const int groups = op.stride / kColumns;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return launch_blocks(stream, static_cast<unsigned>(groups), kBatchNormThreads, 0, BatchBackwardKernel{op});
  }
#endif
  for_each_index_on_cpu(stream, groups, BatchBackwardOp{op}, 1);
}

void update_running_statistics(const Stream& stream, const RunningStatistics& op) {
  for_each_index(stream, op.stride, BatchRunningOp{op});
}

}  // namespace stampede
