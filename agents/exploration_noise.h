// SPDX-License-Identifier: Apache-2.0
// Noise added to a policy's actions: Gaussian, or the Ornstein-Uhlenbeck process of Lillicrap et al. 2016
// (arXiv:1509.02971), section 3, one process per environment and dimension.
#pragma once

#include "agents/distributions.h"
#include "kernels/arena.h"
#include "kernels/record.h"

namespace stampede {

enum class NoiseKind { kNone, kGaussian, kOrnsteinUhlenbeck };

// In units of coded actions, [-1, 1].
struct NoiseConfig {
  NoiseKind kind = NoiseKind::kNone;
  float sigma = 0.1f;
  float theta = 0.15f;  // pull towards zero, per unit of time
  float dt = 1.0f;      // time of one step
};

// x(t + dt) = x(t) - theta x(t) dt + sigma sqrt(dt) N(0, 1); stationary deviation sigma / sqrt(2 theta) for small dt.
HD float ornstein_uhlenbeck(const NoiseConfig& config, float x, float normal) {
  return fused(config.sigma * square_root(config.dt), normal, fused(-config.theta * config.dt, x, x));
}

// What a kernel adds. Training's processes live in device memory and in checkpoints; evaluations have none.
struct NoiseView {
  NoiseConfig config;
  float* state = nullptr;  // [N, A]; Ornstein-Uhlenbeck only
  int size = 1;            // A

  // For dimension j of environment i. `ended`: the row before ended an episode, so this row resets the environment and
  // ignores its action; the next episode's process starts at zero.
  HD float next(int i, int j, bool ended, Rng& rng) const {
    if (config.kind == NoiseKind::kNone) return 0.0f;
    const std::uint32_t first = rng.next_word();
    const float normal = standard_normal(first, rng.next_word());
    if (config.kind == NoiseKind::kGaussian) return config.sigma * normal;
    float& x = state[static_cast<std::size_t>(i) * static_cast<std::size_t>(size) + static_cast<std::size_t>(j)];
    x = ended ? 0.0f : ornstein_uhlenbeck(config, x, normal);
    return x;
  }
};

class ExplorationNoise {
 public:
  ExplorationNoise(const NoiseConfig& config, int environments, int size, Arena& arena)
      : state_(arena.take<float>(config.kind == NoiseKind::kOrnsteinUhlenbeck
                                     ? static_cast<std::size_t>(environments) * static_cast<std::size_t>(size)
                                     : 0)),
        view_{config, state_.data, size} {}

  const NoiseView& view() const { return view_; }
  View<float> state() const { return state_; }  // [N, A], empty unless Ornstein-Uhlenbeck

 private:
  View<float> state_;
  NoiseView view_;
};

}  // namespace stampede
