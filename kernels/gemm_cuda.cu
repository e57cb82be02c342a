// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_cuda.h"

#include "kernels/element_count.h"
#include "kernels/gemm_blocks.h"
#include "kernels/launch.h"

#ifdef __CUDACC__
namespace stampede {
namespace {

template <class Tile, bool kTransposed, class Epilogue>
void launch_product(const Stream& stream, const BlockProduct& product, const Epilogue& epilogue) {
  const unsigned tiles = tile_count<Tile>(product);
  if (tiles == 0) return;
  launch_blocks(stream, tiles, Tile::kThreads, 0, ProductKernel<Tile, kTransposed, Epilogue>{product, epilogue});
}

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

void cuda_linear_forward(const Stream& stream, const LinearForward& op) {
  const BlockProduct product = forward_product(op);
  const ActivateEpilogue epilogue{op.activation};
  if (product.columns > NarrowTile::kColumns) return launch_product<WideTile, false>(stream, product, epilogue);
  launch_product<NarrowTile, false>(stream, product, epilogue);
}

void cuda_embedding_forward(const Stream& stream, const LinearForward& op, const std::int32_t* classes) {
  for_each_index(stream, element_count(op.rows, op.out_stride), EmbeddingForwardElement{op, classes});
}

void cuda_linear_backward_data(const Stream& stream, const LinearBackwardData& op) {
  const BlockProduct product = backward_data_product(op);
  const DifferentiateEpilogue epilogue{op.activation, op.x, op.x_stride};
  if (product.columns > NarrowTile::kColumns) return launch_product<WideTile, false>(stream, product, epilogue);
  launch_product<NarrowTile, false>(stream, product, epilogue);
}

void cuda_linear_backward_weights(const Stream& stream, const LinearBackwardWeights& op) {
  if (parts_of(op) > 1) {
    if (op.out_stride > NarrowGradientTile::kColumns) return launch_parts<WideGradientTile>(stream, op);
    return launch_parts<NarrowGradientTile>(stream, op);
  }
  const BlockProduct product = backward_weights_product(op);
  if (product.columns > NarrowGradientTile::kColumns) {
    return launch_product<WideGradientTile, true>(stream, product, NoEpilogue{});
  }
  launch_product<NarrowGradientTile, true>(stream, product, NoEpilogue{});
}

void cuda_embedding_backward_weights(const Stream& stream, const LinearBackwardWeights& op,
                                     const std::int32_t* classes) {
  const int parts = parts_of(op);
  launch_blocks(stream, static_cast<unsigned>(parts * (op.in + 1)), EmbeddingGradientKernel::kThreads, 0,
                EmbeddingGradientKernel{op, classes, parts});
  if (parts > 1) add_parts(stream, op, parts);
}

void cuda_transpose_weights(const Stream& stream, const float* w, int in, int out, int out_stride, float* wt,
                            int in_stride) {
  for_each_index(stream, out * in_stride, TransposeElement{w, in, out_stride, wt, in_stride});
}

}  // namespace stampede
#endif
