// SPDX-License-Identifier: Apache-2.0
// The products of kernels/layer_products.h as one CUDA kernel each.
#pragma once

#include <algorithm>

#include "kernels/gemm_blocks.h"
#include "kernels/layer_products.h"

namespace stampede {

// Many transposed matrices: index i counts the elements of one after the other.
struct TransposeElements {
  static constexpr int kMost = 8;

  TransposeElement matrix[kMost];
  int ends[kMost];  // of each matrix's elements; those of matrices that are not there: the last one's

  explicit TransposeElements(std::span<const WeightTranspose> transposes) : matrix{}, ends{} {
    int end = 0;
    for (std::size_t t = 0; t < kMost; ++t) {
      if (t < transposes.size()) {
        const WeightTranspose& own = transposes[t];
        matrix[t] = {own.w, own.in, own.out_stride, own.wt, own.in_stride};
        end += own.out * own.in_stride;
      }
      ends[t] = end;
    }
  }

  HD void operator()(int i) const {
    TransposeElement own = matrix[0];
    int begin = 0;
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int t = 1; t < kMost; ++t) {
      if (i < ends[t - 1]) continue;
      own = matrix[t];
      begin = ends[t - 1];
    }
    own(i - begin);
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
inline constexpr int kLayerThreads = WideTile::kThreads;
static_assert(NarrowTile::kThreads == kLayerThreads && WideGradientTile::kThreads == kLayerThreads &&
              NarrowGradientTile::kThreads == kLayerThreads);

// Two layers forward; the first one's tiles come first.
template <class Tile>
struct ForwardLayersKernel {
  LinearForward first, second;

  DEVICE void operator()() const {
    const unsigned tiles = tile_count<Tile>(product_of(first));
    const bool is_first = blockIdx.x < tiles;
    const LinearForward own = is_first ? first : second;
    ProductKernel<Tile, false, ActivateEpilogue>{product_of(own), {own.activation}}.compute(
        static_cast<int>(is_first ? blockIdx.x : blockIdx.x - tiles));
  }

  static HD BlockProduct product_of(const LinearForward& op) {
    return {op.x, op.x_stride, op.w, op.out_stride, op.b, 0, op.y, op.y_stride, nullptr, op.rows, op.out_stride, op.in};
  }
};

// A layer's gradients: of up to two weight matrices, then of the inputs of up to two layers.
struct BackwardLayerKernel {
  LinearBackwardWeights weights[kMostLayerProducts];
  LinearBackwardData data[kMostLayerProducts];
  unsigned first_weights, all_weights, first_data;  // tiles
  bool wide_weights, wide_data;

  DEVICE void operator()() const {
    if (blockIdx.x < all_weights) {
      const bool is_first = blockIdx.x < first_weights;
      const BlockProduct product = backward_weights_product(is_first ? weights[0] : weights[1]);
      const int tile = static_cast<int>(is_first ? blockIdx.x : blockIdx.x - first_weights);
      if (wide_weights) return ProductKernel<WideGradientTile, true, NoEpilogue>{product, {}}.compute(tile);
      return ProductKernel<NarrowGradientTile, true, NoEpilogue>{product, {}}.compute(tile);
    }
    const unsigned place = blockIdx.x - all_weights;
    const bool is_first = place < first_data;
    const LinearBackwardData own = is_first ? data[0] : data[1];
    const BlockProduct product = product_of(own);
    const DifferentiateEpilogue epilogue{own.activation, own.x, own.x_stride};
    const int tile = static_cast<int>(is_first ? place : place - first_data);
    if (wide_data) return ProductKernel<WideTile, false, DifferentiateEpilogue>{product, epilogue}.compute(tile);
    ProductKernel<NarrowTile, false, DifferentiateEpilogue>{product, epilogue}.compute(tile);
  }

  static HD BlockProduct product_of(const LinearBackwardData& op) {
    return {op.dy,        op.dy_stride, op.wt,        op.in_stride, op.accumulate ? op.dx : nullptr,
            op.dx_stride, op.dx,        op.dx_stride, nullptr,      op.rows,
            op.in_stride, op.out};
  }
};

// The launches: launch(grid, kernel) runs blocks of kLayerThreads threads.
template <class Launch>
void launch_forward_layers(const LinearForward& first, const LinearForward& second, const Launch& launch) {
  const auto run = [&]<class Tile>(Tile) {
    const unsigned tiles = tile_count<Tile>(forward_product(first)) + tile_count<Tile>(forward_product(second));
    if (tiles > 0) launch(tiles, ForwardLayersKernel<Tile>{first, second});
  };
  if (first.out_stride > NarrowTile::kColumns) return run(WideTile{});
  run(NarrowTile{});
}

template <class Launch>
void launch_backward_layer(std::span<const LinearBackwardWeights> weights, std::span<const LinearBackwardData> data,
                           const Launch& launch) {
  BackwardLayerKernel kernel{};
  std::copy(weights.begin(), weights.end(), kernel.weights);
  std::copy(data.begin(), data.end(), kernel.data);
  kernel.wide_weights = !weights.empty() && weights[0].out_stride > NarrowGradientTile::kColumns;
  kernel.wide_data = !data.empty() && data[0].in_stride > NarrowTile::kColumns;
  const auto weight_tiles = [&](std::size_t k) {
    if (k >= weights.size()) return 0u;
    const BlockProduct product = backward_weights_product(weights[k]);
    return kernel.wide_weights ? tile_count<WideGradientTile>(product) : tile_count<NarrowGradientTile>(product);
  };
  const auto data_tiles = [&](std::size_t k) {
    if (k >= data.size()) return 0u;
    const BlockProduct product = backward_data_product(data[k]);
    return kernel.wide_data ? tile_count<WideTile>(product) : tile_count<NarrowTile>(product);
  };
  kernel.first_weights = weight_tiles(0);
  kernel.all_weights = kernel.first_weights + weight_tiles(1);
  kernel.first_data = data_tiles(0);
  const unsigned grid = kernel.all_weights + kernel.first_data + data_tiles(1);
  if (grid > 0) launch(grid, kernel);
}
#endif

}  // namespace stampede
