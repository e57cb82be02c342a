// SPDX-License-Identifier: Apache-2.0
#include "agents/dqn_steps.h"

#include "agents/atom_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct GatherActionsOp {
  RingView ring;
  const std::int32_t* indices;
  std::int32_t* actions;

  HD void operator()(int r) const {
    actions[r] = static_cast<std::int32_t>(ring.record(static_cast<std::size_t>(indices[r]))[0]);
  }
};

struct ActionValuesOp {
  ValueHeads heads;
  const float* outputs;
  int output_stride;
  float* q;
  int stride;

  HD void operator()(int r) const {
    const float* const row = outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(output_stride);
    float* const values = q + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride);
    for (int a = 0; a < heads.actions; ++a) values[a] = heads.value(row, a);
  }
};

// The means of distributions; CUDA has AtomMeansKernel.
struct AtomMeansOp {
  ValueHeads heads;
  const float* outputs;
  int output_stride;
  float* q;
  int stride;

  void operator()(int r) const {
    const float* const row = outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(output_stride);
    float* const values = q + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride);
    alignas(64) float z[kMaxAtoms];
    for (int a = 0; a < heads.actions; ++a) values[a] = heads.mean(WholeRow{}, row, a, z);
  }
};

struct MeasureEntropiesOp {
  const float* q;
  int stride, actions;
  float temperature;
  float* entropies;  // of the first row's environment

  HD void operator()(int r) const {
    const float* const row = q + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride);
    entropies[r] = soft_entropy(row, actions, temperature) / temperature;
  }
};

}  // namespace

void measure_entropies(const Stream& stream, const float* q, int stride, int actions, float temperature, int begin,
                       int rows, float* entropies) {
  for_each_index(stream, rows, MeasureEntropiesOp{q, stride, actions, temperature, entropies + begin});
}

void gather_actions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                    std::int32_t* actions) {
  for_each_index(stream, rows, GatherActionsOp{ring, indices, actions});
}

void action_values(const Stream& stream, const ValueHeads& heads, const float* outputs, int output_stride, int rows,
                   float* q, int stride) {
  if (heads.distribution == ValueDistribution::kNone) {
    return for_each_index(stream, rows, ActionValuesOp{heads, outputs, output_stride, q, stride});
  }
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return launch_blocks(stream, atom_blocks(rows * heads.actions), kAtomThreads, atom_scratch_bytes(1, heads.atoms()),
                         AtomMeansKernel{heads, outputs, output_stride, rows, q, stride});
  }
#endif
  for_each_index_on_cpu(stream, rows, AtomMeansOp{heads, outputs, output_stride, q, stride}, 64);
}

}  // namespace stampede
