// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/torch_network.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/AutogradState.h>
#include <c10/core/InferenceMode.h>
#ifdef STAMPEDE_TORCH_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif
#include <omp.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/error.h"
#include "kernels/layer_norm.h"

namespace stampede {
namespace {

// A block of ours on the device where LibTorch finds it.
struct Block {
  const float* data;
  at::Device device;

  // A matrix or vector in it as a tensor. LibTorch has no views of const memory; inputs and parameters are only read.
  at::Tensor view(std::size_t offset, at::IntArrayRef sizes, at::IntArrayRef strides) const {
    return at::for_blob(const_cast<float*>(data) + offset, sizes)
        .strides(strides)
        .options(at::TensorOptions(at::kFloat).device(device))
        .target_device(device)
        .make_tensor();
  }

  void clear(int rows, int stride) const { view(0, {static_cast<std::int64_t>(rows) * stride}, {1}).zero_(); }
};

// Our weights are [in, out_stride], LibTorch's [out, in]: the same memory, seen transposed.
at::Tensor weight_view(const LayerLayout& layer, const Block& block) {
  return block.view(layer.weight, {layer.out, layer.in}, {1, layer.out_stride});
}

// A bias, or a normalisation's gain or bias.
at::Tensor vector_view(const LayerLayout& layer, const Block& block, std::size_t offset) {
  return block.view(offset, {layer.out}, {1});
}

// The logical columns of a tower in an output block.
at::Tensor output_view(const NetworkSpec& spec, const LayerLayout& layer, const Block& outputs, int rows, int column) {
  return outputs.view(static_cast<std::size_t>(column), {rows, layer.out}, {spec.output_stride(), 1});
}

at::Tensor feature_view(const NetworkSpec& spec, const Block& outputs, int rows) {
  const FeatureLayout& features = spec.features();
  return outputs.view(static_cast<std::size_t>(features.column), {rows, features.size}, {spec.output_stride(), 1});
}

at::Tensor activated(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kTanh:
      return at::tanh(x);
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kLinear:
      break;
  }
  return x;
}

at::Tensor affine(const at::Tensor& x, const LayerLayout& layer, const Block& block) {
  const at::Tensor weight = weight_view(layer, block), bias = vector_view(layer, block, layer.bias);
  return x.scalar_type() == at::kInt ? at::embedding(weight.t(), x) + bias : at::linear(x, weight, bias);
}

// gain * n + bias of x, and how it moves with x, gain and bias.
std::pair<at::Tensor, at::Tensor> normalized_with_tangent(const at::Tensor& x, const at::Tensor& dx,
                                                          const LayerLayout& layer, const Block& parameters,
                                                          const Block& direction) {
  const at::Tensor gain = vector_view(layer, parameters, layer.norm_gain);
  const auto [n, mean, inverse] = at::native_layer_norm(x, {layer.out}, {}, {}, static_cast<double>(kLayerNormEpsilon));
  const at::Tensor dn = (dx - dx.mean(1, true) - n * (n * dx).mean(1, true)) * inverse;
  const at::Tensor moved = vector_view(layer, direction, layer.norm_gain) * n;
  return {gain * n + vector_view(layer, parameters, layer.norm_bias),
          gain * dn + moved + vector_view(layer, direction, layer.norm_bias)};
}

// x * activation'(.), from the activated value y.
at::Tensor times_derivative(const at::Tensor& x, const at::Tensor& y, Activation activation) {
  if (activation == Activation::kTanh) return x * (1 - y.square());
  return activation == Activation::kRelu ? at::where(y > 0, x, 0) : x;
}

// One tower: linear layers in forward order, the heads being one of them, each with its normalisation if it has one.
class TowerModule : public torch::nn::Module {
 public:
  explicit TowerModule(std::vector<LayerLayout> layers)
      : layouts_(std::move(layers)), means_(layouts_.size()), variances_(layouts_.size()) {
    for (const LayerLayout& layout : layouts_) {
      // The smallest there is: bind() replaces its tensors.
      const std::string name = std::to_string(linears_.size());
      linears_.push_back(register_module(name, torch::nn::Linear(1, 1)));
      linears_.back()->options.in_features(layout.in).out_features(layout.out);
      norms_.push_back(nullptr);
      batch_norms_.push_back(nullptr);
      if (layout.batch_norm) batch_norms_.back() = register_module(name + "_norm", torch::nn::BatchNorm1d(1));
      if (!layout.layer_norm) continue;
      const auto options = torch::nn::LayerNormOptions({layout.out}).eps(static_cast<double>(kLayerNormEpsilon));
      norms_.back() = register_module(name + "_norm", torch::nn::LayerNorm(options));
    }
  }

  const LayerLayout& heads() const { return layouts_.back(); }

