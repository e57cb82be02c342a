// SPDX-License-Identifier: Apache-2.0
// The temperature's loss: Haarnoja et al. 2018 (arXiv:1812.05905), equation 18.
#pragma once

#include "kernels/hd.h"

namespace stampede {

// J = -log alpha (log pi + target entropy), whose minimum lets the entropy equal its target: the derivative with
// respect to log alpha. Positive log_prob_excess lowers log alpha's gradient, so alpha rises when entropy is too low.
HD float temperature_gradient(float mean_log_prob, float target_entropy) { return -(mean_log_prob + target_entropy); }

}  // namespace stampede
