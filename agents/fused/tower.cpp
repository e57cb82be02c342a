// SPDX-License-Identifier: Apache-2.0
#include "agents/fused/tower.h"

namespace stampede {
namespace {

constexpr std::size_t kLayers = 3;

bool fits(const NetworkSpec& spec, const LayerLayout* layer) {
  const int width = layer[0].out;
  if (width != 64 && width != 128) return false;
  if (spec.one_hot() || layer[0].in > kNarrowColumns || layer[2].out > kNarrowColumns) return false;
  return layer[1].out == width && layer[0].activation == layer[1].activation && !layer[0].normalized();
}

FusedTower tower_of(const LayerLayout* layer) {
  FusedTower tower;
  for (std::size_t l = 0; l < kLayers; ++l) {
    tower.weight[l] = layer[l].weight;
    tower.bias[l] = layer[l].bias;
  }
  tower.inputs = layer[0].in;
  tower.outputs = layer[2].out;
  tower.width = layer[0].out;
  const bool relu = layer[0].activation == Activation::kRelu, tanh = layer[0].activation == Activation::kTanh;
  tower.activation = relu ? GemmActivation::kRelu : tanh ? GemmActivation::kTanh : GemmActivation::kLinear;
  return tower;
}

}  // namespace

std::vector<FusedTower> fused_towers(const NetworkSpec& spec) {
  const std::vector<LayerLayout>& layers = spec.layers();
  const auto count = static_cast<std::size_t>(spec.tower_count());
  if (layers.size() != kLayers * count) return {};
  std::vector<FusedTower> towers;
  int column = 0;
  for (std::size_t t = 0; t < count; ++t) {
    const LayerLayout* const layer = &layers[kLayers * t];
    const bool whole = layer[0].tower == layer[2].tower && layer[0].tower == layer[1].tower;
    if (!whole || !fits(spec, layer) || layer[0].out != layers[0].out) return {};
    towers.push_back(tower_of(layer));
    towers.back().first_column = column;
    column += layer[2].out_stride;
  }
  return towers;
}

}  // namespace stampede