  void bind(const Block& parameters) {
    for (std::size_t l = 0; l < linears_.size(); ++l) {
      linears_[l]->weight.set_data(weight_view(layouts_[l], parameters));
      linears_[l]->bias.set_data(vector_view(layouts_[l], parameters, layouts_[l].bias));
      if (norms_[l]) bind_norm(*norms_[l], layouts_[l], parameters);
      if (!batch_norms_[l]) continue;
      bind_norm(*batch_norms_[l], layouts_[l], parameters);
      batch_norms_[l]->running_mean = vector_view(layouts_[l], parameters, layouts_[l].norm_mean);
      batch_norms_[l]->running_var = vector_view(layouts_[l], parameters, layouts_[l].norm_variance);
    }
  }

  // In the order of parameters().
  void append_gradient_views(const Block& gradients, std::vector<at::Tensor>& views) const {
    for (const LayerLayout& layout : layouts_) {
      views.push_back(weight_view(layout, gradients));
      views.push_back(vector_view(layout, gradients, layout.bias));
      if (!layout.normalized()) continue;
      views.push_back(vector_view(layout, gradients, layout.norm_gain));
      views.push_back(vector_view(layout, gradients, layout.norm_bias));
    }
  }

  // x: float rows [rows, in], or int32 classes [rows]. keep: batch normalisation by the batch's own statistics, which
  // are remembered. features: unless null gets what the last hidden layer gives.
  at::Tensor forward(at::Tensor x, bool keep, at::Tensor* features) {
    for (std::size_t l = 0; l < linears_.size(); ++l) {
      const bool classes = x.scalar_type() == at::kInt;
      x = classes ? at::embedding(linears_[l]->weight.t(), x) + linears_[l]->bias : linears_[l]->forward(x);
      if (norms_[l]) x = norms_[l]->forward(x);
      if (batch_norms_[l]) x = normalize_batch(x, l, keep);
      x = activated(x, layouts_[l].activation);
      if (features != nullptr && l + 2 == linears_.size()) *features = x;
    }
    return x;
  }

  void update_statistics(int rows, const Block& parameters) const {
    for (std::size_t l = 0; l < layouts_.size(); ++l) {
      if (!batch_norms_[l]) continue;
      const LayerLayout& layout = layouts_[l];
      const at::Tensor unbiased = rows > 1 ? variances_[l] * (rows / (rows - 1.0)) : variances_[l];
      vector_view(layout, parameters, layout.norm_mean).lerp_(means_[l], kBatchNormMomentum);
      vector_view(layout, parameters, layout.norm_variance).lerp_(unbiased, kBatchNormMomentum);
    }
  }

 private:
  template <class Norm>
  static void bind_norm(Norm& norm, const LayerLayout& layout, const Block& parameters) {
    norm.weight.set_data(vector_view(layout, parameters, layout.norm_gain));
    norm.bias.set_data(vector_view(layout, parameters, layout.norm_bias));
  }

  at::Tensor normalize_batch(const at::Tensor& x, std::size_t layer, bool keep) {
    const torch::nn::BatchNorm1d& norm = batch_norms_[layer];
    constexpr double kMomentum = 0.0, kEpsilon = static_cast<double>(kBatchNormEpsilon);
    if (!keep) {
      return at::batch_norm(x, norm->weight, norm->bias, norm->running_mean, norm->running_var, false, kMomentum,
                            kEpsilon, false);
    }
    means_[layer] = x.detach().mean(0);
    variances_[layer] = x.detach().var(0, false);
    // Without running statistics: parameters are only read here.
    return at::batch_norm(x, norm->weight, norm->bias, {}, {}, true, kMomentum, kEpsilon, false);
  }

  std::vector<LayerLayout> layouts_;
  std::vector<torch::nn::Linear> linears_;
  std::vector<torch::nn::LayerNorm> norms_;  // empty holders where a layer has none
  std::vector<torch::nn::BatchNorm1d> batch_norms_;
  std::vector<at::Tensor> means_, variances_;  // of the latest batch
};

// The towers of a spec, looking at the blocks they were last bound to.
class BoundTowers {
 public:
  explicit BoundTowers(const NetworkSpec& spec) {
    const std::vector<LayerLayout>& layers = spec.layers();
    for (int t = 0; t < spec.tower_count(); ++t) {
      std::vector<LayerLayout> tower;
      std::copy_if(layers.begin(), layers.end(), std::back_inserter(tower),
                   [t](const auto& l) { return l.tower == t; });
      towers_.push_back(std::make_shared<TowerModule>(std::move(tower)));
    }
    const int shown = spec.features().layer;
    if (shown >= 0) feature_tower_ = layers[static_cast<std::size_t>(shown)].tower;
  }

  void bind(const Block& parameters) {
    if (parameters.data == parameters_) return;
    for (const auto& tower : towers_) tower->bind(parameters);
    parameters_ = parameters.data;
  }

