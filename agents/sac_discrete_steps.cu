// SPDX-License-Identifier: Apache-2.0
#include "agents/sac_discrete_steps.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

struct ActCategoricalOp {
  ActRows rows;
  PolicyLogits policy;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    if (rows.mode == ActMode::kRandom) return rows.write_random(i);
    const float* const logits = policy.row(r);
    int action = argmax(logits, policy.actions);
    if (rows.mode != ActMode::kGreedy) {
      Rng rng({rows.seed, rows.row, Purpose::kAction}, static_cast<std::uint32_t>(i));
      const float normalizer = log_sum_exp(logits, policy.actions);
      action = sample_categorical(logits, policy.actions, normalizer, rng.uniform());
      if (rows.entropies != nullptr) {
        rows.write_entropy(i, categorical_entropy(logits, policy.actions, normalizer));
      }
    }
    rows.record_of(i)[0] = static_cast<std::uint32_t>(action);
  }
};

// The critics' smaller value of every action of one row.
struct SmallerValues {
  const float* row;
  int critics, stride;
  HD float operator[](int a) const { return row[smallest_critic(row + a, critics, stride) * stride + a]; }
};
HD SmallerValues smaller_values(const CriticOutputs& q, int r) { return {q.row(r), q.critics, q.stride}; }

struct ExpectedBootstrapOp {
  PolicyLogits policy;
  CriticOutputs q;
  const float* alpha;
  float* bootstrap;

  HD void operator()(int r) const {
    bootstrap[r] = expected_soft_value(policy.row(r), smaller_values(q, r), policy.actions, *alpha);
  }
};

struct TakenActionOp {
  TakenActionTile tile;

  HD void operator()(int r) const {
    const CriticTile& c = tile.critic;
    const std::size_t offset = static_cast<std::size_t>(r) * static_cast<std::size_t>(c.q.row_stride);
    float* const d_q = c.d_outputs + offset;
    for (int j = 0; j < c.q.row_stride; ++j) d_q[j] = 0.0f;
    const auto action = static_cast<int>(tile.ring.record(static_cast<std::size_t>(tile.indices[r]))[0]);
    float metrics[CriticRowMetrics::kSize];
    critic_gradient(c.q.row(r) + action, c.q.critics, c.q.stride, fused(c.discounts[r], c.bootstrap[r], c.rewards[r]),
                    c.weight, d_q + action, metrics);
    for (int k = 0; k < CriticRowMetrics::kSize; ++k) c.metrics[k * c.rows + r] = metrics[k];
  }
};

struct DiscretePolicyOp {
  DiscretePolicyTile tile;

  HD void operator()(int r) const {
    const int actions = tile.policy.actions;
    float* const d_logits = tile.d_logits + static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.policy.stride);
    for (int j = actions; j < tile.policy.stride; ++j) d_logits[j] = 0.0f;
    float metrics[SacRowMetrics::kSize];
    discrete_policy_gradient(tile.policy.row(r), smaller_values(tile.q, r), actions, *tile.alpha, tile.weight, d_logits,
                             metrics);
    for (int k = 0; k < SacRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
  }
};

}  // namespace

void act_categorical(const Stream& stream, const ActRows& rows, const PolicyLogits& policy) {
  for_each_index(stream, rows.rows, ActCategoricalOp{rows, policy});
}

void expected_bootstrap(const Stream& stream, int rows, const PolicyLogits& policy, const CriticOutputs& q,
                        const float* alpha, float* bootstrap) {
  for_each_index(stream, rows, ExpectedBootstrapOp{policy, q, alpha, bootstrap});
}

void taken_action_loss(const Stream& stream, const TakenActionTile& tile) {
  for_each_index(stream, tile.critic.rows, TakenActionOp{tile});
}

void discrete_policy_tile_loss(const Stream& stream, const DiscretePolicyTile& tile) {
  for_each_index(stream, tile.rows, DiscretePolicyOp{tile});
}

}  // namespace stampede
