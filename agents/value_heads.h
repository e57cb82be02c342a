// SPDX-License-Identifier: Apache-2.0
// How a network output row holds action values: plain or dueling heads (Wang et al. 2016, arXiv:1511.06581, equation
// 9), each action with one value or with the atoms of a distribution.
#pragma once

#include <cstdint>

#include "agents/losses/categorical_loss.h"
#include "agents/losses/quantile_loss.h"

namespace stampede {

enum class ValueDistribution : std::uint8_t { kNone, kCategorical, kQuantile };

// Columns of a row: with dueling the state's value [atoms] first, then the advantages [actions, atoms].
struct ValueHeads {
  int actions = 1;
  ValueDistribution distribution = ValueDistribution::kNone;
  Support support = {};  // atoms = 1 without a distribution; v_min and v_max are the categorical one's
  bool dueling = false;

  HD int atoms() const { return support.atoms; }
  HD int column(int action) const { return (action + (dueling ? 1 : 0)) * support.atoms; }

  // What dueling adds to the advantages of atom k: V_k - mean_a A_k(a).
  HD float shift(const float* row, int k) const {
    float sum = 0.0f;
    for (int a = 0; a < actions; ++a) sum += row[column(a) + k];
    return row[k] - sum / static_cast<float>(actions);
  }
  // Without a distribution: Q(a).
  HD float value(const float* row, int action) const {
    const float q = row[column(action)];
    return dueling ? q + shift(row, 0) : q;
  }
  // The atoms of an action into z [padded], behind them `padding`.
  template <class Lanes>
  HD void load(const Lanes& lanes, const float* row, int action, int padded, float padding, float* z) const {
    const float* const own = row + column(action);
    const int n = support.atoms;
    if (!dueling) {
      fill_atoms(lanes, z, n, padded, padding);
      STAMPEDE_INDEPENDENT
      for (int k = lanes.from(0); k < n; k += Lanes::kStep) z[k] = own[k];
      return;
    }
    fill_atoms(lanes, z, 0, padded, 0.0f);
    for (int a = 0; a < actions; ++a) {
      const float* const advantages = row + column(a);
      STAMPEDE_INDEPENDENT
      for (int k = lanes.from(0); k < n; k += Lanes::kStep) z[k] += advantages[k];
    }
    const float share = 1.0f / static_cast<float>(actions);
    STAMPEDE_INDEPENDENT
    for (int k = lanes.from(0); k < n; k += Lanes::kStep) z[k] = own[k] + (row[k] - z[k] * share);
    fill_atoms(lanes, z, n, padded, padding);
  }
  // Derivatives with respect to the row from those of one action's atoms: d_row must be zero before.
  template <class Lanes = WholeRow>
  HD void spread(const float* d, int action, float weight, float* d_row, const Lanes& lanes = {}) const {
    const int n = support.atoms;
    if (dueling) {
      const float share = weight / static_cast<float>(actions);
      STAMPEDE_INDEPENDENT
      for (int k = lanes.from(0); k < n; k += Lanes::kStep) d_row[k] = weight * d[k];
      for (int a = 0; a < actions; ++a) {
        float* const d_advantages = d_row + column(a);
        STAMPEDE_INDEPENDENT
        for (int k = lanes.from(0); k < n; k += Lanes::kStep) d_advantages[k] = -share * d[k];
      }
    }
    float* const own = d_row + column(action);
    STAMPEDE_INDEPENDENT
    for (int k = lanes.from(0); k < n; k += Lanes::kStep) own[k] = fused(weight, d[k], own[k]);
  }
  // Expected return of an action from its distribution. z [padded] is scratch.
  template <class Lanes>
  HD float mean(const Lanes& lanes, const float* row, int action, float* z) const {
    const int n = support.atoms, padded = padded_atoms(n);
    if (distribution == ValueDistribution::kQuantile) {
      load(lanes, row, action, padded, 0.0f, z);
      return mean_of_quantiles(lanes, z, n, padded);
    }
    load(lanes, row, action, padded, kFarBelow, z);
    softmax_of_atoms(lanes, z, n, padded, z);
    return mean_of_support(lanes, support, z, padded);
  }

  static constexpr float kFarBelow = -1e30f;  // as a logit: no probability
};

}  // namespace stampede