  // Of every tower, then features where one shows them.
  std::vector<at::Tensor> forward(const at::Tensor& x, bool keep) const {
    std::vector<at::Tensor> outputs;
    at::Tensor features;
    for (std::size_t t = 0; t < towers_.size(); ++t) {
      outputs.push_back(towers_[t]->forward(x, keep, static_cast<int>(t) == feature_tower_ ? &features : nullptr));
    }
    if (features.defined()) outputs.push_back(features);
    return outputs;
  }

  void update_statistics(int rows, const Block& parameters) const {
    for (const auto& tower : towers_) tower->update_statistics(rows, parameters);
  }

  // What forward() gives as logical columns of a block [rows, output_stride].
  std::vector<at::Tensor> output_views(const NetworkSpec& spec, const Block& block, int rows) const {
    std::vector<at::Tensor> views;
    int column = 0;
    for (const auto& tower : towers_) {
      views.push_back(output_view(spec, tower->heads(), block, rows, column));
      column += tower->heads().out_stride;
    }
    if (feature_tower_ >= 0) views.push_back(feature_view(spec, block, rows));
    return views;
  }

  std::vector<at::Tensor> gradient_views(const Block& gradients) const {
    std::vector<at::Tensor> views;
    for (const auto& tower : towers_) tower->append_gradient_views(gradients, views);
    return views;
  }

  // Weight and bias of each layer and of its normalisation, tower by tower.
  std::vector<at::Tensor> parameters() const {
    std::vector<at::Tensor> all;
    for (const auto& tower : towers_) {
      for (const at::Tensor& parameter : tower->parameters()) all.push_back(parameter);
    }
    return all;
  }

 private:
  std::vector<std::shared_ptr<TowerModule>> towers_;
  const float* parameters_ = nullptr;
  int feature_tower_ = -1;
};

at::Tensor input_tensor(const NetworkSpec& spec, NetworkInput input, int rows, at::Device device) {
  if (!spec.one_hot())
    return Block{input.features, device}.view(0, {rows, spec.input_size()}, {spec.input_stride(), 1});
  return at::for_blob(const_cast<std::int32_t*>(input.classes), {rows})
      .options(at::TensorOptions(at::kInt).device(device))
      .target_device(device)
      .make_tensor();
}

// While it exists, LibTorch computes where a stream does: on its threads, or enqueuing on its CUDA stream from this
// thread alone.
class OnStream {
 public:
  explicit OnStream(const Stream& stream) {
    if (!stream.is_cuda()) {
      use_threads_of(stream);
      return;
    }
#ifdef STAMPEDE_TORCH_CUDA
    const auto index = static_cast<c10::DeviceIndex>(stream.device().index);
    at::globalContext().lazyInitDevice(at::kCUDA);
    guard_.emplace(c10::cuda::getStreamFromExternal(static_cast<cudaStream_t>(stream.handle()), index));
    device_ = at::Device(at::kCUDA, index);
    c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
#else
    throw RuntimeError("network=torch: this LibTorch computes on the CPU only; use device=cpu or network=native");
#endif
  }
  ~OnStream() { c10::AutogradState::get_tls_state().set_multithreading_enabled(multithreading_); }
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;

  at::Device device() const { return device_; }
  Block block(const float* data) const { return {data, device_}; }

 private:
  // LibTorch's thread count belongs to the calling thread's OpenMP state; inside a parallel region it uses one anyway.
  static void use_threads_of(const Stream& stream) {
    if (omp_in_parallel() || at::get_num_threads() == stream.threads()) return;
    at::set_num_threads(stream.threads());
  }

  at::Device device_ = at::kCPU;
  bool multithreading_ = c10::AutogradState::get_tls_state().get_multithreading_enabled();
#ifdef STAMPEDE_TORCH_CUDA
  std::optional<c10::cuda::CUDAStreamGuard> guard_;
#endif
};

// Calls work(on) and turns what LibTorch throws, a message with a stack trace, into one readable line.
template <class Work>
void compute_on(const Stream& stream, const Work& work) {
  try {
    const OnStream on(stream);
    work(on);
  } catch (const c10::Error& error) {
    throw RuntimeError(std::string("LibTorch: ") + error.what_without_backtrace());
  }
}

}  // namespace

struct TorchNetwork::Workspace {
  explicit Workspace(const NetworkSpec& spec) : inference(spec), training(spec) {}

  // Apart, so that evaluating other parameters (a target network) touches no kept graph and rebinds nothing.
  BoundTowers inference, training;
  at::Tensor input;
  std::vector<at::Tensor> outputs;  // with their graph, from forward(keep = true) to backward()
};

TorchNetwork::TorchNetwork(NetworkSpec spec) : Network(std::move(spec)) {}

TorchNetwork::~TorchNetwork() = default;

int TorchNetwork::preferred_rows(const Stream&) const { return 0; }

