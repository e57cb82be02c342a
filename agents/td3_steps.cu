// SPDX-License-Identifier: Apache-2.0
#include "agents/td3_steps.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

HD int gumbel_argmax(const float* logits, int n, Rng& rng) {
  int best = 0;
  float highest = 0.0f;
  for (int j = 0; j < n; ++j) {
    const float value = logits[j] + gumbel(rng.next_word());
    best = j == 0 || value > highest ? j : best;
    highest = j == best ? value : highest;
  }
  return best;
}

struct ActDeterministicOp {
  ActRows rows;
  ActorOutputs actor;
  NoiseView noise;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    if (rows.mode == ActMode::kRandom) return rows.write_random(i);
    const float* const row = actor.row(r);
    const int n = rows.code.size;
    if (rows.code.discrete) {
      Rng rng({rows.seed, rows.row, Purpose::kAction}, static_cast<std::uint32_t>(i));
      const int action = rows.mode == ActMode::kGreedy ? argmax(row, n) : gumbel_argmax(row, n, rng);
      rows.record_of(i)[0] = static_cast<std::uint32_t>(action);
      return;
    }
    Rng rng({rows.seed, rows.row, Purpose::kExplorationNoise}, static_cast<std::uint32_t>(i));
    const bool ended = rows.ended_before(i);
    for (int j = 0; j < n; ++j) {
      float coded = tanh_of(row[j]);
      if (rows.mode == ActMode::kExplore) coded += noise.next(i, j, ended, rng);
      rows.code.write_dimension(j, coded, rows.record_of(i));
    }
  }
};

struct TargetActionsOp {
  ChosenActions c;
  SmoothingConfig smoothing;

  HD void operator()(int r) const {
    const float* const row = c.actor.row(r);
    const int n = c.out.code.size;
    float* const action =
        c.out.features + static_cast<std::size_t>(r) * static_cast<std::size_t>(c.out.stride) + c.obs_size;
    Rng rng(c.key, static_cast<std::uint32_t>(c.begin + r));
    if (c.out.code.discrete) {
      const int best = gumbel_argmax(row, n, rng);
      for (int j = 0; j < n; ++j) action[j] = j == best ? 1.0f : 0.0f;
      return;
    }
    for (int j = 0; j < n; ++j) {
      const std::uint32_t first = rng.next_word();
      const float noise = smoothing.sigma * standard_normal(first, rng.next_word());
      action[j] = smoothed_action(tanh_of(row[j]), noise, smoothing.limit);
    }
  }
};

struct PolicyActionsOp {
  ChosenActions c;
  float temperature;
  float* softened;

  HD void operator()(int r) const {
    const float* const row = c.actor.row(r);
    const int n = c.out.code.size;
    float* const action =
        c.out.features + static_cast<std::size_t>(r) * static_cast<std::size_t>(c.out.stride) + c.obs_size;
    if (!c.out.code.discrete) {
      for (int j = 0; j < n; ++j) action[j] = tanh_of(row[j]);
      return;
    }
    Rng rng(c.key, static_cast<std::uint32_t>(c.begin + r));
    float* const p = softened + static_cast<std::size_t>(r) * static_cast<std::size_t>(n);
    for (int j = 0; j < n; ++j) p[j] = row[j] + gumbel(rng.next_word());
    const int best = argmax(p, n);
    for (int j = 0; j < n; ++j) action[j] = j == best ? 1.0f : 0.0f;
    soften(p, n, temperature);
  }
};

struct Td3PolicyLossOp {
  int rows;
  CriticOutputs q;
  float weight;
  float *d_outputs, *metrics;

  HD void operator()(int r) const {
    float* const d_q = d_outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(q.row_stride);
    for (int j = 0; j < q.row_stride; ++j) d_q[j] = 0.0f;
    d_q[0] = -weight;
    metrics[Td3RowMetrics::kPolicyLoss * rows + r] = -q.row(r)[0];
    metrics[Td3RowMetrics::kCount * rows + r] = 1.0f;
  }
};

