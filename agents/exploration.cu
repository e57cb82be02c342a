// SPDX-License-Identifier: Apache-2.0
#include "agents/exploration.h"

#include "agents/epsilon_greedy.h"
#include "agents/losses/soft_value.h"
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
    int action = argmax(q, rows.actions);
    if (exploration.temperature > 0.0f) {
      // epsilon_greedy() reads the first two words of the same block.
      const float u = uniform_float(key.block(static_cast<std::uint32_t>(i), 0).word[2]);
      action = sample_boltzmann(q, rows.actions, exploration.temperature, u);
    }
    action = epsilon_greedy(action, rows.actions, environment_epsilon(exploration, i), key, i);
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
