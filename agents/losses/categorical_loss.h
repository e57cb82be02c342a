// SPDX-License-Identifier: Apache-2.0
// Categorical value distributions: Bellemare, Dabney & Munos 2017 (arXiv:1707.06887), algorithm 1 (C51).
#pragma once

#include "agents/losses/atoms.h"
#include "agents/losses/dqn_loss.h"

namespace stampede {

// Atoms z_k = v_min + k (v_max - v_min) / (atoms - 1).
struct Support {
  float v_min = -10.0f, v_max = 10.0f;
  int atoms = 51;

  HD float spacing() const { return (v_max - v_min) / static_cast<float>(atoms - 1); }
  HD float atom(int k) const { return fused(spacing(), static_cast<float>(k), v_min); }
};

// sum_k p_k z_k for p [padded] with zero padding.
HD float mean_of_support(const Support& support, const float* p, int padded) {
  float products[kMaxAtoms];
  for (int k = 0; k < padded; ++k) products[k] = p[k] * support.atom(k);
  return sum_of_atoms(products, padded);
}

// Adds `weight` times the projection of p's atoms, moved to reward + discount z_k, to m [atoms]. Mass lands on the two
// neighbours of where it falls, beyond the ends on the last atom: nothing is lost, on an integer position neither.
HD void add_projection(const Support& support, const float* p, int padded, float reward, float discount, float weight,
                       float* m) {
  const float scale = 1.0f / support.spacing();
  const float first = (fused(discount, support.v_min, reward) - support.v_min) * scale;
  const float last = static_cast<float>(support.atoms - 1);
  int lower[kMaxAtoms];
  float below[kMaxAtoms], above[kMaxAtoms], below_sums[kMaxAtoms], above_sums[kMaxAtoms];
  for (int k = 0; k < padded; ++k) {
    const float position = clamp(fused(discount, static_cast<float>(k), first), 0.0f, last);
    const float floor = floor_of(position);
    const float start = floor < last ? floor : last - 1.0f;
    lower[k] = static_cast<int>(start);
    above[k] = weight * p[k] * (position - start);
    below[k] = weight * p[k] * (start + 1.0f - position);
    below_sums[k] = above_sums[k] = 0.0f;
  }
  // Two arrays, because neighbouring atoms would otherwise wait for each other's sums.
  for (int k = 0; k < support.atoms; ++k) {
    below_sums[lower[k]] += below[k];
    above_sums[lower[k]] += above[k];
  }
  m[0] += below_sums[0];
  for (int k = 1; k < support.atoms; ++k) m[k] += below_sums[k] + above_sums[k - 1];
}

// Cross-entropy of the taken action's logits z with the projected target m, both [padded] (m's padding zero, z's far
// below). Writes d(loss)/d(logits) = softmax(z) - m to d [padded]. Returns KL(m || softmax(z)), the cross-entropy less
// the entropy of m, which no prediction can remove.
HD float categorical_gradient(const Support& support, const float* z, const float* m, int padded, float* d,
                              float* metrics) {
  constexpr float kTiny = 1e-30f;  // 0 log 0 = 0
  float p[kMaxAtoms], cross[kMaxAtoms], negative_entropy[kMaxAtoms];
  const float normalizer = softmax_of_atoms(z, support.atoms, padded, p);
  for (int k = 0; k < padded; ++k) {
    cross[k] = m[k] * (normalizer - z[k]);
    d[k] = p[k] - m[k];
  }
  for (int k = 0; k < padded; ++k) negative_entropy[k] = m[k] * log_of(m[k] + kTiny);
  const float q = mean_of_support(support, p, padded), target = mean_of_support(support, m, padded);
  const float loss = sum_of_atoms(cross, padded), kl = loss + sum_of_atoms(negative_entropy, padded);
  set_row_metrics(loss, q, target, metrics);
  return kl > 0.0f ? kl : 0.0f;
}

}  // namespace stampede
