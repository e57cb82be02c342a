// SPDX-License-Identifier: Apache-2.0
#include "agents/replay_batch.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

struct GatherOp {
  RingView ring;
  const std::int32_t* indices;  // [rows]
  CriticRows out;
  bool with_action;

  HD void operator()(int r) const {
    const auto index = static_cast<std::size_t>(indices[r]);
    const int obs_size = ring.shape.obs_size;
    const float* const obs = reinterpret_cast<const float*>(ring.obs) + index * static_cast<std::size_t>(obs_size);
    float* const row = out.features + static_cast<std::size_t>(r) * static_cast<std::size_t>(out.stride);
    for (int k = 0; k < obs_size; ++k) row[k] = obs[k];
    if (with_action) out.code.read(ring.record(index), row + obs_size);
    for (int k = obs_size + out.code.size; k < out.stride; ++k) row[k] = 0.0f;
  }
};

}  // namespace

CriticRows CriticRows::take(int rows, int stride, const ActionCode& code, Arena& arena) {
  return {arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride)).data, stride, code};
}

void gather_state_actions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                          const CriticRows& out) {
  for_each_index(stream, rows, GatherOp{ring, indices, out, true});
}

void gather_states(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                   const CriticRows& out) {
  for_each_index(stream, rows, GatherOp{ring, indices, out, false});
}

}  // namespace stampede
