// SPDX-License-Identifier: Apache-2.0
#include "agents/normalizer.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

// Fixed, so that sums do not depend on threads or devices.
constexpr int kPartials = 64;

struct ObservationPartialOp {
  RingView ring;
  RunningMoments* partials;  // [kPartials, D]

  HD void operator()(int task) const {
    const int features = ring.shape.obs_size;
    const int part = task / features, feature = task % features;
    const float* const obs = reinterpret_cast<const float*>(ring.obs);
    RunningMoments m{0.0, 0.0, 0.0};
    const auto rows = static_cast<std::int64_t>(ring.shape.rows) * ring.shape.environments;
    for (std::int64_t r = part * rows / kPartials; r < (part + 1) * rows / kPartials; ++r) {
      const auto index = static_cast<std::size_t>(r);
      if (!(ring.flags(index) & kValid)) continue;
      const double x = obs[index * static_cast<std::size_t>(features) + static_cast<std::size_t>(feature)];
      const double delta = x - m.mean;
      m.count += 1.0;
      m.mean += delta / m.count;
      m.squares += delta * (x - m.mean);
    }
    partials[task] = m;
  }
};

struct ObservationMergeOp {
  const RunningMoments* partials;  // [kPartials, D]
  RunningMoments* moments;         // [D]
  int features;

  HD void operator()(int feature) const {
    for (int p = 0; p < kPartials; ++p) {
      const RunningMoments& m = partials[p * features + feature];
      moments[feature].merge(m.count, m.mean, m.squares);
    }
  }
};

struct ObservationFactorsOp {
  const RunningMoments* moments;
  float *mean, *inverse;

  HD void operator()(int feature) const {
    mean[feature] = static_cast<float>(moments[feature].mean);
    inverse[feature] = 1.0f / square_root(static_cast<float>(moments[feature].variance()) + 1e-8f);
  }
};

struct ReturnOp {
  RingView ring;
  float gamma;
  float* running;
  RunningMoments* partials;

  HD void operator()(int environment) const {
    RunningMoments m{0.0, 0.0, 0.0};
    float discounted = running[environment];
    for (int t = 0; t < ring.shape.rows; ++t) {
      const std::size_t index = ring.index(t, environment);
      const std::uint32_t flags = ring.flags(index);
      if (!(flags & kValid)) continue;
      discounted = fused(gamma, discounted, ring.reward(index));
      const double delta = discounted - m.mean;
      m.count += 1.0;
      m.mean += delta / m.count;
      m.squares += delta * (discounted - m.mean);
      if (flags & kEpisodeEnd) discounted = 0.0f;
    }
    running[environment] = discounted;
    partials[environment] = m;
  }
};

struct ReturnMergeOp {
  const RunningMoments* partials;
  RunningMoments* moments;
  int environments;

  HD void operator()(int) const {
    for (int i = 0; i < environments; ++i) moments->merge(partials[i].count, partials[i].mean, partials[i].squares);
  }
};

struct ReturnScaleOp {
  const RunningMoments* moments;
  float* scale;

  HD void operator()(int) const { *scale = 1.0f / square_root(static_cast<float>(moments->variance()) + 1e-8f); }
};

}  // namespace

ObservationNormalizer::ObservationNormalizer(bool enabled, const RingShape& shape, Arena& arena)
    : enabled_(enabled && shape.obs_type == ObsType::kFloat32),
      size_(shape.obs_size),
      moments_(arena.take<RunningMoments>(static_cast<std::size_t>(size_))),
      partials_(arena.take<RunningMoments>(static_cast<std::size_t>(kPartials * size_))),
      mean_(arena.take<float>(static_cast<std::size_t>(size_))),
      inverse_(arena.take<float>(static_cast<std::size_t>(size_))) {}

void ObservationNormalizer::initialize(const Stream& stream) { refresh(stream); }

void ObservationNormalizer::refresh(const Stream& stream) {
  for_each_index(stream, size_, ObservationFactorsOp{moments_.data, mean_.data, inverse_.data});
}

void ObservationNormalizer::update(const Stream& stream, const RingView& ring) {
  if (!enabled_) return;
  for_each_index(stream, kPartials * size_, ObservationPartialOp{ring, partials_.data}, 4);
  for_each_index(stream, size_, ObservationMergeOp{partials_.data, moments_.data, size_});
  refresh(stream);
}

RewardScaler::RewardScaler(bool enabled, int environments, Arena& arena)
    : enabled_(enabled),
      moments_(arena.take<RunningMoments>(1)),
      partials_(arena.take<RunningMoments>(static_cast<std::size_t>(environments))),
      running_(arena.take<float>(static_cast<std::size_t>(environments))),
      scale_(arena.take<float>(1)) {}

void RewardScaler::initialize(const Stream& stream) { refresh(stream); }

void RewardScaler::refresh(const Stream& stream) {
  for_each_index(stream, 1, ReturnScaleOp{moments_.data, scale_.data});
}

void RewardScaler::update(const Stream& stream, const RingView& ring, float gamma) {
  if (!enabled_) return;
  const int environments = ring.shape.environments;
  for_each_index(stream, environments, ReturnOp{ring, gamma, running_.data, partials_.data}, 64);
  for_each_index(stream, 1, ReturnMergeOp{partials_.data, moments_.data, environments});
  refresh(stream);
}

}  // namespace stampede
