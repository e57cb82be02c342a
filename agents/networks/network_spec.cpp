// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/network_spec.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "agents/networks/initialization.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr int kPadding = 16;
constexpr int kLargestSize = 65536;

int padded(int size) { return (size + kPadding - 1) / kPadding * kPadding; }

void check_size(int size, const std::string& what) {
  if (size >= 1 && size <= kLargestSize) return;
  throw UsageError("network: " + what + " has size " + std::to_string(size) + ", must be in [1, " +
                   std::to_string(kLargestSize) + "]");
}

void check_unique(const std::vector<TensorLayout>& tensors, const std::vector<HeadLayout>& heads) {
  std::set<std::string> names;
  for (const TensorLayout& tensor : tensors) {
    if (!names.insert(tensor.name).second) throw UsageError("network: two tensors are called '" + tensor.name + "'");
  }
  names.clear();
  for (const HeadLayout& head : heads) {
    if (!names.insert(head.name).second) throw UsageError("network: two heads are called '" + head.name + "'");
  }
}

void fill_tensor(const TensorLayout& tensor, float value, float* parameters) {
  for (int r = 0; r < tensor.rows; ++r) {
    float* const row = parameters + tensor.offset + static_cast<std::size_t>(r) * tensor.row_stride;
    for (int c = 0; c < std::max(tensor.columns, 1); ++c) {
      row[static_cast<std::size_t>(c) * tensor.column_stride] = value;
    }
  }
}

}  // namespace

NetworkSpec::NetworkSpec(int input_size, bool one_hot, std::vector<TowerSpec> towers, std::vector<VectorSpec> vectors,
                         Initialization initialization)
    : input_size_(input_size),
      input_stride_(padded(input_size)),
      one_hot_(one_hot),
      tower_count_(static_cast<int>(towers.size())),
      initialization_(initialization),
      vectors_(std::move(vectors)) {
  check_size(input_size, "the input");
  if (towers.empty()) throw UsageError("network: no tower of layers is given");
  for (int t = 0; t < tower_count_; ++t) add_tower(towers[static_cast<std::size_t>(t)], t);
  features_.column = output_stride_;
  output_stride_ += padded(features_.size);
  for (const VectorSpec& vector : vectors_) add_vector(vector);
  check_unique(tensors_, heads_);
}

void NetworkSpec::add_vector(const VectorSpec& vector) {
  check_size(vector.size, "vector '" + vector.name + "'");
  vector_offsets_.push_back(parameter_count_);
  const int stride = vector.columns > 0 ? padded(vector.columns) : 1;
  tensors_.push_back({vector.name, parameter_count_, vector.size, vector.columns, static_cast<std::size_t>(stride), 1,
                      0.0f, vector.initial});
  parameter_count_ += static_cast<std::size_t>(padded(vector.size * stride));
}

void NetworkSpec::add_tower(const TowerSpec& tower, int index) {
  if (tower.heads.empty()) throw UsageError("network: tower '" + tower.name + "' has no head");
  if (tower.layer_norm && tower.batch_norm) {
    throw UsageError("network: layer_norm and batch_norm exclude each other");
  }
  int in = input_size_;
  for (std::size_t k = 0; k < tower.hidden.size(); ++k) {
    LayerLayout layer;
    layer.name = tower.name + "." + std::to_string(k);
    layer.tower = index;
    layer.in = in;
    layer.out = tower.hidden[k];
    check_size(layer.out, "layer '" + layer.name + "'");
    layer.activation = tower.activation;
    layer.gain = std::sqrt(2.0f);
    layer.layer_norm = tower.layer_norm;
    layer.batch_norm = tower.batch_norm;
    add_layer(layer);
    const LayerLayout& added = layers_.back();
    const auto stride = static_cast<std::size_t>(added.out_stride);
    tensors_.push_back({added.name + ".weight", added.weight, added.out, added.in, 1, stride, added.gain});
    tensors_.push_back({added.name + ".bias", added.bias, added.out, 0, 1, 1, 0.0f});
    if (added.normalized()) {
      tensors_.push_back({added.name + ".norm.weight", added.norm_gain, added.out, 0, 1, 1, 0.0f, 1.0f});
      tensors_.push_back({added.name + ".norm.bias", added.norm_bias, added.out, 0, 1, 1, 0.0f, 0.0f});
    }
    if (added.batch_norm) {
      tensors_.push_back({added.name + ".norm.running_mean", added.norm_mean, added.out, 0, 1, 1, 0.0f, 0.0f});
      tensors_.push_back({added.name + ".norm.running_var", added.norm_variance, added.out, 0, 1, 1, 0.0f, 1.0f});
    }
    in = layer.out;
  }
  if (tower.features) add_features(tower);
  LayerLayout last;
  last.name = tower.name + ".heads";
  last.tower = index;
  last.in = in;
  for (const HeadSpec& head : tower.heads) {
    check_size(head.size, "head '" + head.name + "'");
    const int layer = static_cast<int>(layers_.size());
    heads_.push_back({head.name, layer, output_stride_ + last.out, last.out, head.size, head.gain});
    last.out += head.size;
  }
  check_size(last.out, "layer '" + last.name + "'");
  add_layer(last);
  output_stride_ += layers_.back().out_stride;
  for (std::size_t h = heads_.size() - tower.heads.size(); h < heads_.size(); ++h) {
    const HeadLayout& head = heads_[h];
    const LayerLayout& layer = layers_.back();
    const auto column = static_cast<std::size_t>(head.layer_column);
    const auto stride = static_cast<std::size_t>(layer.out_stride);
    const std::string name = tower.name + "." + head.name;
    tensors_.push_back({name + ".weight", layer.weight + column, head.size, layer.in, 1, stride, head.gain});
    tensors_.push_back({name + ".bias", layer.bias + column, head.size, 0, 1, 1, 0.0f});
  }
}

