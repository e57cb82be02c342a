// SPDX-License-Identifier: Apache-2.0
// The steps that draw a batch of Gaussian actions; included by policy_steps.cu.
#pragma once

#include "agents/policy_choice.h"
#include "agents/policy_steps.h"
#include "kernels/launch.h"

namespace stampede {

// Any number of dimensions, with noise drawn here or before.
struct ChooseGaussianOp {
  PolicyLayout layout;
  PolicyRows rows;
  RandomKey key;
  bool greedy;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const float* const out =
        rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride);
    std::uint32_t* const record =
        rows.records + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words);
    float* const extra =
        rows.extra ? rows.extra + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.extra_size) : nullptr;
    const float log_prob = gaussian(out + layout.policy_column, r, record, extra);
    if (extra == nullptr) return;
    extra[RolloutExtra::kLogProb] = log_prob;
    extra[RolloutExtra::kValue] = out[layout.value_column];
  }

  HD float gaussian(const float* means, int r, std::uint32_t* record, float* extra) const {
    Rng rng(key, static_cast<std::uint32_t>(rows.begin + r));
    const float* const log_sigma = rows.log_sigma.row(r);
    float log_prob = 0.0f;
    for (int k = 0; k < layout.action.size; ++k) {
      const GaussianChoice choice = rows.noise ? move_gaussian(means[k], log_sigma[k], rows.noise[16 * r + k])
                                               : choose_gaussian(means[k], log_sigma[k], rng, greedy);
      record[k] = float_bits(clamp(choice.action, layout.action.low[k], layout.action.high[k]));
      if (extra) extra[RolloutExtra::kAction + k] = choice.action;
      log_prob += choice.log_prob;
    }
    return log_prob;
  }
};

// One dimension with noise drawn here, in two passes so that both vectorise. The first fills whole vectors even for a
// few rows, because drawing one by one costs more than drawing too many. Recorded: the sample, its log-probability and
// the value are kept.
template <bool Recorded>
struct ChooseGaussianScalarOp {
  PolicyLayout layout;
  PolicyRows rows;
  RandomKey key;
  bool greedy;

  HD void operator()(int begin, int end) const {
#ifdef __CUDA_ARCH__
    choose(begin, draw(begin));
#else
    const ChooseGaussianScalarOp op = *this;  // a local copy: its pointers are loop invariants for the vectoriser
    const int count = end - begin, padded = (count + kVectorRows - 1) / kVectorRows * kVectorRows;
    float normals[kCpuChunk + kVectorRows];
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < padded; ++k) normals[k] = op.draw(begin + k);
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < count; ++k) op.choose(begin + k, normals[k]);
#endif
  }

 private:
  static constexpr int kVectorRows = 8;

  HD float draw(int r) const {
    Rng rng(key, static_cast<std::uint32_t>(rows.begin + r));
    const std::uint32_t first = rng.next_word();
    return standard_normal(first, rng.next_word());
  }
  HD void choose(int r, float normal) const {
    const int i = rows.begin + r;
    const float* const out = rows.outputs + static_cast<std::size_t>(r * layout.output_stride);
    const GaussianChoice choice = choose_gaussian(out[layout.policy_column], *rows.log_sigma.row(r), normal, greedy);
    rows.records[static_cast<std::size_t>(i * rows.record.words)] =
        float_bits(clamp(choice.action, layout.action.low[0], layout.action.high[0]));
    if constexpr (Recorded) {
      float* const extra = rows.extra + static_cast<std::size_t>(i * rows.extra_size);
      extra[RolloutExtra::kLogProb] = choice.log_prob;
      extra[RolloutExtra::kValue] = out[layout.value_column];
      extra[RolloutExtra::kAction] = choice.action;
    }
  }
};

}  // namespace stampede
