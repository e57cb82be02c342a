// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_cuda.h"

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

}  // namespace

void cuda_linear_forward(const Stream& stream, const LinearForward& op) {
  const BlockProduct product = forward_product(op);
  const ActivateEpilogue epilogue{op.activation};
  if (product.columns > NarrowTile::kColumns) return launch_product<WideTile, false>(stream, product, epilogue);
  launch_product<NarrowTile, false>(stream, product, epilogue);
}

void cuda_embedding_forward(const Stream& stream, const LinearForward& op, const std::int32_t* classes) {
  for_each_index(stream, op.rows * op.out_stride, EmbeddingForwardElement{op, classes});
}

void cuda_linear_backward_data(const Stream& stream, const LinearBackwardData& op) {
  const BlockProduct product = backward_data_product(op);
  const DifferentiateEpilogue epilogue{op.activation, op.x, op.x_stride};
  if (product.columns > NarrowTile::kColumns) return launch_product<WideTile, false>(stream, product, epilogue);
  launch_product<NarrowTile, false>(stream, product, epilogue);
}

void cuda_linear_backward_weights(const Stream& stream, const LinearBackwardWeights& op) {
  const BlockProduct product = backward_weights_product(op);
  if (product.columns > NarrowGradientTile::kColumns) {
    return launch_product<WideGradientTile, true>(stream, product, NoEpilogue{});
  }
  launch_product<NarrowGradientTile, true>(stream, product, NoEpilogue{});
}

void cuda_embedding_backward_weights(const Stream& stream, const LinearBackwardWeights& op,
                                     const std::int32_t* classes) {
  launch_blocks(stream, static_cast<unsigned>(op.in + 1), EmbeddingGradientKernel::kThreads, 0,
                EmbeddingGradientKernel{op, classes});
}

void cuda_transpose_weights(const Stream& stream, const float* w, int in, int out, int out_stride, float* wt,
                            int in_stride) {
  for_each_index(stream, out * in_stride, TransposeElement{w, in, out_stride, wt, in_stride});
}

}  // namespace stampede
#endif
