// SPDX-License-Identifier: Apache-2.0
// Losses and means of value distributions: CUDA kernels with the bits of the CPU, for any number of atoms and rows.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include "agents/atom_blocks.h"
#include "tests/emulator/guarded_array.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

struct Case {
  ValueDistribution distribution;
  int atoms, actions, rows;
  bool dueling, prioritized;
  float temperature, kappa;
};
constexpr auto kCategorical = ValueDistribution::kCategorical, kQuantile = ValueDistribution::kQuantile;
constexpr Case kCases[] = {
    {kCategorical, 2, 1, 1, false, false, 0.0f, 1.0f},  {kCategorical, 51, 2, 9, true, true, 0.0f, 1.0f},
    {kCategorical, 33, 3, 31, true, false, 0.7f, 1.0f}, {kCategorical, 256, 2, 3, false, true, 0.7f, 1.0f},
    {kQuantile, 2, 1, 1, false, false, 0.0f, 1.0f},     {kQuantile, 31, 2, 9, true, true, 0.0f, 0.0f},
    {kQuantile, 33, 3, 31, false, false, 0.7f, 1.0f},   {kQuantile, 200, 2, 3, true, true, 0.0f, 0.5f},
};

std::vector<float> numbers(int count, float scale, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f) * scale;
  }
  return values;
}

// One tile, on the CPU or under the emulator.
class Tile {
 public:
  explicit Tile(const Case& c)
      : case_(c),
        stride_(((c.actions + (c.dueling ? 1 : 0)) * c.atoms + 15) / 16 * 16),
        outputs_(numbers(c.rows * stride_, 2.0f, 1)),
        targets_(numbers(c.rows * stride_, 2.0f, 2)),
        next_q_(numbers(c.rows * c.actions, 1.0f, 3)),
        rewards_(numbers(c.rows, 3.0f, 4)),
        importance_(numbers(c.rows, 1.0f, 5)),
        d_outputs_(outputs_.values().size(), -9.0f),
        metrics_(static_cast<std::size_t>(PriorityRowMetrics::kSize * c.rows), -9.0f),
        priorities_(static_cast<std::size_t>(c.rows), -9.0f),
        q_(static_cast<std::size_t>(c.rows * c.actions), -9.0f) {
    for (int r = 0; r < c.rows; ++r) {
      actions_.push_back(r * 7 % c.actions);
      discounts_.push_back(r % 4 == 1 ? 0.0f : 0.99f);  // 0: all of the mass falls between two atoms
    }
    rewards_.data()[0] = 100.0f;  // beyond the last atom
  }

  void run() {
    dqn_tile_loss(Stream::cpu(1), loss(), tile());
    action_values(Stream::cpu(1), heads(), outputs_.data(), stride_, case_.rows, q_.data(), case_.actions);
  }
  void emulate(const Schedule& schedule) {
    const std::size_t shared = atom_scratch_bytes(kAtomScratch, case_.atoms);
    const unsigned blocks = atom_blocks(case_.rows);
    if (case_.distribution == kCategorical) {
      simt::run(blocks, kAtomThreads, shared, schedule, CategoricalLossKernel{loss(), tile()});
    } else {
      simt::run(blocks, kAtomThreads, shared, schedule, QuantileLossKernel{loss(), tile()});
    }
    simt::run(atom_blocks(case_.rows * case_.actions), kAtomThreads, atom_scratch_bytes(1, case_.atoms), schedule,
              AtomMeansKernel{heads(), outputs_.data(), stride_, case_.rows, q_.data(), case_.actions});
  }
  std::vector<float> results() {
    std::vector<float> all;
    for (GuardedArray<float>* array : {&d_outputs_, &metrics_, &priorities_, &q_}) {
      const std::vector<float> values = array->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  ValueHeads heads() const { return {case_.actions, case_.distribution, {-5.0f, 5.0f, case_.atoms}, case_.dueling}; }
  DqnLoss loss() const {
    return {.heads = heads(), .kappa = case_.kappa, .temperature = case_.temperature, .weight = 0.25f};
  }
  DqnTile tile() {
    return {.actions = actions_.data(),
            .rewards = rewards_.data(),
            .discounts = discounts_.data(),
            .outputs = outputs_.data(),
            .target_outputs = targets_.data(),
            .output_stride = stride_,
            .rows = case_.rows,
            .next_q = next_q_.data(),
            .next_stride = case_.actions,
            .importance = case_.prioritized ? importance_.data() : nullptr,
            .d_outputs = d_outputs_.data(),
            .metrics = metrics_.data(),
            .priorities = case_.prioritized ? priorities_.data() : nullptr};
  }

  Case case_;
  int stride_;
  GuardedArray<float> outputs_, targets_, next_q_, rewards_, importance_, d_outputs_, metrics_, priorities_, q_;
  std::vector<std::int32_t> actions_;
  std::vector<float> discounts_;
};

TEST(Atoms, SameBitsOnCpuAndCuda) {
  for (const Case& c : kCases) {
    Tile cpu(c);
    cpu.run();
    for (const Schedule& schedule : simt::all_schedules()) {
      Tile emulated(c);
      emulated.emulate(schedule);
      EXPECT_TRUE(same_bits(cpu.results(), emulated.results()))
          << c.atoms << " atoms, " << c.actions << " actions, " << c.rows << " rows, " << schedule.name();
    }
  }
}

std::size_t needed_barriers(const Case& c) {
  return simt::expect_barriers_are_needed([&](const Schedule& schedule) {
    Tile tile(c);
    tile.emulate(schedule);
    return tile.results();
  });
}

TEST(RemovedBarriers, OfCategoricalLosses) { EXPECT_EQ(needed_barriers(kCases[2]), 3u); }
TEST(RemovedBarriers, OfQuantileLosses) { EXPECT_EQ(needed_barriers(kCases[6]), 2u); }

}  // namespace
}  // namespace stampede
