// SPDX-License-Identifier: Apache-2.0
#include "train/network_factory.h"

#include <algorithm>
#include <memory>
#include <string>

#include "agents/networks/mlp_network.h"
#include "kernels/cublas_lt.h"
#include "kernels/cublas_products.h"
#include "kernels/error.h"
#include "train/torch_library.h"

namespace stampede {
namespace {

// Block tiles of our own take layers up to this width.
constexpr int kWide = 128;

bool is_wide(const NetworkSpec& spec) {
  const auto& layers = spec.layers();
  return std::any_of(layers.begin(), layers.end(), [](const LayerLayout& l) { return std::max(l.in, l.out) > kWide; });
}

// MLPs on CUDA. The library is loaded for the first network that wants it; all networks of a run share one handle.
class CudaNetworks {
 public:
  CudaNetworks(bool always, bool tf32) : always_(always), tf32_(tf32) {}

  std::unique_ptr<Network> make(const NetworkSpec& spec) {
    if (!always_ && !is_wide(spec)) return std::make_unique<MlpNetwork>(spec);
    if (!tried_) products_ = make_products();
    tried_ = true;
    return std::make_unique<MlpNetwork>(spec, products_);
  }

 private:
  std::shared_ptr<const CublasProducts> make_products() const {
    CublasLt functions{};
    try {
      functions = load_cublas_lt();
    } catch (const RuntimeError&) {
      if (always_ || tf32_) throw;
      return nullptr;  // gemm=auto: what is not there is not missed
    }
    return std::make_shared<CublasProducts>(functions, Device{DeviceKind::kCuda}, tf32_);
  }

  bool always_, tf32_, tried_ = false;
  std::shared_ptr<const CublasProducts> products_;
};

}  // namespace

NetworkFactory network_factory(const Config& config) {
  const std::string gemm = config.text("gemm");
  const bool tf32 = config.flag("tf32");
  const bool torch = config.text("network") == "torch", cuda = parse_device(config.text("device")).is_cuda();
  if (gemm == "cublas" && torch) throw UsageError("gemm: cublas computes network=native only");
  if (gemm == "cublas" && !cuda) throw UsageError("gemm: cublas needs device=cuda");
  if (tf32 && (torch || !cuda || gemm == "native")) {
    throw UsageError("tf32: true needs network=native, device=cuda and gemm=cublas or gemm=auto");
  }
  if (torch) return load_torch_networks(cuda);
  if (!cuda || gemm == "native") return [](const NetworkSpec& spec) { return std::make_unique<MlpNetwork>(spec); };
  const auto networks = std::make_shared<CudaNetworks>(gemm == "cublas", tf32);
  return [networks](const NetworkSpec& spec) { return networks->make(spec); };
}

}  // namespace stampede
