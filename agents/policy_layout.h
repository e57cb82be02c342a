// SPDX-License-Identifier: Apache-2.0
// Which distribution a policy head parameterises, and where the head finds itself in an output row.
#pragma once

#include <cstddef>

#include "agents/distributions/beta_policy.h"
#include "agents/distributions/multi_categorical_policy.h"
#include "agents/distributions/squashed_gaussian_policy.h"
#include "kernels/space.h"

namespace stampede {

// Of continuous actions; discrete ones are categorical.
enum class ContinuousPolicy : std::uint8_t { kGaussian, kStateGaussian, kSquashedGaussian, kBeta, kMultiCategorical };

// Log deviations of a Gaussian's actions [A]: the same for all rows (stride 0), or a row's own.
struct LogSigmas {
  const float* data = nullptr;
  int stride = 0;

  HD const float* row(int r) const { return data + static_cast<std::ptrdiff_t>(r) * stride; }
};

struct PolicyLayout {
  Space action;
  int output_stride = 0;
  int policy_column = 0;  // logits or means
  int value_column = 0;
  const float* log_sigma = nullptr;  // [A] in the parameter block, kGaussian only
  ContinuousPolicy continuous = ContinuousPolicy::kGaussian;
  float initial_log_sigma = 0.0f;  // kStateGaussian and kSquashedGaussian
  int bins = 0;                    // kMultiCategorical

  bool has_log_sigma_vector() const { return !action.is_discrete() && continuous == ContinuousPolicy::kGaussian; }
  StateGaussianPolicy state_gaussian() const { return {action.size, initial_log_sigma}; }
};

// Calls call(policy) with the distribution of a layout that is neither categorical nor kGaussian.
template <class Call>
void with_continuous_policy(const PolicyLayout& layout, const Call& call) {
  switch (layout.continuous) {
    case ContinuousPolicy::kStateGaussian:
      return call(layout.state_gaussian());
    case ContinuousPolicy::kSquashedGaussian:
      return call(SquashedGaussianPolicy{layout.state_gaussian()});
    case ContinuousPolicy::kBeta:
      return call(BetaPolicy{layout.action.size});
    case ContinuousPolicy::kMultiCategorical:
      return call(MultiCategoricalPolicy{layout.action.size, layout.bins});
    case ContinuousPolicy::kGaussian:
      return;
  }
}

}  // namespace stampede
