// SPDX-License-Identifier: Apache-2.0
#include "agents/twin_critic.h"

#include <string>
#include <utility>

#include "kernels/launch.h"

namespace stampede {
namespace {

// Keeps the critics' first weights apart from an actor's of the same seed.
constexpr std::uint64_t kCriticSeed = 0x9E3779B97F4A7C15u;

struct CriticLossOp {
  CriticTile tile;

  HD void operator()(int r) const {
    const std::size_t offset = static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.q.row_stride);
    float* const d_q = tile.d_outputs + offset;
    for (int j = 0; j < tile.q.row_stride; ++j) d_q[j] = 0.0f;
    float metrics[CriticRowMetrics::kSize];
    critic_gradient(tile.q.row(r), tile.q.critics, tile.q.stride,
                    fused(tile.discounts[r], tile.bootstrap[r], tile.rewards[r]), tile.weight, d_q, metrics);
    for (int k = 0; k < CriticRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
  }
};

struct SmallestOp {
  CriticOutputs q;
  float* bootstrap;

  HD void operator()(int r) const { bootstrap[r] = q.smallest(r); }
};

}  // namespace

NetworkSpec TwinCritic::network_spec(const NetworkShape& shape, int inputs, bool one_hot, int outputs, int critics) {
  std::vector<TowerSpec> towers;
  for (int k = 0; k < critics; ++k) {
    const std::string name = "q" + std::to_string(k + 1);
    towers.push_back(shape.tower(name, {{name, outputs, 1.0f}}));
  }
  return NetworkSpec(inputs, one_hot, std::move(towers), {}, shape.initialization);
}

TwinCritic::TwinCritic(std::shared_ptr<const Network> network, const OptimizerConfig& optimizer, int groups,
                       Arena& arena)
    : network_(std::move(network), optimizer, groups, arena),
      target_(arena.take<float>(network_.spec().parameter_count())) {}

void TwinCritic::initialize(const Stream& stream, std::uint64_t seed) {
  network_.initialize(stream, seed ^ kCriticSeed);
  update_target(stream, 1.0f);
}

void TwinCritic::update_target(const Stream& stream, float tau) {
  follow(stream, network_.spec(), network_.parameters(), target_.data, tau);
}

CriticOutputs TwinCritic::outputs(const float* values) const {
  const int stride = network_.spec().output_stride();
  return {values, critics(), stride / critics(), stride};
}

void critic_tile_loss(const Stream& stream, const CriticTile& tile) {
  for_each_index(stream, tile.rows, CriticLossOp{tile});
}

void smallest_values(const Stream& stream, int rows, const CriticOutputs& q, float* bootstrap) {
  for_each_index(stream, rows, SmallestOp{q, bootstrap});
}

}  // namespace stampede
