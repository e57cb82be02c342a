// SPDX-License-Identifier: Apache-2.0
// Value distributions as CUDA kernels: sixteen threads per row, atoms in shared memory, with the bits of the CPU.
#pragma once

#include "agents/dqn_row_loss.h"
#include "kernels/block.h"

namespace stampede {

inline constexpr unsigned kAtomThreads = 128;
inline constexpr unsigned kAtomRows = kAtomThreads / kAtomLanes;  // per block

inline unsigned atom_blocks(int rows) { return (static_cast<unsigned>(rows) + kAtomRows - 1) / kAtomRows; }

// Floats from one row's scratch to the next: the two rows of a warp use different banks.
HD int atom_scratch_stride(int arrays, int atoms) { return arrays * padded_atoms(atoms) + kAtomLanes; }

inline std::size_t atom_scratch_bytes(int arrays, int atoms) {
  return kAtomRows * static_cast<std::size_t>(atom_scratch_stride(arrays, atoms)) * sizeof(float);
}

#ifdef STAMPEDE_BLOCK_KERNELS
// Sixteen lanes of a warp that share a row. They wait for each other alone: the other half may have no row.
class AtomLanes {
 public:
  static constexpr int kStep = kAtomLanes;

  DEVICE AtomLanes()
      : lane_(static_cast<int>(threadIdx.x) % kAtomLanes), mask_(threadIdx.x & 16u ? 0xffff0000u : 0x0000ffffu) {}

  DEVICE int row() const { return static_cast<int>(blockIdx.x * kAtomRows + threadIdx.x / kAtomLanes); }
  DEVICE float* scratch(float* shared, int arrays, int atoms) const {
    return shared + static_cast<int>(threadIdx.x) / kAtomLanes * atom_scratch_stride(arrays, atoms);
  }
  DEVICE int from(int begin) const { return begin + ((lane_ - begin) & (kAtomLanes - 1)); }
#ifdef STAMPEDE_SIMT_EMULATOR
  void wait(simt::Location where = simt::Location::current()) const { __syncwarp(mask_, where); }
  void order_memory() const {}  // the emulator knows one order only
#else
  DEVICE void wait() const { __syncwarp(mask_); }
  DEVICE void order_memory() const { __syncwarp(mask_); }
#endif
  DEVICE int scratch_stride(int padded) const { return padded; }
  template <class Combine, class Value>
  DEVICE float reduce(int padded, const Combine& combine, const Value& value) const {
    float x = Combine::identity();
    for (int k = lane_; k < padded; k += kStep) x = combine(x, value(k));
    order_memory();  // exchanges make lanes wait for each other, but promise nothing about memory
    for (unsigned half = kAtomLanes / 2; half > 0; half /= 2) {
      x = combine(x, __shfl_down_sync(mask_, x, half, kAtomLanes));
    }
    return __shfl_sync(mask_, x, 0, kAtomLanes);
  }

 private:
  int lane_;
  std::uint32_t mask_;
};

// Atoms that fall between the same neighbours are neighbours themselves. The first of them adds up their mass in
// ascending order, as the CPU does.
DEVICE void add_projection(const AtomLanes& lanes, const Support& support, const float* p, int padded, float reward,
                           float discount, float weight, float* below_sums, float* above_sums, float* m) {
  const Shift shift(support, reward, discount);
  fill_atoms(lanes, below_sums, 0, padded, 0.0f);
  fill_atoms(lanes, above_sums, 0, padded, 0.0f);
  lanes.wait();
  for (int k = lanes.from(0); k < support.atoms; k += AtomLanes::kStep) {
    float position = shift.position(k);
    const float lower = shift.lower(position);
    if (k > 0 && shift.lower(shift.position(k - 1)) == lower) continue;
    float below = 0.0f, above = 0.0f;
    for (int next = k; next < support.atoms && shift.lower(position) == lower; position = shift.position(++next)) {
      const SharedMass mass = share_mass(weight * p[next], position, lower);
      below += mass.below;
      above += mass.above;
    }
    below_sums[static_cast<int>(lower)] = below;
    above_sums[static_cast<int>(lower)] = above;
  }
  lanes.wait();
  for (int k = lanes.from(0); k < support.atoms; k += AtomLanes::kStep) {
    m[k] += k > 0 ? below_sums[k] + above_sums[k - 1] : below_sums[k];
  }
}

// A lane keeps the sums of its quantiles in registers.
DEVICE void add_quantile_gradients(const AtomLanes& lanes, const QuantileRegression& regression, const float* theta,
                                   const float* next, int atoms, int padded, float reward, float discount, float weight,
                                   float* losses, float* d) {
  for (int k = lanes.from(0); k < padded; k += AtomLanes::kStep) {
    const float own = theta[k];
    float loss = losses[k], derivative = d[k];
    for (int j = 0; j < atoms; ++j) {
      regression.add(k, own, fused(discount, next[j], reward), weight, loss, derivative);
    }
    losses[k] = loss;
    d[k] = derivative;
  }
}

// atom_blocks(rows) blocks with atom_scratch_bytes(kAtomScratch, atoms).
struct CategoricalLossKernel {
  DqnLoss loss;
  DqnTile tile;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    const AtomLanes lanes;
    if (lanes.row() >= tile.rows) return;
    categorical_row_loss(lanes, {loss, tile, lanes.row()}, lanes.scratch(shared, kAtomScratch, loss.heads.atoms()));
  }
};

struct QuantileLossKernel {
  DqnLoss loss;
  DqnTile tile;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    const AtomLanes lanes;
    if (lanes.row() >= tile.rows) return;
    quantile_row_loss(lanes, {loss, tile, lanes.row()}, lanes.scratch(shared, kAtomScratch, loss.heads.atoms()));
  }
};

// atom_blocks(rows * actions) blocks with atom_scratch_bytes(1, atoms): sixteen lanes take one action of one row.
struct AtomMeansKernel {
  ValueHeads heads;
  const float* outputs;
  int output_stride, rows;
  float* q;
  int stride;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    const AtomLanes lanes;
    const int r = lanes.row() / heads.actions, action = lanes.row() % heads.actions;
    if (r >= rows) return;
    const float* const row = outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(output_stride);
    const float mean = heads.mean(lanes, row, action, lanes.scratch(shared, 1, heads.atoms()));
    if (lanes.from(0) == 0) q[static_cast<std::size_t>(r) * static_cast<std::size_t>(stride) + action] = mean;
  }
};
#endif

}  // namespace stampede
