// SPDX-License-Identifier: Apache-2.0
// The names under which policy-gradient methods report their metrics.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agents/policy_metrics.h"

namespace stampede {

inline std::vector<std::pair<std::string, double>> policy_report(const PolicyMetrics& m) {
  return {{"losses/policy_loss", m.policy_loss},
          {"losses/value_loss", m.value_loss},
          {"losses/entropy", m.entropy},
          {"losses/approx_kl", m.approx_kl},
          {"losses/clipfrac", m.clip_fraction},
          {"losses/explained_variance", m.explained_variance},
          {"losses/gradient_norm", m.gradient_norm},
          {"losses/gradient_norm_actor", m.actor_gradient_norm},
          {"losses/gradient_norm_critic", m.critic_gradient_norm},
          {"losses/gradient_norm_torso", m.torso_gradient_norm}};
}

// What a step did to the policy shows only afterwards, where a rollout is learnt from once.
inline void append_drift(const PolicyDrift& drift, std::vector<std::pair<std::string, double>>& values) {
  values.emplace_back("losses/policy_kl", drift.kl);
  values.emplace_back("losses/policy_clipfrac", drift.clip_fraction);
}

inline std::vector<std::string> policy_report_names() {
  auto values = policy_report({});
  append_drift({}, values);
  std::vector<std::string> names;
  for (auto& [name, value] : values) names.push_back(name);
  return names;
}

}  // namespace stampede
