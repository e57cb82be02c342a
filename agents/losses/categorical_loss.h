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
  float fraction[kMaxAtoms];
  for (int k = 0; k < padded; ++k) {
    const float position = clamp(fused(discount, static_cast<float>(k), first), 0.0f, last);
    const float below = floor_of(position);
    const float start = below < last ? below : last - 1.0f;
    lower[k] = static_cast<int>(start);
    fraction[k] = position - start;
  }
  for (int k = 0; k < support.atoms; ++k) {
    const float mass = weight * p[k];
    m[lower[k]] = fused(mass, 1.0f - fraction[k], m[lower[k]]);
    m[lower[k] + 1] = fused(mass, fraction[k], m[lower[k] + 1]);
  }
}

// Cross-entropy of the taken action's logits z with the projected target m, both [padded] (m's padding zero, z's far
// below). Writes d(loss)/d(logits) = softmax(z) - m to d [padded]. The priority is KL(m || softmax(z)), as Hessel et
// al. 2018 (Rainbow): the cross-entropy less the entropy of m, which no prediction can remove.
HD void categorical_gradient(const Support& support, const float* z, const float* m, int padded, float* d,
                             float* metrics) {
  float p[kMaxAtoms], terms[kMaxAtoms], divergence[kMaxAtoms];
  const float normalizer = softmax_of_atoms(z, support.atoms, padded, p);
  for (int k = 0; k < padded; ++k) {
    const float log_p = z[k] - normalizer;
    const float safe = m[k] > 0.0f ? m[k] : 1.0f;
    const float cross = m[k] > 0.0f ? -m[k] * log_p : 0.0f;
    terms[k] = cross;
    divergence[k] = fused(m[k], log_of(safe), cross);
    d[k] = p[k] - m[k];
  }
  const float q = mean_of_support(support, p, padded), target = mean_of_support(support, m, padded);
  const float kl = sum_of_atoms(divergence, padded);
  set_row_metrics(sum_of_atoms(terms, padded), q, target, kl > 0.0f ? kl : 0.0f, metrics);
}

}  // namespace stampede
