// SPDX-License-Identifier: Apache-2.0
// Parameters that threads share without locks: Niu et al. 2011 (Hogwild!, arXiv:1106.5730), with the shared RMSProp
// statistics of Mnih et al. 2016 (arXiv:1602.01783), section 4. CPU only, and the only code with data races.
#pragma once

#include <cstddef>

namespace stampede {

struct RmsPropConfig {
  float decay = 0.99f;              // alpha
  float epsilon = 0.01f;            // added below the root
  bool epsilon_inside_root = true;  // false: added to the root
  float max_norm = 0.0f;            // global-norm clip of what one thread adds; 0 = off
};

// Shared by all threads; aligned to 64 bytes, as every block here; count is a multiple of 16.
struct HogwildBlocks {
  float* parameters;  // [count], theta
  float* squares;     // [count], g
  std::size_t count;
};

// to = from, element by element, while other threads write `from` or both: every element is one that some thread wrote,
// but elements may stem from different moments.
void hogwild_copy(const float* from, float* to, std::size_t count);

// What one thread adds: g = alpha g + (1 - alpha) d^2 and theta -= rate d / sqrt(g + epsilon), d = scale * gradients.
// snapshot [count] gets theta as this thread left it: the next rollout's parameters, for no second pass over memory
// that other cores own. With one thread it equals the shared parameters bit for bit.
void hogwild_rmsprop(const RmsPropConfig& config, const HogwildBlocks& shared, const float* gradients, float scale,
                     float rate, float* snapshot);

}  // namespace stampede
