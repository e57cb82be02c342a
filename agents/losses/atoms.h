// SPDX-License-Identifier: Apache-2.0
// Arithmetic on the atoms of one value distribution, in lanes that gcc vectorises: sums have one shape on every device.
#pragma once

#include "kernels/math.h"

namespace stampede {

// Most atoms or quantiles of one action: rows work in local arrays of this size.
inline constexpr int kMaxAtoms = 256;
inline constexpr int kAtomLanes = 16;

// Local arrays are worked on in whole lanes; what lies behind the last atom is padding.
HD int padded_atoms(int atoms) { return (atoms + kAtomLanes - 1) / kAtomLanes * kAtomLanes; }

HD void fill_atoms(float* x, int begin, int end, float value) {
  for (int k = begin; k < end; ++k) x[k] = value;
}

// lanes[j] becomes combine(lanes[j], lanes[j + Half]), then so for half as many, until one is left.
template <int Half, class Combine>
HD float combine_lanes(float* lanes, const Combine& combine) {
  for (int j = 0; j < Half; ++j) lanes[j] = combine(lanes[j], lanes[j + Half]);
  if constexpr (Half > 1) return combine_lanes<Half / 2>(lanes, combine);
  return lanes[0];
}

// Combines x [padded] to one number.
template <class Combine>
HD float reduce_atoms(const float* x, int padded, const Combine& combine) {
  float lanes[kAtomLanes];
  for (int j = 0; j < kAtomLanes; ++j) lanes[j] = x[j];
  for (int k = kAtomLanes; k < padded; k += kAtomLanes) {
    for (int j = 0; j < kAtomLanes; ++j) lanes[j] = combine(lanes[j], x[k + j]);
  }
  return combine_lanes<kAtomLanes / 2>(lanes, combine);
}

struct AddAtoms {
  HD float operator()(float a, float b) const { return a + b; }
};
struct LargerAtom {
  HD float operator()(float a, float b) const { return b > a ? b : a; }
};
// Padding must be neutral.
HD float sum_of_atoms(const float* x, int padded) { return reduce_atoms(x, padded, AddAtoms{}); }
HD float largest_atom(const float* x, int padded) { return reduce_atoms(x, padded, LargerAtom{}); }

// Logits z [padded], with padding that is not above the largest, become probabilities p [padded] with zero padding.
// Returns log(sum_k exp(z_k)).
HD float softmax_of_atoms(const float* z, int atoms, int padded, float* p) {
  const float largest = largest_atom(z, padded);
  for (int k = 0; k < padded; ++k) {
    const float e = exp_of(z[k] - largest);
    p[k] = k < atoms ? e : 0.0f;
  }
  const float sum = sum_of_atoms(p, padded);
  const float scale = 1.0f / sum;
  for (int k = 0; k < padded; ++k) p[k] *= scale;
  return largest + log_of(sum);
}

}  // namespace stampede
