// SPDX-License-Identifier: Apache-2.0
// Arithmetic on the atoms of one value distribution, in lanes that gcc vectorises: sums have one shape on every device.
#pragma once

#include "kernels/math.h"

namespace stampede {

// Most atoms or quantiles of one action: on a CPU, rows work in local arrays of this size.
inline constexpr int kMaxAtoms = 256;
inline constexpr int kAtomLanes = 16;

// Arrays are worked on in whole lanes; what lies behind the last atom is padding.
HD int padded_atoms(int atoms) { return (atoms + kAtomLanes - 1) / kAtomLanes * kAtomLanes; }

struct AddAtoms {
  static HD float identity() { return 0.0f; }
  HD float operator()(float a, float b) const { return a + b; }
};
struct LargerAtom {
  static HD float identity() { return -INFINITY; }
  HD float operator()(float a, float b) const { return b > a ? b : a; }
};

// Who works on a row: here one thread, on all of its atoms. On CUDA sixteen threads share them (AtomLanes in
// agents/atom_blocks.h) and run the same functions: an element of an array is written and read by the same thread,
// except across a wait() or a reduce().
struct WholeRow {
  static constexpr int kStep = 1;

  // The first of this thread's atoms that is not below `begin`; the others follow in steps of kStep.
  HD int from(int begin) const { return begin; }
  HD void wait() const {}
  // Floats from one scratch array of a row to the next; a constant, so that gcc sees that they are apart.
  HD int scratch_stride(int /*padded*/) const { return kMaxAtoms; }
  // Combines value(k) of all k in [0, padded) to one number, which every thread gets: sixteen lanes with every
  // sixteenth atom in ascending order, then lane j takes lane j + 8, j + 4, j + 2 and j + 1.
  template <class Combine, class Value>
  HD float reduce(int padded, const Combine& combine, const Value& value) const {
    float lanes[kAtomLanes];
    for (int j = 0; j < kAtomLanes; ++j) lanes[j] = Combine::identity();
    for (int k = 0; k < padded; k += kAtomLanes) {
      for (int j = 0; j < kAtomLanes; ++j) lanes[j] = combine(lanes[j], value(k + j));
    }
    return combine_halves<kAtomLanes / 2>(lanes, combine);
  }

 private:
  template <int Half, class Combine>
  static HD float combine_halves(float* lanes, const Combine& combine) {
    for (int j = 0; j < Half; ++j) lanes[j] = combine(lanes[j], lanes[j + Half]);
    if constexpr (Half > 1) return combine_halves<Half / 2>(lanes, combine);
    return lanes[0];
  }
};

template <class Lanes>
HD void fill_atoms(const Lanes& lanes, float* x, int begin, int end, float value) {
  STAMPEDE_INDEPENDENT
  for (int k = lanes.from(begin); k < end; k += Lanes::kStep) x[k] = value;
}

// Of x [padded], whose padding must be neutral.
template <class Lanes>
HD float sum_of_atoms(const Lanes& lanes, const float* x, int padded) {
  return lanes.reduce(padded, AddAtoms{}, [&](int k) { return x[k]; });
}
template <class Lanes>
HD float largest_atom(const Lanes& lanes, const float* x, int padded) {
  return lanes.reduce(padded, LargerAtom{}, [&](int k) { return x[k]; });
}

// Logits z [padded], with padding that is not above the largest, become probabilities p [padded] with zero padding; p
// may be z. Returns log(sum_k exp(z_k)).
template <class Lanes>
HD float softmax_of_atoms(const Lanes& lanes, const float* z, int atoms, int padded, float* p) {
  const float largest = largest_atom(lanes, z, padded);
  STAMPEDE_INDEPENDENT
  for (int k = lanes.from(0); k < padded; k += Lanes::kStep) {
    const float e = exp_of(z[k] - largest);
    p[k] = k < atoms ? e : 0.0f;
  }
  const float sum = sum_of_atoms(lanes, p, padded);
  const float scale = 1.0f / sum;
  STAMPEDE_INDEPENDENT
  for (int k = lanes.from(0); k < padded; k += Lanes::kStep) p[k] *= scale;
  return largest + log_of(sum);
}

}  // namespace stampede
