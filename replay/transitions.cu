// SPDX-License-Identifier: Apache-2.0
#include "replay/transitions.h"

#include "kernels/launch.h"
#include "kernels/prefetch.h"

namespace stampede {
namespace {

#ifdef __CUDA_ARCH__
constexpr int kGroup = 1;
#else
constexpr int kGroup = 256;  // draws made together, as vectors
#endif
constexpr int kAhead = 64;  // rows whose lines are asked for before they are used, so that cache misses overlap

HD const void* obs_line(const RingView& ring, std::size_t index) {
  return ring.obs + index * static_cast<std::size_t>(ring.shape.obs_size) *
                        static_cast<std::size_t>(obs_type_size(ring.shape.obs_type));
}

HD void fold_row(const RingView& ring, int n_step, float gamma, SampledRow row, const Transitions& out, int r) {
  const NStepTarget target = fold_n_step(ring, row.slot, row.environment, n_step, gamma);
  const std::size_t next = ring.index(target.bootstrap_slot, row.environment);
  prefetch(obs_line(ring, next));
  out.next_indices[r] = static_cast<std::int32_t>(next);
  out.rewards[r] = target.reward;
  out.discounts[r] = target.discount;
}

// The lines that a row's first step is read from.
HD void prefetch_row(const RingView& ring, std::size_t index) {
  prefetch(ring.record(index));
  prefetch(obs_line(ring, index));
}

struct SampleOp {
  UniformSampler sampler;
  float gamma;
  int first;
  Transitions out;

  HD void operator()(int begin, int end) const {
    const SampleOp op = *this;  // a copy that no store can alias
    for (int group = begin; group < end; group += kGroup) op.sample(group, end - group < kGroup ? end - group : kGroup);
  }

  HD void sample(int begin, int size) const {
    UniformSampler::Draw draws[kGroup];
    STAMPEDE_INDEPENDENT
    for (int i = 0; i < size; ++i) draws[i] = sampler.first_draw(first + begin + i);
    for (int i = 0; i < size && i < kAhead; ++i) prefetch_draw(draws[i]);
    int rejected[kGroup];
    int rejections = 0;
    for (int i = 0; i < size; ++i) {
      if (i + kAhead < size) prefetch_draw(draws[i + kAhead]);
      if (sampler.accepts(draws[i])) {
        take(begin + i, sampler.row_of(draws[i]));
      } else {
        prefetch_draw(sampler.second_draw(first + begin + i));
        rejected[rejections++] = begin + i;
      }
    }
    for (int i = 0; i < rejections; ++i) take(rejected[i], sampler.redraw(first + rejected[i]));
  }

  HD void take(int r, SampledRow row) const {
    out.indices[r] = static_cast<std::int32_t>(sampler.ring.index(row.slot, row.environment));
    fold_row(sampler.ring, sampler.n_step, gamma, row, out, r);
  }

  HD void prefetch_draw(const UniformSampler::Draw& draw) const {
    prefetch_row(sampler.ring, sampler.ring.index(sampler.slot_of(draw.row), draw.environment));
  }
};

struct FoldOp {
  RingView ring;
  int n_step;
  float gamma;
  Transitions out;

  HD void operator()(int begin, int end) const {
    const FoldOp op = *this;
    op.fold(begin, end);
  }

  HD void fold(int begin, int end) const {
    for (int r = begin; r < end && r < begin + kAhead; ++r)
      prefetch_row(ring, static_cast<std::size_t>(out.indices[r]));
    for (int r = begin; r < end; ++r) {
      if (r + kAhead < end) prefetch_row(ring, static_cast<std::size_t>(out.indices[r + kAhead]));
      const int slot = out.indices[r] / ring.shape.environments;
      fold_row(ring, n_step, gamma, {slot, out.indices[r] - slot * ring.shape.environments}, out, r);
    }
  }
};

}  // namespace

Transitions Transitions::take(int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  Transitions out;
  out.indices = arena.take<std::int32_t>(n).data;
  out.next_indices = arena.take<std::int32_t>(n).data;
  out.rewards = arena.take<float>(n).data;
  out.discounts = arena.take<float>(n).data;
  return out;
}

void sample_transitions(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                        const Transitions& out) {
  for_each_chunk(stream, rows, SampleOp{sampler, gamma, begin, out}, 256);
}

void fold_transitions(const Stream& stream, const RingView& ring, int n_step, float gamma, int rows,
                      const Transitions& out) {
  for_each_chunk(stream, rows, FoldOp{ring, n_step, gamma, out}, 256);
}

}  // namespace stampede
