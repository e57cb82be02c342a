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

std::string fused_network_refusal(const TrainableNetwork& network, Precision precision) {
  const NetworkSpec& spec = network.spec();
  if (dynamic_cast<const MlpNetwork*>(&network.network()) == nullptr) return "it needs network=native";
  for (const LayerLayout& layer : spec.layers()) {
    if (layer.batch_norm) return "it has no batch normalisation";
    if (layer.layer_norm && precision == Precision::kBf16) return "in bf16 it has no normalisation of layers";
  }
  if (spec.layers().size() != static_cast<std::size_t>(3 * spec.tower_count())) return "it needs two hidden layers";
  if (!fits(spec.layers()[0].out) || !fits(spec.layers()[1].out)) {
    return "hidden layers must be multiples of 8, at most " + std::to_string(FusedNetwork::kWidest) + " wide";
  }
  return "";
}

std::string fused_network_refusal(const ActorCritic& agent, Precision precision) {
  if (!agent.action().is_discrete() && agent.layout().continuous != ContinuousPolicy::kGaussian) {
    return "of the distributions of continuous actions it has only gaussian";
  }
  if (agent.network().spec().features().size > 0) return "it has no state-dependent exploration (sde)";
  return fused_network_refusal(agent.network(), precision);
}

FusedNetwork fused_network(const TrainableNetwork& trainable) {
  const NetworkSpec& spec = trainable.spec();
  const std::vector<LayerLayout>& layers = spec.layers();
  FusedNetwork network;
  network.towers = spec.tower_count();
  for (int t = 0; t < network.towers; ++t) {
    RolloutTower& tower = network.tower[t];
    tower.parameters = trainable.parameters();
    for (int l = 0; l < 3; ++l) {
      const LayerLayout& layer = layers[static_cast<std::size_t>(3 * t + l)];
      tower.weight[l] = layer.weight;
      tower.bias[l] = layer.bias;
      tower.stride[l] = layer.out_stride;
      if (l == 2) continue;
      tower.norm_gain[l] = layer.norm_gain;
      tower.norm_bias[l] = layer.norm_bias;
    }
  }
  network.hidden1 = layers[0].out;
  network.hidden2 = layers[1].out;
  network.activation = gemm_activation(layers[0].activation);
  network.normalized = layers[0].layer_norm;
  return network;
}

FusedNetwork with_target(FusedNetwork network, const float* target) {
  network.tower[1] = network.tower[0];
  network.tower[1].parameters = target;
  network.towers = 2;
  return network;
}

FusedNetwork fused_network(const ActorCritic& agent) {
  FusedNetwork network = fused_network(agent.network());
  if (agent.observation_normalizer().enabled()) {
    network.mean = agent.observation_normalizer().mean();
    network.inverse = agent.observation_normalizer().inverse();
  }
  return network;
}

}  // namespace stampede
