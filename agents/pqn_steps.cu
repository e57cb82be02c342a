// SPDX-License-Identifier: Apache-2.0
#include "agents/pqn_steps.h"

#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct ChooseWithBootstrapOp {
  QRows rows;
  BootstrapKind kind;
  Epsilon epsilon;
  RandomKey key;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const std::size_t offset = static_cast<std::size_t>(r) * static_cast<std::size_t>(rows.output_stride);
    const int greedy = argmax(rows.outputs + offset, rows.actions);
    const float share = epsilon.of(i);
    const int action = epsilon_greedy(greedy, rows.actions, share, key, i);
    rows.records[static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words)] =
        static_cast<std::uint32_t>(action);
    if (rows.extra == nullptr) return;
    rows.extra[static_cast<std::size_t>(i * QRolloutExtra::kSize + QRolloutExtra::kBootstrap)] =
        bootstrap_value(kind, rows.bootstrap_outputs + offset, rows.actions, greedy, action, share);
  }
};

struct CopyQRow {
  QBatch batch;

  HD void operator()(const RingView& ring, int m, std::size_t index) const {
    copy_observation(ring, index, m, batch.obs);
    batch.action[m] = static_cast<std::int32_t>(ring.record(index)[0]);
    batch.target[m] = ring.extra[index * QRolloutExtra::kSize + QRolloutExtra::kReturn];
    batch.flags[m] = static_cast<std::uint8_t>(ring.flags(index));
  }
};

struct QLossOp {
  TdLoss loss;
  QBatch batch;
  QTile tile;

  HD void operator()(int r) const {
    const int m = tile.begin + r;
    const std::size_t at = static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.output_stride) +
                           static_cast<std::size_t>(batch.action[m]);
    const bool valid = batch.flags[m] & kValid;
    const float weight = 1.0f / static_cast<float>(*tile.valid_rows > 1 ? *tile.valid_rows : 1);
    float metrics[DqnRowMetrics::kSize];
    const float gradient = td_gradient(loss, tile.outputs[at], batch.target[m], metrics);
    tile.d_outputs[at] = valid ? weight * gradient : 0.0f;
    for (int k = 0; k < DqnRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = valid ? metrics[k] : 0.0f;
  }
};

}  // namespace

void choose_with_bootstrap(const Stream& stream, const QRows& rows, BootstrapKind kind, const Epsilon& epsilon,
                           const RandomKey& key) {
  for_each_index(stream, rows.rows, ChooseWithBootstrapOp{rows, kind, epsilon, key});
}

QBatch QBatch::take(const RingShape& shape, int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  QBatch batch;
  batch.obs = arena.take<std::uint32_t>(n * static_cast<std::size_t>(shape.obs_size)).data;
  batch.action = arena.take<std::int32_t>(n).data;
  batch.target = arena.take<float>(n).data;
  batch.flags = arena.take<std::uint8_t>(n).data;
  return batch;
}

void gather_q_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch, const QBatch& batch) {
  for_each_chunk(stream, minibatch.size, GatherMinibatch<CopyQRow>{ring, minibatch, {batch}});
}

void q_tile_loss(const Stream& stream, TdLoss loss, const QBatch& batch, const QTile& tile) {
  const std::size_t outputs = static_cast<std::size_t>(tile.rows) * static_cast<std::size_t>(tile.output_stride);
  fill_zero(stream, tile.d_outputs, outputs * sizeof(float));
  for_each_index(stream, tile.rows, QLossOp{loss, batch, tile});
}

}  // namespace stampede
