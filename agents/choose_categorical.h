// SPDX-License-Identifier: Apache-2.0
// The step that draws a batch of discrete actions; included by policy_steps.cu.
#pragma once

#include "agents/policy_choice.h"
#include "replay/returns.h"

namespace stampede {

// Actions: the number of logits when the compiler should know it, so that the loop over rows vectorises; 0 = any.
// Recorded: log-probability and value are kept.
template <int Actions, bool Recorded>
struct ChooseCategoricalOp {
  const float* outputs;
  std::uint32_t* records;
  float* extra;
  int output_stride, policy_column, value_column, count, record_words, extra_size, begin;
  RandomKey key;
  bool greedy;

  HD void operator()(int r) const {
    const float* const out = outputs + static_cast<std::size_t>(r * output_stride);
    const CategoricalChoice choice = choose(out + policy_column, key.lane_word(static_cast<std::uint32_t>(begin + r)));
    records[static_cast<std::size_t>((begin + r) * record_words)] = static_cast<std::uint32_t>(choice.action);
    if constexpr (Recorded) {
      float* const kept = extra + static_cast<std::size_t>((begin + r) * extra_size);
      kept[RolloutExtra::kLogProb] = choice.log_prob;
      kept[RolloutExtra::kValue] = out[value_column];
    }
  }

 private:
  HD CategoricalChoice choose(const float* logits, std::uint32_t word) const {
    if constexpr (Actions == 0) {
      return choose_categorical(logits, count, word, greedy);
    } else {
      float copy[Actions];
      for (int j = 0; j < Actions; ++j) copy[j] = logits[j];
      return choose_categorical(copy, Actions, word, greedy);
    }
  }
};

}  // namespace stampede
