// SPDX-License-Identifier: Apache-2.0
// What the compiler knows of an environment's rollout: the sizes of observations, records and outputs.
#pragma once

#include "sim/batched_env.h"

namespace stampede {

// All ids of a type have the same actions.
template <class E>
constexpr bool has_one_action_space() {
  for (const EnvSpec& spec : E::specs) {
    const Space &a = spec.action, &b = E::specs[0].action;
    if (a.kind != b.kind || a.count != b.count || a.size != b.size) return false;
  }
  return true;
}

template <class E>
struct RolloutShape {
  static_assert(has_one_action_space<E>());
  static constexpr Space kAction = E::specs[0].action;
  static constexpr bool kDiscrete = kAction.is_discrete();
  static constexpr bool kOneHot = E::specs[0].observation.is_discrete();
  static constexpr int kObsWords = EnvBatch<E>::kObsWords;
  static constexpr int kRecordWords = EnvBatch<E>::kRecord.words;
  static constexpr int kPolicy = kDiscrete ? kAction.count : kAction.size;
  static constexpr int kOutputs = kPolicy + 1;  // and the value

  using Obs = std::uint32_t[kObsWords];
  using Record = std::uint32_t[kRecordWords];
  using Outputs = float[kOutputs];  // [policy..., value]
};

}  // namespace stampede
