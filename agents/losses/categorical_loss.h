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
template <class Lanes>
HD float mean_of_support(const Lanes& lanes, const Support& support, const float* p, int padded) {
  return lanes.reduce(padded, AddAtoms{}, [&](int k) { return p[k] * support.atom(k); });
}

// Where the atoms of a distribution fall after z -> reward + discount z: beyond the ends on the last atom.
class Shift {
 public:
  HD Shift(const Support& support, float reward, float discount)
      : discount_(discount),
        first_((fused(discount, support.v_min, reward) - support.v_min) * (1.0f / support.spacing())),
        last_(static_cast<float>(support.atoms - 1)) {}

  // In units of atoms; never falls as k grows.
  HD float position(int k) const { return clamp(fused(discount_, static_cast<float>(k), first_), 0.0f, last_); }
  // The lower of the two neighbours that share a position's mass.
  HD float lower(float position) const {
    const float floor = floor_of(position);
    return floor < last_ ? floor : last_ - 1.0f;
  }

 private:
  float discount_, first_, last_;
};

// What the neighbours below and above a position get of an atom's mass, by how far they are from it.
struct SharedMass {
  float below, above;
};
HD SharedMass share_mass(float mass, float position, float lower) {
  return {mass * (lower + 1.0f - position), mass * (position - lower)};
}

// Adds `weight` times the projection of p's atoms, moved to reward + discount z_k, to m [atoms]. Nothing of the mass is
// lost; on an integer position the neighbours get none. the sums [padded] are scratch.
HD void add_projection(const WholeRow& /*lanes*/, const Support& support, const float* p, int padded, float reward,
                       float discount, float weight, float* below_sums, float* above_sums, float* m) {
  const Shift shift(support, reward, discount);
  int lower[kMaxAtoms];
  float below[kMaxAtoms], above[kMaxAtoms];
  STAMPEDE_INDEPENDENT
  for (int k = 0; k < padded; ++k) {
    const float position = shift.position(k), start = shift.lower(position);
    const SharedMass mass = share_mass(weight * p[k], position, start);
    lower[k] = static_cast<int>(start);
    above[k] = mass.above;
    below[k] = mass.below;
    below_sums[k] = above_sums[k] = 0.0f;
  }
  // Two arrays, because neighbouring atoms would otherwise wait for each other's sums.
  for (int k = 0; k < support.atoms; ++k) {
    below_sums[lower[k]] += below[k];
    above_sums[lower[k]] += above[k];
  }
  m[0] += below_sums[0];
  STAMPEDE_INDEPENDENT
  for (int k = 1; k < support.atoms; ++k) m[k] += below_sums[k] + above_sums[k - 1];
}

// Cross-entropy of the taken action's logits z with the projected target m, both [padded] (m's padding zero, z's far
// below). Writes d(loss)/d(logits) = softmax(z) - m to d [padded]. Returns KL(m || softmax(z)), the cross-entropy less
// the entropy of m, which no prediction can remove.
template <class Lanes>
HD float categorical_gradient(const Lanes& lanes, const Support& support, const float* z, const float* m, int padded,
                              float* d, float* metrics) {
  constexpr float kTiny = 1e-30f;  // 0 log 0 = 0
  const float normalizer = softmax_of_atoms(lanes, z, support.atoms, padded, d);
  const float q = mean_of_support(lanes, support, d, padded), target = mean_of_support(lanes, support, m, padded);
  STAMPEDE_INDEPENDENT
  for (int k = lanes.from(0); k < padded; k += Lanes::kStep) d[k] -= m[k];
  const float loss = lanes.reduce(padded, AddAtoms{}, [&](int k) { return m[k] * (normalizer - z[k]); });
  const float kl = loss + lanes.reduce(padded, AddAtoms{}, [&](int k) { return m[k] * log_of(m[k] + kTiny); });
  set_row_metrics(loss, q, target, metrics);
  return kl > 0.0f ? kl : 0.0f;
}

}  // namespace stampede
