// SPDX-License-Identifier: Apache-2.0
// What soft actor-critics report: means of the sums of SacRowMetrics, and their temperature.
#pragma once

#include <utility>

#include "agents/losses/sac_loss.h"
#include "agents/off_policy_actor_critic.h"
#include "agents/temperature.h"

namespace stampede {

struct SoftMetrics : OffPolicyMetrics {
  double policy_loss = 0.0, entropy = 0.0, value_loss = 0.0, alpha = 0.0;
};

// sums: of an agent whose policy metrics are SacRowMetrics. Waits for what was asked of the temperature.
inline SoftMetrics soft_metrics(const Stream& stream, OffPolicyMetrics sums, const Temperature& temperature) {
  SoftMetrics metrics{std::move(sums)};
  const auto mean = [&](int k) { return metrics.policy_sums[static_cast<std::size_t>(k)] / metrics.count; };
  metrics.policy_loss = mean(SacRowMetrics::kPolicyLoss);
  metrics.entropy = -mean(SacRowMetrics::kLogProb);
  metrics.value_loss = mean(SacRowMetrics::kValueLoss);
  metrics.alpha = static_cast<double>(temperature.take_alpha(stream));
  metrics.failed |= temperature.take_failed(stream);
  return metrics;
}

}  // namespace stampede
