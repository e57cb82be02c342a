// SPDX-License-Identifier: Apache-2.0
// The temperature's loss: Haarnoja et al. 2018 (arXiv:1812.05905), equation 18, with log alpha in the place of alpha.
#pragma once

#include "kernels/hd.h"

namespace stampede {

// The derivative of J = -log alpha (E[log pi] + target entropy) with respect to log alpha. It is negative while the
// entropy -E[log pi] is below its target, so that alpha rises.
HD float temperature_gradient(float mean_log_prob, float target_entropy) { return -(mean_log_prob + target_entropy); }

}  // namespace stampede
