// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_steps.h"

#include "agents/distributions.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct ChooseOp {
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
    const float log_prob = layout.action.is_discrete() ? discrete(out + layout.policy_column, i, record)
                                                       : continuous(out + layout.policy_column, i, record, extra);
    if (extra == nullptr) return;
    extra[RolloutExtra::kLogProb] = log_prob;
    extra[RolloutExtra::kValue] = out[layout.value_column];
  }

  HD float discrete(const float* logits, int i, std::uint32_t* record) const {
    const int n = layout.action.count;
    const float normalizer = log_sum_exp(logits, n);
    const int action =
        greedy ? argmax(logits, n)
               : sample_categorical(logits, n, normalizer, uniform_float(key.lane_word(static_cast<std::uint32_t>(i))));
    record[0] = static_cast<std::uint32_t>(action);
    return logits[action] - normalizer;
  }

  HD float continuous(const float* means, int i, std::uint32_t* record, float* extra) const {
    Rng rng(key, static_cast<std::uint32_t>(i));
    float log_prob = 0.0f;
    for (int k = 0; k < layout.action.size; ++k) {
      const float log_sigma = layout.log_sigma[k];
      const std::uint32_t first = rng.next_word(), second = rng.next_word();
      const float action = greedy ? means[k] : fused(exp_of(log_sigma), standard_normal(first, second), means[k]);
      const float bounded = clamp(action, layout.action.low[k], layout.action.high[k]);
      record[k] = float_bits(bounded);
      if (extra) extra[RolloutExtra::kAction + k] = action;
      log_prob += gaussian_log_prob((action - means[k]) * exp_of(-log_sigma), log_sigma);
    }
    return log_prob;
  }
};

struct StoreValueOp {
  PolicyLayout layout;
  PolicyRows rows;
  HD void operator()(int r) const {
    rows.extra[static_cast<std::size_t>(rows.begin + r) * static_cast<std::size_t>(rows.extra_size) +
               RolloutExtra::kValue] =
        rows.outputs[static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride) +
                     static_cast<std::size_t>(layout.value_column)];
  }
};

}  // namespace

void choose_actions(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows, const RandomKey& key,
                    ActionMode mode) {
  for_each_index(stream, rows.rows, ChooseOp{layout, rows, key, mode == ActionMode::kGreedy});
}

void store_values(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows) {
  for_each_index(stream, rows.rows, StoreValueOp{layout, rows});
}

}  // namespace stampede
