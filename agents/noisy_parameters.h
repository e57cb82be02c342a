// SPDX-License-Identifier: Apache-2.0
// Noisy layers: Fortunato et al. 2018 (arXiv:1706.10295), section 3, factorised Gaussian noise. A network takes part
// unchanged: its parameters with the noise added are another block of the same spec.
#pragma once

#include <vector>

#include "agents/networks/network_spec.h"
#include "kernels/arena.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace stampede {

enum class NoisyLayers : std::uint8_t { kOff, kHeads, kAll };

// Who draws: independent noise even for the same number.
enum class NoiseRole : std::uint32_t { kOnline = 0, kTarget = 1, kActing = 2 };

// One drawn network: the noise of its layers' inputs and outputs, and the parameters it gives.
struct NoisyDraw {
  View<float> noise;       // [noise_size], f(eps) = sign(eps) sqrt(|eps|)
  View<float> parameters;  // [P], padding zero
};

// Trained are mu [P], which is the network's own block, and behind it sigma [size] of the noisy layers. Weight (i, j)
// of a draw is mu + sigma f(eps_i) f(eps_j), bias j is mu + sigma f(eps_j) (equations 9 to 11). Heads of one tower lie
// in one layer and share the noise of their inputs.
class NoisyParameters {
 public:
  NoisyParameters(const NetworkSpec& spec, NoisyLayers layers);

  std::size_t size() const { return size_; }  // floats of sigma, with padding; 0 when off
  bool off() const { return size_ == 0; }
  NoisyDraw take_draw(Arena& arena) const;

  // sigma_0 / sqrt(inputs of the layer), padding zero. Stream-ordered.
  void initialize(const Stream& stream, float sigma_0, float* sigma) const;
  // New noise, named by (seed, number, role), and the parameters it makes of `trained` [P + size]. Stream-ordered.
  void draw(const Stream& stream, const float* trained, std::uint64_t seed, std::uint64_t number, NoiseRole role,
            const NoisyDraw& out) const;
  // d(sigma) = d(mu) * noise for a gradient block [P + size] whose first part backward() wrote. Stream-ordered.
  void fill_sigma_gradient(const Stream& stream, const NoisyDraw& drawn, float* gradients) const;

 private:
  // weights [in, out_stride] and the biases behind them are one matrix of in + 1 rows.
  struct Layer {
    std::size_t parameters;  // offset in the network's block
    std::size_t sigma;       // offset in the sigmas
    int in, out, out_stride;
    int noise;  // offset of its inputs' noise; that of its outputs follows
  };
  struct Range {
    std::size_t begin, count;
  };

  std::vector<Layer> layers_;
  std::vector<Range> quiet_;  // what no noise changes
  std::size_t parameter_count_;
  std::size_t size_ = 0;
  int noise_size_ = 0;
};

}  // namespace stampede
