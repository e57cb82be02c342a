// SPDX-License-Identifier: Apache-2.0
// The losses of DDPG, TD3 and soft actor-critic against LibTorch in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agents/losses/critic_loss.h"
#include "agents/losses/sac_discrete_loss.h"
#include "agents/losses/td3_loss.h"
#include "agents/losses/temperature_loss.h"
#include "tests/oracle/actor_critic_reference.h"
#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

// Relative to a magnitude of at least 1.
void expect_close(double value, double reference, double tolerance = 8e-6) {
  EXPECT_NEAR(value, reference, tolerance * std::max(1.0, std::fabs(reference)));
}

TEST(SacLossOracle, ReparameterisedGradientsEqualAutograd) {
  for (std::size_t i = 0; i < 257; ++i) {
    const float mean = 3.0f * random_value(71, i), log_sigma = 2.0f * random_value(72, i);
    const float noise = 2.0f * random_value(73, i), alpha = random_value(74, i), d_action = random_value(75, i);
    const SquashedReference reference = squashed_reference(mean, log_sigma, noise, alpha, d_action);
    const SquashedSample sample = sample_squashed(mean, log_sigma, noise);
    const SquashedGradient d = squashed_gradient(sample, log_sigma, noise, alpha, d_action);
    expect_close(sample.action, reference.action);
    expect_close(sample.log_prob, reference.log_prob);
    expect_close(d.mean, reference.d_mean);
    expect_close(d.log_sigma, reference.d_log_sigma, 2e-5);
  }
}

TEST(SacLossOracle, DiscreteGradientsEqualAutograd) {
  for (const std::size_t n : {2u, 3u, 17u, 64u}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const std::vector<float> logits = random_values(600 + seed, n, 4.0f), q = random_values(700 + seed, n, 10.0f);
      const float alpha = 0.5f + 0.5f * random_value(76, seed);
      const DiscretePolicyReference reference = discrete_policy_reference(logits, q, alpha);
      std::vector<float> d_logits(n), metrics(SacRowMetrics::kSize);
      discrete_policy_gradient(logits.data(), q.data(), static_cast<int>(n), alpha, 1.0f, d_logits.data(),
                               metrics.data());
      expect_close(metrics[SacRowMetrics::kPolicyLoss], reference.loss);
      expect_close(metrics[SacRowMetrics::kLogProb], reference.log_prob);
      expect_close(expected_soft_value(logits.data(), q.data(), static_cast<int>(n), alpha), -reference.loss);
      for (std::size_t j = 0; j < n; ++j) expect_close(d_logits[j], reference.d_logits[j]);
    }
  }
}

TEST(SacLossOracle, TemperatureGradientsEqualAutograd) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> log_probs = random_values(800 + seed, 33, 3.0f);
    float mean = 0.0f;
    for (const float x : log_probs) mean += x / 33.0f;
    for (const float target : {-3.0f, 0.0f, 0.6f}) {
      expect_close(temperature_gradient(mean, target), temperature_reference(0.3f, log_probs, target));
    }
  }
}

TEST(Td3LossOracle, CriticGradientsEqualAutograd) {
  for (std::size_t i = 0; i < 257; ++i) {
    const std::vector<float> q{5.0f * random_value(81, i), 0.0f, 5.0f * random_value(82, i), 0.0f};
    const float target = 5.0f * random_value(83, i);
    for (const int critics : {1, 2}) {
      const std::vector<float> values = critics == 2 ? std::vector<float>{q[0], q[2]} : std::vector<float>{q[0]};
      const CriticReference reference = critic_reference(values, target);
      float d_q[4] = {}, metrics[CriticRowMetrics::kSize];
      critic_gradient(q.data(), critics, 2, target, 1.0f, d_q, metrics);
      expect_close(metrics[CriticRowMetrics::kLoss], reference.loss);
      for (int k = 0; k < critics; ++k) expect_close(d_q[k * 2], reference.d_q[static_cast<std::size_t>(k)]);
    }
  }
}

TEST(Td3LossOracle, GumbelSoftmaxGradientsEqualAutograd) {
  for (const std::size_t n : {2u, 3u, 17u}) {
    for (const float temperature : {0.3f, 1.0f, 2.0f}) {
      const std::vector<float> logits = random_values(900, n, 2.0f), noise = random_values(901, n, 2.0f);
      const std::vector<float> d_action = random_values(902, n);
      std::vector<float> p(n), d_logits(n);
      for (std::size_t j = 0; j < n; ++j) p[j] = logits[j] + noise[j];
      soften(p.data(), static_cast<int>(n), temperature);
      softened_gradient(p.data(), d_action.data(), static_cast<int>(n), temperature, d_logits.data());
      const std::vector<double> reference = softened_reference(logits, noise, d_action, temperature);
      for (std::size_t j = 0; j < n; ++j) expect_close(d_logits[j], reference[j]);
    }
  }
}

}  // namespace
}  // namespace stampede
