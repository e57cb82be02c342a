// SPDX-License-Identifier: Apache-2.0
#include "train/fused/fused_network.h"

#include "agents/actor_critic.h"
#include "agents/networks/mlp_network.h"

namespace stampede {
namespace {

GemmActivation gemm_activation(Activation activation) {
  if (activation == Activation::kTanh) return GemmActivation::kTanh;
  return activation == Activation::kRelu ? GemmActivation::kRelu : GemmActivation::kLinear;
}

bool fits(int width) { return width % 8 == 0 && width <= FusedNetwork::kWidest; }

}  // namespace

std::string fused_network_refusal(const ActorCritic& agent) {
  const NetworkSpec& spec = agent.network().spec();
  if (dynamic_cast<const MlpNetwork*>(&agent.network().network()) == nullptr) return "it needs network=native";
  if (!agent.action().is_discrete() && agent.layout().continuous != ContinuousPolicy::kGaussian) {
    return "of the distributions of continuous actions it has only gaussian";
  }
  for (const LayerLayout& layer : spec.layers()) {
    if (layer.layer_norm) return "it has no layer normalisation";
  }
  if (spec.layers().size() != static_cast<std::size_t>(3 * spec.tower_count())) return "it needs two hidden layers";
  if (!fits(spec.layers()[0].out) || !fits(spec.layers()[1].out)) {
    return "hidden layers must be multiples of 8, at most " + std::to_string(FusedNetwork::kWidest) + " wide";
  }
  return "";
}

FusedNetwork fused_network(const ActorCritic& agent) {
  const NetworkSpec& spec = agent.network().spec();
  const std::vector<LayerLayout>& layers = spec.layers();
  FusedNetwork network;
  network.parameters = agent.network().parameters();
  network.towers = spec.tower_count();
  for (int t = 0; t < network.towers; ++t) {
    for (int l = 0; l < 3; ++l) {
      const LayerLayout& layer = layers[static_cast<std::size_t>(3 * t + l)];
      network.tower[t].weight[l] = layer.weight;
      network.tower[t].bias[l] = layer.bias;
      network.tower[t].stride[l] = layer.out_stride;
    }
  }
  network.hidden1 = layers[0].out;
  network.hidden2 = layers[1].out;
  network.activation = gemm_activation(layers[0].activation);
  if (agent.observation_normalizer().enabled()) {
    network.mean = agent.observation_normalizer().mean();
    network.inverse = agent.observation_normalizer().inverse();
  }
  return network;
}

}  // namespace stampede
