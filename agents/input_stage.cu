// SPDX-License-Identifier: Apache-2.0
#include "agents/input_stage.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

constexpr int kVectorFloats = 16;  // rows are padded to whole vectors of these

HD void zero_vector(float* x) {
  for (int k = 0; k < kVectorFloats; ++k) x[k] = 0.0f;
}

HD void copy_row(const float* from, int size, float* to) {
  int k = 0;
#ifndef __CUDA_ARCH__
  for (; k + 4 <= size; k += 4) __builtin_memcpy(to + k, from + k, 4 * sizeof(float));
#endif
  for (; k < size; ++k) to[k] = from[k];
}

// source: flat observation index of each row, or begin + row when indices is null.
struct FeatureOp {
  const float* obs;  // [., D]
  const std::int32_t* indices;
  int begin, size, stride;
  const float *mean, *inverse;  // [D], null without normalisation
  float* out;                   // [rows, stride]

  HD void operator()(int row) const {
    const std::size_t from = indices ? static_cast<std::size_t>(indices[row]) : static_cast<std::size_t>(begin + row);
    const float* const source = obs + from * static_cast<std::size_t>(size);
    float* const target = out + static_cast<std::size_t>(row) * static_cast<std::size_t>(stride);
    for (int k = 0; k < stride; k += kVectorFloats) zero_vector(target + k);
    if (mean == nullptr) return copy_row(source, size, target);
    for (int k = 0; k < size; ++k) target[k] = normalized_observation(source[k], mean[k], inverse[k]);
  }
};

struct ClassOp {
  const std::int32_t* obs;  // [.]
  const std::int32_t* indices;
  int begin;
  std::int32_t* out;  // [rows]

  HD void operator()(int row) const { out[row] = obs[indices ? indices[row] : begin + row]; }
};

void run(const Stream& stream, const NetworkSpec& spec, const ObservationNormalizer& normalizer, const void* obs,
         const std::int32_t* indices, int begin, int rows, const InputRows& out) {
  if (spec.one_hot()) {
    for_each_index(stream, rows, ClassOp{static_cast<const std::int32_t*>(obs), indices, begin, out.classes});
    return;
  }
  const bool normalize = normalizer.enabled();
  for_each_index(
      stream, rows,
      FeatureOp{static_cast<const float*>(obs), indices, begin, spec.input_size(), spec.input_stride(),
                normalize ? normalizer.mean() : nullptr, normalize ? normalizer.inverse() : nullptr, out.features});
}

}  // namespace

InputRows InputRows::take(const NetworkSpec& spec, int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  if (spec.one_hot()) return {nullptr, arena.take<std::int32_t>(n).data};
  return {arena.take<float>(n * static_cast<std::size_t>(spec.input_stride())).data, nullptr};
}

void prepare_inputs(const Stream& stream, const NetworkSpec& spec, const ObservationNormalizer& normalizer,
                    const void* obs, int begin, int rows, const InputRows& out) {
  run(stream, spec, normalizer, obs, nullptr, begin, rows, out);
}

void gather_inputs(const Stream& stream, const NetworkSpec& spec, const ObservationNormalizer& normalizer,
                   const RingView& ring, const std::int32_t* indices, int rows, const InputRows& out) {
  run(stream, spec, normalizer, ring.obs, indices, 0, rows, out);
}

}  // namespace stampede