// Nothing is stored in it, but its address must be its own.
std::size_t TorchNetwork::workspace_size(int, bool) const { return 16; }

TorchNetwork::Workspace& TorchNetwork::workspace_of(const float* address) const {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Workspace>& workspace = workspaces_[address];
  if (!workspace) workspace = std::make_unique<Workspace>(spec());
  return *workspace;
}

void TorchNetwork::forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep,
                           float* workspace, float* outputs) const {
  compute_on(stream, [&](const OnStream& on) {
    Workspace& own = workspace_of(workspace);
    BoundTowers& towers = keep ? own.training : own.inference;
    const at::AutoGradMode gradient_mode(keep);
    towers.bind(on.block(parameters));
    const c10::InferenceMode inference_mode(!keep);
    at::Tensor x = input_tensor(spec(), input, rows, on.device());
    if (keep && !spec().one_hot()) x.set_requires_grad(true);
    const std::vector<at::Tensor> results = towers.forward(x, keep);
    const std::vector<at::Tensor> views = towers.output_views(spec(), on.block(outputs), rows);
    on.block(outputs).clear(rows, spec().output_stride());
    for (std::size_t t = 0; t < results.size(); ++t) at::Tensor(views[t]).copy_(results[t].detach());
    if (!keep) return;
    own.input = x;
    own.outputs = results;
  });
}

void TorchNetwork::update_statistics(const Stream& stream, const float* workspace, int rows, float* parameters) const {
  if (!spec().has_batch_norm()) return;
  compute_on(stream, [&](const OnStream& on) {
    const at::NoGradGuard no_gradient;
    workspace_of(workspace).training.update_statistics(rows, on.block(parameters));
  });
}

void TorchNetwork::prepare_backward(const Stream&, const float*, float*) const {}

void TorchNetwork::backward(const Stream& stream, const float*, const float*, NetworkInput, int rows,
                            const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const {
  compute_on(stream, [&](const OnStream& on) {
    Workspace& own = workspace_of(workspace);
    if (own.outputs.empty()) throw RuntimeError("network=torch: backward without a forward that kept its graph");
    std::vector<at::Tensor> leaves, views;
    if (gradients != nullptr) {
      leaves = own.training.parameters();
      views = own.training.gradient_views(on.block(gradients));
    }
    const bool with_inputs = d_inputs != nullptr && !spec().one_hot();
    if (with_inputs) leaves.push_back(own.input);  // what is not listed costs nothing
    if (leaves.empty()) return;
    const auto d_views = own.training.output_views(spec(), on.block(d_outputs), rows);
    const auto results = torch::autograd::grad(own.outputs, leaves, d_views, true, false);
    const at::NoGradGuard no_gradient;
    for (std::size_t p = 0; p < views.size(); ++p) views[p].add_(results[p]);
    if (!with_inputs) return;
    on.block(d_inputs).clear(rows, spec().input_stride());
    input_tensor(spec(), {d_inputs, nullptr}, rows, on.device()).copy_(results.back());
  });
}

void TorchNetwork::forward_tangent(const Stream& stream, const float* parameters, const float* direction,
                                   NetworkInput input, int rows, float*, float* tangents) const {
  if (spec().has_batch_norm()) {
    throw RuntimeError("batch normalisation has no forward-mode derivative here; use layer_norm");
  }
  compute_on(stream, [&](const OnStream& on) {
    const c10::InferenceMode inference_mode;
    const std::vector<LayerLayout>& layers = spec().layers();
    const Block from = on.block(parameters), along = on.block(direction);
    on.block(tangents).clear(rows, spec().output_stride());
    at::Tensor x, dx;
    int column = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const LayerLayout& layer = layers[l];
      if (l == 0 || layers[l - 1].tower != layer.tower) {
        x = input_tensor(spec(), input, rows, on.device());
        dx.reset();
      }
      const at::Tensor from_parameters = affine(x, layer, along);
      dx = dx.defined() ? from_parameters + at::linear(dx, weight_view(layer, from)) : from_parameters;
      x = affine(x, layer, from);
      if (layer.layer_norm) std::tie(x, dx) = normalized_with_tangent(x, dx, layer, from, along);
      x = activated(x, layer.activation);
      dx = times_derivative(dx, x, layer.activation);
      if (static_cast<int>(l) == spec().features().layer) feature_view(spec(), on.block(tangents), rows).copy_(dx);
      if (l + 1 < layers.size() && layers[l + 1].tower == layer.tower) continue;
      output_view(spec(), layer, on.block(tangents), rows, column).copy_(dx);
      column += layer.out_stride;
    }
  });
}

}  // namespace stampede

extern "C" stampede::Network* stampede_make_torch_network(const stampede::NetworkSpec& spec) {
  return new stampede::TorchNetwork(spec);
}
