// SPDX-License-Identifier: Apache-2.0
#include "agents/normalizer.h"

#include "agents/normalizer_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// Fixed, so that sums do not depend on threads or devices.
constexpr int kPartRows = 64;

int parts_of(const RingShape& shape) {
  return static_cast<int>((static_cast<std::int64_t>(shape.rows) * shape.environments + kPartRows - 1) / kPartRows);
}

struct ObservationPartialOp {
  RingView ring;
  RunningMoments* partials;  // [parts, D]

  HD void operator()(int task) const {
    const int features = ring.shape.obs_size;
    const int part = task / features, feature = task % features;
    const float* const obs = reinterpret_cast<const float*>(ring.obs);
    RunningMoments m{0.0, 0.0, 0.0};
    const auto rows = static_cast<std::int64_t>(ring.shape.rows) * ring.shape.environments;
    const std::int64_t begin = static_cast<std::int64_t>(part) * kPartRows;
    for (std::int64_t r = begin; r < rows && r < begin + kPartRows; ++r) {
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

// CUDA has MergeMomentsKernel.
struct MergeMomentsOp {
  MomentsOfParts op;

  void operator()(int quantity) const {
    const auto q = static_cast<unsigned>(quantity);
    const auto part = [&](std::size_t i) { return op.part(i, q); };
    const RunningMoments all = reduce_chunk<MergeMoments>(part, 0, static_cast<std::size_t>(op.count));
    op.moments[q] = MergeMoments::combine(op.moments[q], all);
  }
};

void merge_moments(const Stream& stream, const MomentsOfParts& op) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return launch_blocks(stream, static_cast<unsigned>(op.quantities), kReduceLanes, 0, MergeMomentsKernel{op});
  }
#endif
  for_each_index_on_cpu(stream, op.quantities, MergeMomentsOp{op}, 1);
}

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
      partials_(arena.take<RunningMoments>(static_cast<std::size_t>(parts_of(shape) * size_))),
      mean_(arena.take<float>(static_cast<std::size_t>(size_))),
      inverse_(arena.take<float>(static_cast<std::size_t>(size_))) {}

void ObservationNormalizer::initialize(const Stream& stream) { refresh(stream); }

void ObservationNormalizer::refresh(const Stream& stream) {
  for_each_index(stream, size_, ObservationFactorsOp{moments_.data, mean_.data, inverse_.data});
}

void ObservationNormalizer::update(const Stream& stream, const RingView& ring) {
  if (!enabled_) return;
  const int parts = parts_of(ring.shape);
  for_each_index(stream, parts * size_, ObservationPartialOp{ring, partials_.data}, 64);
  merge_moments(stream, {partials_.data, parts, size_, moments_.data});
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
  merge_moments(stream, {partials_.data, environments, 1, moments_.data});
  refresh(stream);
}

}  // namespace stampede
