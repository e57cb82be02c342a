// SPDX-License-Identifier: Apache-2.0
#include "agents/unit_dropout.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

// What a layer reads of unit h of the layer before lies in row h of its weights.
struct DropUnitOp {
  RandomKey key;
  std::uint32_t first;  // number of the layer's first input among all hidden units
  float rate, strength;
  float* weights;
  int out_stride;

  HD void operator()(int unit) const {
    const bool silent = uniform_float(key.lane_word(first + static_cast<std::uint32_t>(unit))) < rate;
    const float factor = silent ? 0.0f : strength;
    float* const row = weights + static_cast<std::size_t>(unit) * static_cast<std::size_t>(out_stride);
    for (int j = 0; j < out_stride; ++j) row[j] *= factor;
  }
};

}  // namespace

void drop_units(const Stream& stream, const NetworkSpec& spec, float rate, const RandomKey& key, float* parameters) {
  int tower = -1;
  std::uint32_t first = 0;
  for (const LayerLayout& layer : spec.layers()) {
    if (layer.tower == tower) {
      for_each_index(stream, layer.in,
                     DropUnitOp{key, first, rate, 1.0f / (1.0f - rate), parameters + layer.weight, layer.out_stride});
      first += static_cast<std::uint32_t>(layer.in);
    }
    tower = layer.tower;
  }
}

}  // namespace stampede
