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

inline std::vector<std::string> policy_report_names() {
  std::vector<std::string> names;
  for (auto& [name, value] : policy_report({})) names.push_back(name);
  return names;
}

}  // namespace stampede
