// SPDX-License-Identifier: Apache-2.0
#include "agents/exploration.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

struct ChooseActionOp {
  EpsilonGreedyRows rows;
  RandomKey key;
  Exploration exploration;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const float* const q = rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(rows.output_stride);
    const int action = explore(q, rows.actions, exploration, key, i);
    rows.records[static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words)] =
        static_cast<std::uint32_t>(action);
  }
};

}  // namespace

void choose_actions(const Stream& stream, const EpsilonGreedyRows& rows, const RandomKey& key,
                    const Exploration& exploration) {
  for_each_index(stream, rows.rows, ChooseActionOp{rows, key, exploration});
}

}  // namespace stampede
