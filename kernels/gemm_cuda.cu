// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_cuda.h"

#include <algorithm>

#include "kernels/element_count.h"
#include "kernels/launch.h"
#include "kernels/layer_products_blocks.h"

#ifdef __CUDACC__
namespace stampede {
namespace {

template <class Tile, class Epilogue>
void launch_product(const Stream& stream, const BlockProduct& product, const Epilogue& epilogue) {
  const unsigned tiles = tile_count<Tile>(product);
  if (tiles == 0) return;
  launch_blocks(stream, tiles, Tile::kThreads, 0, ProductKernel<Tile, false, Epilogue>{product, epilogue});
}

// So many rows occupy a device alone; kernels for one product have more blocks on a multiprocessor.
constexpr int kFillingRows = 1024;

struct ProductLaunch {
  const Stream& stream;

  template <class Kernel>
  void operator()(unsigned grid, const Kernel& kernel) const {
    launch_blocks(stream, grid, kLayerThreads, 0, kernel);
  }
};

int parts_of(const LinearBackwardWeights& op) { return op.scratch ? gradient_parts(op.rows) : 1; }

void add_parts(const Stream& stream, const LinearBackwardWeights& op, int parts) {
  const int weights = op.in * op.out_stride, size = weights + op.out_stride;
  for_each_index(stream, size, AddParts{op.scratch, parts, size, weights, op.dw, op.db});
}

template <class Tile>
void launch_parts(const Stream& stream, const LinearBackwardWeights& op) {
  const int parts = parts_of(op);
  launch_blocks(stream, static_cast<unsigned>(parts) * tile_count<Tile>(backward_weights_product(op)), Tile::kThreads,
                0, PartialGradientKernel<Tile>{op, parts});
  add_parts(stream, op, parts);
}

}  // namespace

void cuda_linear_forward(const Stream& stream, std::span<const LinearForward> ops) {
  if (ops.size() == 2 && ops[0].rows < kFillingRows && ops[1].rows < kFillingRows) {
    return launch_forward_layers(ops[0], ops[1], ProductLaunch{stream});
  }
  for (const LinearForward& op : ops) {
    const BlockProduct product = forward_product(op);
    const ActivateEpilogue epilogue{op.activation};
    if (product.columns > NarrowTile::kColumns) {
      launch_product<WideTile>(stream, product, epilogue);
    } else {
      launch_product<NarrowTile>(stream, product, epilogue);
    }
  }
}

void cuda_embedding_forward(const Stream& stream, const LinearForward& op, const std::int32_t* classes) {
  for_each_index(stream, element_count(op.rows, op.out_stride), EmbeddingForwardElement{op, classes});
}

void cuda_linear_backward_data(const Stream& stream, const LinearBackwardData& op) {
  const BlockProduct product = backward_data_product(op);
  const DifferentiateEpilogue epilogue{op.activation, op.x, op.x_stride};
  if (product.columns > NarrowTile::kColumns) return launch_product<WideTile>(stream, product, epilogue);
  launch_product<NarrowTile>(stream, product, epilogue);
}

// Long sums in parts, one matrix after the other; all else at once.
void cuda_linear_backward(const Stream& stream, std::span<const LinearBackwardWeights> weights,
                          std::span<const LinearBackwardData> data) {
  const auto in_parts = [](const LinearBackwardWeights& op) { return parts_of(op) > 1; };
  const bool alone = weights.empty() && data.size() == 1;
  if (!alone && std::none_of(weights.begin(), weights.end(), in_parts)) {
    return launch_backward_layer(weights, data, ProductLaunch{stream});
  }
  for (const LinearBackwardWeights& op : weights) {
    if (!in_parts(op)) {
      launch_backward_layer(std::span(&op, 1), {}, ProductLaunch{stream});
    } else if (op.out_stride > NarrowGradientTile::kColumns) {
      launch_parts<WideGradientTile>(stream, op);
    } else {
      launch_parts<NarrowGradientTile>(stream, op);
    }
  }
  for (const LinearBackwardData& op : data) cuda_linear_backward_data(stream, op);
}

void cuda_embedding_backward_weights(const Stream& stream, const LinearBackwardWeights& op,
                                     const std::int32_t* classes) {
  const int parts = parts_of(op);
  launch_blocks(stream, static_cast<unsigned>(parts * (op.in + 1)), EmbeddingGradientKernel::kThreads, 0,
                EmbeddingGradientKernel{op, classes, parts});
  if (parts > 1) add_parts(stream, op, parts);
}

void cuda_transpose_weights(const Stream& stream, std::span<const WeightTranspose> transposes) {
  constexpr std::size_t kMost = TransposeElements::kMost;
  for (; !transposes.empty(); transposes = transposes.subspan(std::min(kMost, transposes.size()))) {
    const TransposeElements elements(transposes.first(std::min(kMost, transposes.size())));
    for_each_index(stream, elements.ends[kMost - 1], elements);
  }
}

}  // namespace stampede
#endif
