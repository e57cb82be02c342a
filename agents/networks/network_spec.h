// SPDX-License-Identifier: Apache-2.0
// The immutable shape of a network: its layers, and where each tensor lies in a flat parameter block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stampede {

enum class Activation : std::uint8_t { kLinear, kTanh, kRelu };
enum class Initialization : std::uint8_t { kOrthogonal, kKaimingUniform };

// A linear output of a tower. gain scales its orthogonal initialisation.
struct HeadSpec {
  std::string name;
  int size = 1;
  float gain = 1.0f;
};

// Hidden layers followed by heads. Actor and critic with a shared torso are one tower of two heads; with separate
// torsos, two towers of one head.
struct TowerSpec {
  std::string name;
  std::vector<int> hidden;
  Activation activation = Activation::kTanh;
  std::vector<HeadSpec> heads;
  bool layer_norm = false;  // of every hidden layer, before its activation
  bool batch_norm = false;  // the same by batch; not both
  bool features = false;    // output rows end with what its last hidden layer gives; of one tower at most
};

// What a run chooses of its networks; which towers and heads there are, the algorithm knows.
struct NetworkShape {
  std::vector<int> hidden = {64, 64};
  Activation activation = Activation::kTanh;
  Initialization initialization = Initialization::kOrthogonal;
  bool layer_norm = false;
  bool batch_norm = false;

  TowerSpec tower(std::string name, std::vector<HeadSpec> heads) const {
    return {std::move(name), hidden, activation, std::move(heads), layer_norm, batch_norm};
  }
};

// Free parameters that no layer reads, such as the state-independent log sigma of a Gaussian policy: a vector [size],
// or with columns a matrix [size, columns], whose rows are padded to 16 floats.
struct VectorSpec {
  std::string name;
  int size = 1;
  float initial = 0.0f;
  int columns = 0;
};

// One linear layer: y = activation(x W + b), or with normalisation y = activation(norm(x W + b) * gain + bias).
// Weights are stored [in, out_stride] (the transpose of PyTorch's [out, in]) because the CPU path vectorises over
// outputs; checkpoints store [out, in].
struct LayerLayout {
  std::string name;  // "<tower>.<k>" for hidden layers, "<tower>.heads" for the last
  int tower = 0;
  int in = 0;              // logical inputs
  int out = 0;             // logical outputs
  int out_stride = 0;      // out rounded up to 16; padding columns are zero and stay zero
  std::size_t weight = 0;  // offset in the block: [in, out_stride]
  std::size_t bias = 0;    // offset in the block: [out_stride]
  Activation activation = Activation::kLinear;
  float gain = 1.0f;
  bool layer_norm = false;
  bool batch_norm = false;
  std::size_t norm_gain = 0, norm_bias = 0;  // of either: offsets in the block, [out_stride] each
  // With batch_norm: the running statistics, [out_stride] each. They have no gradient, so no optimiser moves them
  // unless it decays weights.
  std::size_t norm_mean = 0, norm_variance = 0;

  bool normalized() const { return layer_norm || batch_norm; }
};

// A head's place: columns [column, column + size) of an output row.
struct HeadLayout {
  std::string name;
  int layer = 0;
  int column = 0;        // in an output row
  int layer_column = 0;  // in its layer's outputs
  int size = 0;
  float gain = 1.0f;
};

// Where a tower's features stand: columns [column, column + size) of an output row.
struct FeatureLayout {
  int layer = -1;  // the hidden layer whose outputs they are; -1: no tower shows features
  int column = 0;
  int size = 0;
};

// A named tensor as a checkpoint shows it: [rows, columns] (columns = 0 for a vector), element (r, c) at
// offset + r * row_stride + c * column_stride.
struct TensorLayout {
  std::string name;
  std::size_t offset = 0;
  int rows = 0, columns = 0;
  std::size_t row_stride = 1, column_stride = 1;
  float gain = 0.0f;                  // of its orthogonal initialisation; biases and vectors have none
  std::optional<float> initial = {};  // every element's starting value where it is not random
};

class NetworkSpec {
 public:
  // input_size: features per row, or the number of classes when one_hot. Throws UsageError for an empty tower list,
  // sizes outside [1, 65536], repeated names, two normalisations of one tower, features of two towers or of one
  // without hidden layers.
  NetworkSpec(int input_size, bool one_hot, std::vector<TowerSpec> towers, std::vector<VectorSpec> vectors = {},
              Initialization initialization = Initialization::kOrthogonal);

  int input_size() const { return input_size_; }
  // Floats per input row: input_size rounded up to 16. One-hot inputs are int32 class indices instead.
  int input_stride() const { return input_stride_; }
  bool one_hot() const { return one_hot_; }
  // Floats per output row: the towers' last layers side by side, then features, each rounded up to 16.
  int output_stride() const { return output_stride_; }
  std::size_t parameter_count() const { return parameter_count_; }  // with padding; a multiple of 16
  std::size_t logical_parameter_count() const;

  const std::vector<LayerLayout>& layers() const { return layers_; }  // tower by tower, in forward order
  int tower_count() const { return tower_count_; }
  bool has_batch_norm() const;
  const HeadLayout& head(std::string_view name) const;  // throws RuntimeError for an unknown name
  const std::vector<HeadLayout>& heads() const { return heads_; }
  const FeatureLayout& features() const { return features_; }
  std::size_t vector_offset(std::string_view name) const;
  const std::vector<TensorLayout>& tensors() const { return tensors_; }

  // Fills a host block of parameter_count() floats, padding zero, from Philox keyed by seed and tensor: orthogonal
  // (Saxe et al. 2014) with gain sqrt(2) in hidden layers and the heads' own gains, zero biases; or PyTorch's default
  // Kaiming-uniform for weights and biases.
  void initialize(std::uint64_t seed, float* parameters) const;

 private:
  void add_tower(const TowerSpec& tower, int index);
  void add_layer(LayerLayout layer);
  void add_features(const TowerSpec& tower);
  void add_vector(const VectorSpec& vector);

  int input_size_, input_stride_;
  bool one_hot_;
  int output_stride_ = 0;
  int tower_count_ = 0;
  std::size_t parameter_count_ = 0;
  Initialization initialization_;
  std::vector<LayerLayout> layers_;
  std::vector<HeadLayout> heads_;
  FeatureLayout features_;
  std::vector<VectorSpec> vectors_;
  std::vector<std::size_t> vector_offsets_;
  std::vector<TensorLayout> tensors_;
};

}  // namespace stampede
