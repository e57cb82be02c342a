// SPDX-License-Identifier: Apache-2.0
// Behaviour and target policies over the action values of one state. Values are visited in the order of the actions and
// never indexed, so that kernels keep them in registers: values.visit(f) calls f(action, value); kCount is their
// number, 0 = known at run time only.
#pragma once

#include "agents/linear/td_config.h"
#include "kernels/philox.h"

namespace stampede {

struct TdRates {
  float epsilon, learning_rate, temperature;
};

// Values of kActions actions side by side.
template <int kActions>
struct ActionValues {
  static constexpr int kCount = kActions;
  float value[kActions];

  HD ActionValues mean(const ActionValues& other) const {
    ActionValues means;
#pragma GCC unroll 32
    for (int a = 0; a < kActions; ++a) means.value[a] = 0.5f * (value[a] + other.value[a]);
    return means;
  }
  template <class Visitor>
  HD void visit(Visitor&& visitor) const {
#pragma GCC unroll 32
    for (int a = 0; a < kActions; ++a) visitor(a, value[a]);
  }
};

// uniform_below() in 32 bits, whose vectors have twice the lanes; n below 2^16.
HD std::uint32_t uniform_below_few(std::uint32_t word, std::uint32_t n) {
  return ((word >> 16) * n + ((word & 0xFFFFu) * n >> 16)) >> 16;
}

HD std::uint32_t count_bits(std::uint32_t bits) {
#ifdef __CUDA_ARCH__
  return static_cast<std::uint32_t>(__popc(bits));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(bits));
#endif
}
// Place of the lowest bit that is set; 0 where none is.
HD int lowest_bit(std::uint32_t bits) {
#ifdef __CUDA_ARCH__
  return bits == 0 ? 0 : __ffs(static_cast<int>(bits)) - 1;
#else
  return bits == 0 ? 0 : __builtin_ctz(bits);
#endif
}

// What most policies need to know of a state's values.
struct ValueSummary {
  float largest = 0.0f;
  float sum = 0.0f;
  std::uint32_t best = 0;  // bit a: action a has the largest value

  HD void note(int action, float value) {
    const std::uint32_t bit = 1u << action;
    const float before = action == 0 ? value : largest;
    largest = value > before ? value : before;
    // Masks: choices would become branches, which are hard to predict.
    const std::uint32_t leads = 0u - static_cast<std::uint32_t>(value > before);
    const std::uint32_t equals = 0u - static_cast<std::uint32_t>(value == largest);
    best = (best & ~leads) | (bit & equals);
    sum += value;
  }
  // The lowest action of the largest value.
  HD int first_best() const { return lowest_bit(best); }
  // Uniform among the actions of the largest value.
  HD int random_best(std::uint32_t word) const {
    std::uint32_t left = best;
    for (std::uint32_t skip = uniform_below_few(word, count_bits(best)); skip > 0; --skip) left &= left - 1;
    return lowest_bit(left);
  }
  // The same of a known number of actions, for loops that vectorise: as many actions as have not more than `skip` best
  // ones up to them lie before the chosen one.
  template <int kActions>
  HD int random_best_of(std::uint32_t word) const {
    std::uint32_t ties = 0;
#pragma GCC unroll 32
    for (int a = 0; a < kActions; ++a) ties += best >> a & 1;
    const std::uint32_t skip = uniform_below_few(word, ties);
    std::uint32_t seen = 0;
    int chosen = 0;
#pragma GCC unroll 32
    for (int a = 0; a < kActions - 1; ++a) {
      seen += best >> a & 1;
      chosen += seen <= skip ? 1 : 0;
    }
    return chosen;
  }
};

template <class Values>
HD ValueSummary summary_of(const Values& values) {
  ValueSummary summary;
  values.visit([&](int action, float value) { summary.note(action, value); });
  return summary;
}
template <class Values>
HD float largest_of(const Values& values) {
  float largest = 0.0f;
  values.visit([&](int action, float value) { largest = action == 0 || value > largest ? value : largest; });
  return largest;
}
template <class Values>
HD float value_of(const Values& values, int wanted) {
  std::uint32_t found = 0;  // bits, because gcc makes a switch of choices, and no vectors of a switch
  values.visit([&](int action, float value) {
    found |= float_bits(value) & (0u - static_cast<std::uint32_t>(action == wanted));
  });
  return bits_float(found);
}

HD int epsilon_greedy(int greedy, int actions, float epsilon, const PhiloxBlock& draw) {
  const auto random = static_cast<int>(uniform_below_few(draw.word[1], static_cast<std::uint32_t>(actions)));
  return uniform_float(draw.word[0]) < epsilon ? random : greedy;
}

// Sum of exp((q(a) - largest) / temperature).
template <class Values>
HD float exponential_sum(const Values& values, float largest, float inverse_temperature) {
  float sum = 0.0f;
  values.visit([&](int, float value) { sum += exp_of((value - largest) * inverse_temperature); });
  return sum;
}

// pi(a) proportional to exp(q(a) / temperature).
template <class Values>
HD int boltzmann(const Values& values, const ValueSummary& summary, int actions, float temperature,
                 const PhiloxBlock& draw) {
  const float inverse = 1.0f / temperature;
  float left = uniform_float(draw.word[0]) * exponential_sum(values, summary.largest, inverse);
  int chosen = 0;
  values.visit([&](int action, float value) {
    left -= exp_of((value - summary.largest) * inverse);
    chosen += (left >= 0.0f) & (action < actions - 1);
  });
  return chosen;
}

template <class Values>
HD int behave(TdTarget target, const Values& values, int actions, const TdRates& rates, const PhiloxBlock& draw) {
  const ValueSummary summary = summary_of(values);
  if (target == TdTarget::kSoft) return boltzmann(values, summary, actions, rates.temperature, draw);
  int greedy = 0;
  if constexpr (Values::kCount > 0) {
    greedy = summary.template random_best_of<Values::kCount>(draw.word[2]);
  } else {
    greedy = summary.random_best(draw.word[2]);
  }
  return epsilon_greedy(greedy, actions, rates.epsilon, draw);
}

// Value of a state for a target; `action` is the one taken next. Soft: Haarnoja et al. 2017, equation 5, with the
// maximum taken out first; otherwise the expectation under the epsilon-greedy policy.
template <class Values>
HD float target_value(TdTarget target, const Values& values, int actions, int action, const TdRates& rates) {
  if (target == TdTarget::kMaximum) return largest_of(values);
  if (target == TdTarget::kSampled) return value_of(values, action);
  const ValueSummary summary = summary_of(values);
  if (target == TdTarget::kSoft) {
    const float sum = exponential_sum(values, summary.largest, 1.0f / rates.temperature);
    return fused(rates.temperature, log_of(sum), summary.largest);
  }
  return fused(rates.epsilon / static_cast<float>(actions), summary.sum, (1.0f - rates.epsilon) * summary.largest);
}

}  // namespace stampede
