// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include <cstddef>

#include "kernels/gemm_blocks.h"
#include "kernels/launch.h"
#include "kernels/math.h"

namespace stampede {
namespace {

// Columns that go through the rows together: a vector of them on a CPU.
constexpr int kGrain = 16;
#ifdef __CUDA_ARCH__
constexpr int kColumns = 1;
#else
constexpr int kColumns = kGrain;
#endif

HD float inverse_deviation(float variance) { return 1.0f / square_root(variance + kBatchNormEpsilon); }

struct BatchForwardOp {
  BatchNormForward op;

  HD void operator()(int begin, int) const {
    const float share = 1.0f / static_cast<float>(op.rows);
    float mean[kColumns] = {}, variance[kColumns] = {}, inverse[kColumns];
    for (int r = 0; r < op.rows; ++r) {
      const float* const x = row(op.x, r, begin);
      for (int c = 0; c < kColumns; ++c) mean[c] += x[c];
    }
    for (int c = 0; c < kColumns; ++c) mean[c] *= share;
    for (int r = 0; r < op.rows; ++r) {
      const float* const x = row(op.x, r, begin);
      for (int c = 0; c < kColumns; ++c) variance[c] = fused(x[c] - mean[c], x[c] - mean[c], variance[c]);
    }
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

  HD float* row(float* rows, int r, int begin) const {
    return rows + static_cast<std::ptrdiff_t>(r) * op.stride + begin;
  }
};

struct BatchInferenceOp {
  BatchNormInference op;

  HD void operator()(int begin, int) const {
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

  HD void operator()(int begin, int) const {
    const float share = 1.0f / static_cast<float>(op.rows);
    float sum[kColumns] = {}, product[kColumns] = {}, scale[kColumns];
    for (int r = 0; r < op.rows; ++r) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + begin;
      for (int c = 0; c < kColumns; ++c) {
        sum[c] += op.dy[i + c];
        product[c] = fused(op.dy[i + c], op.n[i + c], product[c]);
      }
    }
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
  if (op.rows > 0) for_each_chunk(stream, op.stride, BatchForwardOp{op}, kGrain);
}

void batch_norm_inference(const Stream& stream, const BatchNormInference& op) {
  for_each_chunk(stream, op.stride, BatchInferenceOp{op}, kGrain);
}

void batch_norm_backward(const Stream& stream, const BatchNormBackward& op) {
  if (op.rows > 0) for_each_chunk(stream, op.stride, BatchBackwardOp{op}, kGrain);
}

void update_running_statistics(const Stream& stream, const RunningStatistics& op) {
  for_each_index(stream, op.stride, BatchRunningOp{op});
}

}  // namespace stampede
