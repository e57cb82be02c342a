// SPDX-License-Identifier: Apache-2.0
#include "agents/exploration.h"

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
    const bool boltzmann = exploration.temperature > 0.0f;
    if (boltzmann || exploration.epsilon > 0.0f) {
      Rng rng(key, static_cast<std::uint32_t>(i));
      const bool random = rng.uniform() < environment_epsilon(exploration, i);
      const int any = static_cast<int>(rng.below(static_cast<std::uint32_t>(rows.actions)));
      if (boltzmann) action = sample_boltzmann(q, rows.actions, exploration.temperature, rng.uniform());
      action = random ? any : action;
    }
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
