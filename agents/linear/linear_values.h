// SPDX-License-Identifier: Apache-2.0
// Action values as sums over features: a few at once in registers, a single one, and their change. Features that take
// code are called rather than copied; arguments and results then travel in registers.
#pragma once

#include <type_traits>

#include "agents/linear/features.h"
#include "agents/linear/td_policy.h"

namespace stampede {

template <class Features>
inline constexpr bool kIsTable = std::is_same_v<Features, OneHot>;

// Actions valued at once.
inline constexpr int kValueGroup = 4;

// weights [F, A] of one estimator.
template <class Features>
struct LinearValues {
  const Features& features;
  float* weights;
  int actions;

  // Values of actions first, first + 1, ...; beyond the last action that one again.
  HD ActionValues<kValueGroup> group(const std::uint32_t* obs, int first) const {
    return called([=](LinearValues self) { return self.sum_group(obs, first); });
  }
  HD float value(const std::uint32_t* obs, int action) const {
    return called([=](LinearValues self) { return self.sum(obs, action); });
  }
  // Adds step * rate * feature to the weights of one action.
  HD void move(const std::uint32_t* obs, int action, float step) const {
    called([=](LinearValues self) { self.add(obs, action, step); });
  }

 private:
  template <class Part>
  HD auto called(Part part) const {
    if constexpr (kIsTable<Features>) {
      return part(*this);
    } else {
      return call(*this, part);
    }
  }
  template <class Part>
  static HD_CALL auto call(LinearValues self, Part part) {
    return part(self);
  }

  HD float* row(const Feature& f) const {
    return weights + static_cast<std::size_t>(f.index) * static_cast<std::size_t>(actions);
  }
  HD ActionValues<kValueGroup> sum_group(const std::uint32_t* obs, int first) const {
    ActionValues<kValueGroup> q{};
    int column[kValueGroup];
#pragma GCC unroll 4
    for (int j = 0; j < kValueGroup; ++j) column[j] = first + j < actions ? first + j : actions - 1;
    for (int k = 0; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      const float* const w = row(f);
#pragma GCC unroll 4
      for (int j = 0; j < kValueGroup; ++j) {
        const float part = f.value * w[column[j]];
        q.value[j] = k == 0 ? part : q.value[j] + part;
      }
    }
    return q;
  }
  HD float sum(const std::uint32_t* obs, int action) const {
    float total = 0.0f;
    for (int k = 0; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      total += f.value * row(f)[action];
    }
    return total;
  }
  HD void add(const std::uint32_t* obs, int action, float step) const {
    for (int k = 0; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      row(f)[action] += step * features.rate(f.index) * f.value;
    }
  }
};

}  // namespace stampede