struct OneHotActionsOp {
  CriticRows out;
  int obs_size, action;

  HD void operator()(int r) const {
    float* const row = out.features + static_cast<std::size_t>(r) * static_cast<std::size_t>(out.stride) + obs_size;
    for (int j = 0; j < out.code.size; ++j) row[j] = j == action ? 1.0f : 0.0f;
  }
};

struct LinearExtensionLossOp {
  LinearExtension e;
  CriticOutputs q;
  int rows;
  float weight;
  float* metrics;

  HD void operator()(int r) const {
    const float value = q.row(r)[0];
    const float share = e.softened[static_cast<std::size_t>(r) * static_cast<std::size_t>(e.out.code.size) +
                                   static_cast<std::size_t>(e.action)];
    e.d_critic_inputs[static_cast<std::size_t>(r) * static_cast<std::size_t>(e.out.stride) +
                      static_cast<std::size_t>(e.obs_size + e.action)] = -weight * value;
    float& loss = metrics[Td3RowMetrics::kPolicyLoss * rows + r];
    loss = fused(-share, value, e.action == 0 ? 0.0f : loss);
    metrics[Td3RowMetrics::kCount * rows + r] = 1.0f;
  }
};

struct Td3PolicyGradientOp {
  Td3PolicyGradient g;

  HD void operator()(int r) const {
    const int n = g.chosen.code.size;
    const std::size_t offset =
        static_cast<std::size_t>(r) * static_cast<std::size_t>(g.chosen.stride) + static_cast<std::size_t>(g.obs_size);
    const float* const action = g.chosen.features + offset;
    const float* const d_action = g.d_critic_inputs + offset;
    float* const d_out = g.d_outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(g.actor.stride);
    for (int j = n; j < g.actor.stride; ++j) d_out[j] = 0.0f;
    if (g.chosen.code.discrete) {
      softened_gradient(g.softened + static_cast<std::size_t>(r) * static_cast<std::size_t>(n), d_action, n,
                        g.temperature, d_out);
    } else {
      for (int j = 0; j < n; ++j) d_out[j] = d_action[j] * fused(-action[j], action[j], 1.0f);
    }
    const float penalty = 2.0f * g.output_penalty * g.weight / static_cast<float>(n);
    for (int j = 0; j < n; ++j) d_out[j] = fused(penalty, g.actor.row(r)[j], d_out[j]);
  }
};

}  // namespace

void act_deterministic(const Stream& stream, const ActRows& rows, const ActorOutputs& actor, const NoiseView& noise) {
  for_each_index(stream, rows.rows, ActDeterministicOp{rows, actor, noise});
}

void choose_target_actions(const Stream& stream, int rows, const ChosenActions& chosen,
                           const SmoothingConfig& smoothing) {
  for_each_index(stream, rows, TargetActionsOp{chosen, smoothing});
}

void choose_policy_actions(const Stream& stream, int rows, const ChosenActions& chosen, float temperature,
                           float* softened) {
  for_each_index(stream, rows, PolicyActionsOp{chosen, temperature, softened});
}

void td3_policy_tile_loss(const Stream& stream, int rows, const CriticOutputs& q, float weight, float* d_outputs,
                          float* metrics) {
  for_each_index(stream, rows, Td3PolicyLossOp{rows, q, weight, d_outputs, metrics});
}

void write_one_hot_actions(const Stream& stream, int rows, const LinearExtension& extension) {
  for_each_index(stream, rows, OneHotActionsOp{extension.out, extension.obs_size, extension.action});
}

void linear_extension_loss(const Stream& stream, int rows, const LinearExtension& extension, const CriticOutputs& q,
                           float weight, float* metrics) {
  for_each_index(stream, rows, LinearExtensionLossOp{extension, q, rows, weight, metrics});
}

void td3_policy_gradient(const Stream& stream, int rows, const Td3PolicyGradient& gradient) {
  for_each_index(stream, rows, Td3PolicyGradientOp{gradient});
}

}  // namespace stampede
