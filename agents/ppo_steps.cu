// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo_steps.h"

namespace stampede {
namespace {

struct DivergencePartOp {
  RingView ring;
  const float* ratios;
  MomentPart* parts;

  HD void operator()(int part) const {
    MomentPart m{0.0, 0.0, 0.0};
    const auto rows = static_cast<std::int64_t>(ring.shape.rows) * ring.shape.environments;
    for (std::int64_t k = part * rows / kMomentParts; k < (part + 1) * rows / kMomentParts; ++k) {
      if (!(ring.flags(static_cast<std::size_t>(k)) & kValid)) continue;
      m.count += 1.0;
      m.sum += static_cast<double>((ratios[k] - 1.0f) - log_of(ratios[k]));
    }
    parts[part] = m;
  }
};

struct AdaptOp {
  const MomentPart* parts;
  float target;
  float* kl_weight;

  HD void operator()(int) const {
    double count = 0.0, sum = 0.0;
    for (int p = 0; p < kMomentParts; ++p) {
      count += parts[p].count;
      sum += parts[p].sum;
    }
    const float divergence = static_cast<float>(sum / (count > 1.0 ? count : 1.0));
    if (divergence < target / 1.5f) *kl_weight = clamp(0.5f * *kl_weight, kLowest, kHighest);
    if (divergence > target * 1.5f) *kl_weight = clamp(2.0f * *kl_weight, kLowest, kHighest);
  }

 private:
  // Far outside what is useful, far inside what a float holds.
  static constexpr float kLowest = 1e-6f, kHighest = 1e6f;
};

struct SetOp {
  float value;
  float* target;
  HD void operator()(int) const { *target = value; }
};

}  // namespace

void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  run_policy_loss(stream, PolicyLossRows<PpoLossConfig>{config, layout, batch, moments, tile});
}

void ppo_tile_loss(const Stream& stream, const PpoPenaltyLoss& loss, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  run_policy_loss(stream, PolicyLossRows<PpoPenaltyLoss>{loss, layout, batch, moments, tile});
}

void adapt_kl_weight(const Stream& stream, const RingView& ring, const float* ratios, float target, MomentPart* parts,
                     float* kl_weight) {
  for_each_index(stream, kMomentParts, DivergencePartOp{ring, ratios, parts}, kMomentParts / 2);
  for_each_index(stream, 1, AdaptOp{parts, target, kl_weight});
}

void set_kl_weight(const Stream& stream, float value, float* kl_weight) {
  for_each_index(stream, 1, SetOp{value, kl_weight});
}

}  // namespace stampede
