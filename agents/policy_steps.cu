// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_steps.h"

#include <type_traits>

#include "agents/choose_categorical.h"
#include "agents/choose_gaussian.h"
#include "agents/policy_choice.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

template <int Actions>
void choose_categorical_rows(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows,
                             const RandomKey& key, bool greedy) {
  const auto run = [&]<bool Recorded>() {
    for_each_index(
        stream, rows.rows,
        ChooseCategoricalOp<Actions, Recorded>{rows.outputs, rows.records, rows.extra, layout.output_stride,
                                               layout.policy_column, layout.value_column, layout.action.count,
                                               rows.record.words, rows.extra_size, rows.begin, key, greedy});
  };
  rows.extra != nullptr ? run.template operator()<true>() : run.template operator()<false>();
}

void choose_gaussian_rows(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows,
                          const RandomKey& key, bool greedy) {
  if (layout.action.size > 1 || rows.noise != nullptr) {
    return for_each_index(stream, rows.rows, ChooseGaussianOp{layout, rows, key, greedy});
  }
  const auto run = [&]<bool Recorded>() {
    for_each_chunk(stream, rows.rows, ChooseGaussianScalarOp<Recorded>{layout, rows, key, greedy});
  };
  rows.extra != nullptr ? run.template operator()<true>() : run.template operator()<false>();
}

// Any other distribution over continuous actions.
template <class Policy>
struct ChooseContinuousOp {
  Policy policy;
  PolicyLayout layout;
  PolicyRows rows;
  RandomKey key;
  bool greedy;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const float* const row =
        rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride);
    const float* const out = row + layout.policy_column;
    std::uint32_t* const record =
        rows.records + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words);
    float* const extra =
        rows.extra ? rows.extra + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.extra_size) : nullptr;
    // What the policy draws stays where it is kept, or for a moment where its executed form goes.
    float* const raw = extra ? extra + RolloutExtra::kAction : reinterpret_cast<float*>(record);
    Rng rng(key, static_cast<std::uint32_t>(i));
    if (greedy) policy.mode(out, raw);
    if (!greedy) policy.sample(out, rng, raw);
    for (int k = 0; k < layout.action.size; ++k) {
      record[k] = float_bits(policy.executed(raw[k], layout.action.low[k], layout.action.high[k]));
    }
    if (extra == nullptr) return;
    extra[RolloutExtra::kLogProb] = policy.log_prob(out, raw);
    extra[RolloutExtra::kValue] = row[layout.value_column];
  }
};

// What is common to all distributions; a log-probability is the distribution's.
struct Reevaluation {
  PolicyLayout layout;
  ReevaluatedRows rows;

  HD const float* output(int r) const {
    return rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride);
  }
  HD float* extra(int r) const {
    return rows.ring.extra +
           static_cast<std::size_t>(rows.begin + r) * static_cast<std::size_t>(rows.ring.shape.extra_size);
  }
  HD bool in_head(int r) const { return rows.begin + r >= rows.ring.shape.rows * rows.ring.shape.environments; }
  HD void finish(int r, float log_prob) const {
    float& stored = extra(r)[RolloutExtra::kLogProb];
    if (rows.ratios != nullptr) rows.ratios[rows.begin + r] = exp_of(log_prob - stored);
    if (rows.store == ReevaluatedRows::Store::kLogProbAndValue) stored = log_prob;
    store_value(r);
  }
  HD void store_value(int r) const {
    if (rows.store != ReevaluatedRows::Store::kNothing) extra(r)[RolloutExtra::kValue] = output(r)[layout.value_column];
  }
};

struct ReevaluateOp {
  Reevaluation rows;

  HD void operator()(int r) const {
    if (rows.in_head(r)) return rows.store_value(r);
    const float* const out = rows.output(r) + rows.layout.policy_column;
    rows.finish(r, rows.layout.action.is_discrete() ? categorical(out, r) : gaussian(out, r));
  }
  HD float categorical(const float* logits, int r) const {
    const auto action = rows.rows.ring.record(static_cast<std::size_t>(rows.rows.begin + r))[0];
    return logits[action] - log_sum_exp(logits, rows.layout.action.count);
  }
  HD float gaussian(const float* means, int r) const {
    const float *const raw = rows.extra(r) + RolloutExtra::kAction, *const log_sigma = rows.rows.log_sigma.row(r);
    float sum = 0.0f;
    for (int k = 0; k < rows.layout.action.size; ++k) {
      sum += gaussian_log_prob((raw[k] - means[k]) * exp_of(-log_sigma[k]), log_sigma[k]);
    }
    return sum;
  }
};

template <class Policy>
struct ReevaluateContinuousOp {
  Policy policy;
  Reevaluation rows;

  HD void operator()(int r) const {
    if (rows.in_head(r)) return rows.store_value(r);
    const float* const raw = rows.extra(r) + RolloutExtra::kAction;
    rows.finish(r, policy.log_prob(rows.output(r) + rows.layout.policy_column, raw));
  }
};

bool is_plain(const PolicyLayout& layout) { return layout.action.is_discrete() || layout.has_log_sigma_vector(); }

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
  const bool greedy = mode == ActionMode::kGreedy;
  if (layout.action.is_discrete()) {
    switch (layout.action.count) {
      case 2:
        return choose_categorical_rows<2>(stream, layout, rows, key, greedy);
      case 3:
        return choose_categorical_rows<3>(stream, layout, rows, key, greedy);
      case 4:
        return choose_categorical_rows<4>(stream, layout, rows, key, greedy);
      default:
        return choose_categorical_rows<0>(stream, layout, rows, key, greedy);
    }
  }
  if (is_plain(layout)) return choose_gaussian_rows(stream, layout, rows, key, greedy);
  with_continuous_policy(layout, [&](const auto& policy) {
    for_each_index(stream, rows.rows,
                   ChooseContinuousOp<std::decay_t<decltype(policy)>>{policy, layout, rows, key, greedy});
  });
}

void store_values(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows) {
  for_each_index(stream, rows.rows, StoreValueOp{layout, rows});
}

void reevaluate_rows(const Stream& stream, const PolicyLayout& layout, const ReevaluatedRows& rows) {
  const Reevaluation all{layout, rows};
  if (is_plain(layout)) return for_each_index(stream, rows.rows, ReevaluateOp{all});
  with_continuous_policy(layout, [&](const auto& policy) {
    for_each_index(stream, rows.rows, ReevaluateContinuousOp<std::decay_t<decltype(policy)>>{policy, all});
  });
}

}  // namespace stampede
