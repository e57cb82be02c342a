// SPDX-License-Identifier: Apache-2.0
// Any of the policy-gradient losses, chosen at run time: one piece of code for all of them where that costs nothing.
#pragma once

#include "agents/losses/policy_gradient_loss.h"
#include "agents/losses/ppo_loss.h"
#include "agents/losses/ppo_penalty_loss.h"

namespace stampede {

struct AnyPolicyLoss {
  enum class Kind { kClip, kPenalty, kPlain };
  Kind kind = Kind::kPlain;
  PpoLossConfig clip = {};           // kPenalty: its intervals alone
  const float* kl_weight = nullptr;  // kPenalty
  float entropy_weight = 0.0f, value_weight = 0.5f;

  explicit AnyPolicyLoss(const PpoLossConfig& loss)
      : kind(Kind::kClip), clip(loss), entropy_weight(loss.entropy_weight), value_weight(loss.value_weight) {}
  explicit AnyPolicyLoss(const PpoPenaltyLoss& loss)
      : kind(Kind::kPenalty),
        clip{loss.clip, loss.value_clip, loss.entropy_weight, loss.value_weight},
        kl_weight(loss.kl_weight),
        entropy_weight(loss.entropy_weight),
        value_weight(loss.value_weight) {}
  explicit AnyPolicyLoss(const PolicyGradientLoss& loss)
      : entropy_weight(loss.entropy_weight), value_weight(loss.value_weight) {}
};

HD float surrogate_gradient(const AnyPolicyLoss& loss, const PolicySample& sample, float log_prob, float* metrics) {
  if (loss.kind == AnyPolicyLoss::Kind::kClip) return surrogate_gradient(loss.clip, sample, log_prob, metrics);
  if (loss.kind == AnyPolicyLoss::Kind::kPlain)
    return surrogate_gradient(PolicyGradientLoss{}, sample, log_prob, metrics);
  const PpoPenaltyLoss penalty{loss.kl_weight, loss.entropy_weight, loss.value_weight, loss.clip.clip};
  return surrogate_gradient(penalty, sample, log_prob, metrics);
}

HD float value_gradient(const AnyPolicyLoss& loss, const PolicySample& sample, float value, float* metrics) {
  if (loss.kind == AnyPolicyLoss::Kind::kPlain) return value_gradient(PolicyGradientLoss{}, sample, value, metrics);
  return value_gradient(loss.clip, sample, value, metrics);
}

}  // namespace stampede
