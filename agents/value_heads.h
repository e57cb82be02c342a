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
  HD void load(const float* row, int action, int padded, float padding, float* z) const {
    const float* const own = row + column(action);
    const int n = support.atoms;
    for (int k = 0; k < n; ++k) z[k] = own[k];
    fill_atoms(z, n, padded, padding);
    if (!dueling) return;
    float sums[kMaxAtoms];
    fill_atoms(sums, 0, padded, 0.0f);
    for (int a = 0; a < actions; ++a) {
      const float* const advantages = row + column(a);
      for (int k = 0; k < n; ++k) sums[k] += advantages[k];
    }
    const float share = 1.0f / static_cast<float>(actions);
    for (int k = 0; k < n; ++k) z[k] += row[k] - sums[k] * share;
  }
  // Derivatives with respect to the row from those of one action's atoms: d_row must be zero before.
  HD void spread(const float* d, int action, float weight, float* d_row) const {
    const int n = support.atoms;
    if (dueling) {
      const float share = weight / static_cast<float>(actions);
      for (int k = 0; k < n; ++k) d_row[k] = weight * d[k];
      for (int a = 0; a < actions; ++a) {
        float* const d_advantages = d_row + column(a);
        for (int k = 0; k < n; ++k) d_advantages[k] = -share * d[k];
      }
    }
    float* const own = d_row + column(action);
    for (int k = 0; k < n; ++k) own[k] = fused(weight, d[k], own[k]);
  }
  // Expected return of an action, whatever the heads hold.
  HD float mean(const float* row, int action) const {
    if (distribution == ValueDistribution::kNone) return value(row, action);
    const int padded = padded_atoms(support.atoms);
    float z[kMaxAtoms];
    if (distribution == ValueDistribution::kQuantile) {
      load(row, action, padded, 0.0f, z);
      return mean_of_quantiles(z, support.atoms, padded);
    }
    float p[kMaxAtoms];
    load(row, action, padded, kFarBelow, z);
    softmax_of_atoms(z, support.atoms, padded, p);
    return mean_of_support(support, p, padded);
  }

  static constexpr float kFarBelow = -1e30f;  // as a logit: no probability
};

}  // namespace stampede