void NetworkSpec::add_features(const TowerSpec& tower) {
  if (tower.hidden.empty()) throw UsageError("network: tower '" + tower.name + "' has no hidden layer to show");
  if (features_.layer >= 0) throw UsageError("network: two towers show their features");
  features_ = {static_cast<int>(layers_.size()) - 1, 0, tower.hidden.back()};
}

void NetworkSpec::add_layer(LayerLayout layer) {
  layer.out_stride = padded(layer.out);
  layer.weight = parameter_count_;
  layer.bias = layer.weight + static_cast<std::size_t>(layer.in) * static_cast<std::size_t>(layer.out_stride);
  const auto stride = static_cast<std::size_t>(layer.out_stride);
  parameter_count_ = layer.bias + stride;
  if (layer.normalized()) {
    layer.norm_gain = parameter_count_;
    layer.norm_bias = layer.norm_gain + stride;
    parameter_count_ = layer.norm_bias + stride;
  }
  if (layer.batch_norm) {
    layer.norm_mean = parameter_count_;
    layer.norm_variance = layer.norm_mean + stride;
    parameter_count_ = layer.norm_variance + stride;
  }
  layers_.push_back(std::move(layer));
}

std::size_t NetworkSpec::logical_parameter_count() const {
  std::size_t count = 0;
  for (const TensorLayout& tensor : tensors_) {
    count += static_cast<std::size_t>(tensor.rows) * static_cast<std::size_t>(std::max(tensor.columns, 1));
  }
  return count;
}

bool NetworkSpec::has_batch_norm() const {
  return std::any_of(layers_.begin(), layers_.end(), [](const LayerLayout& layer) { return layer.batch_norm; });
}

const HeadLayout& NetworkSpec::head(std::string_view name) const {
  for (const HeadLayout& head : heads_) {
    if (head.name == name) return head;
  }
  throw RuntimeError("network: no head is called '" + std::string(name) + "'");
}

std::size_t NetworkSpec::vector_offset(std::string_view name) const {
  for (std::size_t v = 0; v < vectors_.size(); ++v) {
    if (vectors_[v].name == name) return vector_offsets_[v];
  }
  throw RuntimeError("network: no parameter vector is called '" + std::string(name) + "'");
}

void NetworkSpec::initialize(std::uint64_t seed, float* parameters) const {
  std::fill(parameters, parameters + parameter_count_, 0.0f);
  int fan_in = 1;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const TensorLayout& tensor = tensors_[t];
    if (tensor.initial) {
      fill_tensor(tensor, *tensor.initial, parameters);
      continue;
    }
    const bool weight = tensor.columns > 0;
    if (weight) fan_in = tensor.columns;
    if (initialization_ == Initialization::kKaimingUniform) {
      initialize_uniform(tensor, seed, t, 1.0 / std::sqrt(static_cast<double>(fan_in)), parameters);
    } else if (weight) {
      initialize_orthogonal(tensor, seed, t, static_cast<double>(tensor.gain), parameters);
    }
  }
}

}  // namespace stampede
