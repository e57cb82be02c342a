// SPDX-License-Identifier: Apache-2.0
// The block of CUDA threads that computes one tile of a matrix product, in fp32 and with the bits of the CPU tiles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/block.h"
#include "kernels/gemm.h"
#include "kernels/gradient_parts.h"
#include "kernels/math.h"

namespace stampede {

// c[i, j] = start[i, j] + sum_k a(i, k) b[k, j] by one chain of fused multiply-adds per element, k ascending.
struct BlockProduct {
  const float* a;  // a(i, k): a[i, k] of [rows, a_stride], or a[k, i] of [depth, a_stride] where it is read transposed
  int a_stride;
  const float* b;  // [depth, b_stride]
  int b_stride;
  const float* start;  // [rows, start_stride]; stride 0 repeats one row; null = 0
  int start_stride;
  float* c;  // [rows, c_stride]
  int c_stride;
  float* column_sums;  // [columns] += sum_k b[k, j], or null
  int rows, columns, depth;
  bool fresh = false;  // column sums start from zero
};

// How a tile is shared out: every thread owns kThreadRows x kThreadColumns elements of kRows x kColumns.
template <int kRowsOfTile, int kColumnsOfTile, int kRowsOfThread, int kColumnsOfThread>
struct TileShape {
  static constexpr int kRows = kRowsOfTile, kColumns = kColumnsOfTile;
  static constexpr int kThreadRows = kRowsOfThread, kThreadColumns = kColumnsOfThread;
  static constexpr int kThreads = kRows / kThreadRows * (kColumns / kThreadColumns);
  static constexpr int kDepth = 32;
  static constexpr int kPitch = kRows + kThreadRows;  // of the tile of a: its columns fall into different banks
};
using WideTile = TileShape<64, 64, 4, 4>;
using NarrowTile = TileShape<64, 16, 4, 1>;
// Weight gradients have few elements and a long sum, so their tiles are small: more blocks work.
using WideGradientTile = TileShape<32, 32, 2, 2>;
using NarrowGradientTile = TileShape<32, 16, 2, 1>;

HD float activate(float x, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return tanh_of(x);
  return activation == GemmActivation::kRelu && x < 0.0f ? 0.0f : x;
}

// gradient * activation'(.), from the activated value.
HD float differentiate(float value, float gradient, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return gradient * fused(0.0f - value, value, 1.0f);
  return activation == GemmActivation::kRelu && value <= 0.0f ? 0.0f : gradient;
}

struct NoEpilogue {
  HD float operator()(float sum, int, int) const { return sum; }
};

struct ActivateEpilogue {
  GemmActivation activation;
  HD float operator()(float sum, int, int) const { return activate(sum, activation); }
};

struct DifferentiateEpilogue {
  GemmActivation activation;
  const float* x;  // [rows, x_stride]
  int x_stride;
  HD float operator()(float sum, int row, int column) const {
    if (activation == GemmActivation::kLinear) return sum;
    return differentiate(x[static_cast<std::ptrdiff_t>(row) * x_stride + column], sum, activation);
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Neighbours in shared memory that one instruction loads.
template <int kCount>
struct alignas(kCount * sizeof(float)) Pack {
  float value[kCount];
};

// Tile::kThreads threads per block; blocks count the tiles row by row.
template <class Tile, bool kTransposed, class Epilogue>
struct ProductKernel {
  BlockProduct product;
  Epilogue epilogue;

  using RowPack = Pack<Tile::kThreadRows>;
  using ColumnPack = Pack<Tile::kThreadColumns>;

  DEVICE void operator()() const { compute(static_cast<int>(blockIdx.x)); }

  DEVICE void compute(int tile) const {
    SHARED_ARRAY(RowPack, a_tile, Tile::kDepth * Tile::kPitch / Tile::kThreadRows);          // [depth, pitch]
    SHARED_ARRAY(ColumnPack, b_tile, Tile::kDepth * Tile::kColumns / Tile::kThreadColumns);  // [depth, columns]
    const int tiles_across = (product.columns + Tile::kColumns - 1) / Tile::kColumns;
    const int first_row = tile / tiles_across * Tile::kRows;
    const int first_column = tile % tiles_across * Tile::kColumns;
    const int thread = static_cast<int>(threadIdx.x);
    constexpr int kThreadsAcross = Tile::kColumns / Tile::kThreadColumns;
    const int row_pack = thread / kThreadsAcross, column_pack = thread % kThreadsAcross;
    const int row = first_row + row_pack * Tile::kThreadRows;
    const int column = first_column + column_pack * Tile::kThreadColumns;

    float sums[Tile::kThreadRows][Tile::kThreadColumns];
    start(row, column, sums);
    const bool owns_column_sum = product.column_sums != nullptr && first_row == 0 && thread < Tile::kColumns &&
                                 first_column + thread < product.columns;
    float column_sum = owns_column_sum && !product.fresh ? product.column_sums[first_column + thread] : 0.0f;
    for (int first = 0; first < product.depth; first += Tile::kDepth) {
      load_a(first, first_row, reinterpret_cast<float*>(a_tile));
      load_b(first, first_column, reinterpret_cast<float*>(b_tile));
      __syncthreads();
      // No step beyond the depth, not even with zeros: -0 + 0 is not -0.
      const int steps = product.depth - first < Tile::kDepth ? product.depth - first : Tile::kDepth;
      const RowPack* a = a_tile + row_pack;
      const ColumnPack* b = b_tile + column_pack;
      if (steps == Tile::kDepth) {
        accumulate(a, b, Tile::kDepth, sums);
      } else {
        accumulate(a, b, steps, sums);
      }
      if (owns_column_sum) {
        const float* values = reinterpret_cast<const float*>(b_tile) + thread;
        for (int k = 0; k < steps; ++k) column_sum += values[k * Tile::kColumns];
      }
      __syncthreads();
    }
    finish(row, column, sums);
    if (owns_column_sum) product.column_sums[first_column + thread] = column_sum;
  }

  DEVICE void start(int row, int column, float (&sums)[Tile::kThreadRows][Tile::kThreadColumns]) const {
    for (int i = 0; i < Tile::kThreadRows; ++i) {
      for (int j = 0; j < Tile::kThreadColumns; ++j) {
        const bool inside = product.start != nullptr && row + i < product.rows && column + j < product.columns;
        const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(row + i) * product.start_stride + column + j;
        sums[i][j] = inside ? product.start[place] : 0.0f;
      }
    }
  }

  DEVICE void load_a(int first, int first_row, float* tile) const {
    for (int e = static_cast<int>(threadIdx.x); e < Tile::kRows * Tile::kDepth; e += Tile::kThreads) {
      const int i = kTransposed ? e % Tile::kRows : e / Tile::kDepth;
      const int k = kTransposed ? e / Tile::kRows : e % Tile::kDepth;
      const std::ptrdiff_t row = first_row + i, step = first + k;
      const bool inside = row < product.rows && step < product.depth;
      const std::ptrdiff_t place = kTransposed ? step * product.a_stride + row : row * product.a_stride + step;
      tile[k * Tile::kPitch + i] = inside ? product.a[place] : 0.0f;
    }
  }

  DEVICE void load_b(int first, int first_column, float* tile) const {
    for (int e = static_cast<int>(threadIdx.x); e < Tile::kColumns * Tile::kDepth; e += Tile::kThreads) {
      const int column = first_column + e % Tile::kColumns;
      const std::ptrdiff_t step = first + e / Tile::kColumns;
      const bool inside = column < product.columns && step < product.depth;
      tile[e] = inside ? product.b[step * product.b_stride + column] : 0.0f;
    }
  }

  static DEVICE void accumulate(const RowPack* a, const ColumnPack* b, int steps,
                                float (&sums)[Tile::kThreadRows][Tile::kThreadColumns]) {
#ifdef __CUDACC__
#pragma unroll 8
#endif
    for (int k = 0; k < steps; ++k) {
      const RowPack left = a[k * (Tile::kPitch / Tile::kThreadRows)];
      const ColumnPack right = b[k * (Tile::kColumns / Tile::kThreadColumns)];
      for (int i = 0; i < Tile::kThreadRows; ++i) {
        for (int j = 0; j < Tile::kThreadColumns; ++j) sums[i][j] = fused(left.value[i], right.value[j], sums[i][j]);
      }
    }
  }

  DEVICE void finish(int row, int column, const float (&sums)[Tile::kThreadRows][Tile::kThreadColumns]) const {
    for (int i = 0; i < Tile::kThreadRows; ++i) {
      for (int j = 0; j < Tile::kThreadColumns; ++j) {
        if (row + i >= product.rows || column + j >= product.columns) continue;
        const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(row + i) * product.c_stride + column + j;
        product.c[place] = epilogue(sums[i][j], row + i, column + j);
      }
    }
  }
};

// dw[c, o] += sum of dy[r, o] over the rows of class c, and db[o] over all rows, rows ascending. Block c < in owns
// class c, block `in` owns db; kThreads threads each. With several parts, as many blocks for each of them, and sums in
// the scratch.
struct EmbeddingGradientKernel {
  static constexpr int kThreads = 128;

  LinearBackwardWeights op;
  const std::int32_t* classes;  // [rows]
  int parts = 1;

  DEVICE void operator()() const {
    SHARED_ARRAY(std::uint32_t, members, kThreads / 32);  // one bit per row of the current stretch
    const int owner = static_cast<int>(blockIdx.x) % (op.in + 1);
    const RowPart part(op.rows, parts, static_cast<int>(blockIdx.x) / (op.in + 1));
    const int thread = static_cast<int>(threadIdx.x);
    float* gradient = owner < op.in ? op.dw + static_cast<std::ptrdiff_t>(owner) * op.out_stride : op.db;
    if (parts > 1) gradient = op.scratch + static_cast<std::ptrdiff_t>(blockIdx.x) * op.out_stride;
    for (int first_column = 0; first_column < op.out_stride; first_column += kThreads) {
      const int column = first_column + thread;
      float sum = column < op.out_stride && parts == 1 ? gradient[column] : 0.0f;
      for (int first = part.begin; first < part.end; first += kThreads) {
        const int row = first + thread;
        const bool member = row < part.end && (owner == op.in || classes[row] == owner);
        const std::uint32_t bits = __ballot_sync(0xffffffffu, member);
        if (thread % 32 == 0) members[thread / 32] = bits;
        __syncthreads();
        for (int group = 0; group < kThreads / 32; ++group)
          sum = add_members(members[group], first + 32 * group, column, sum);
        __syncthreads();
      }
      if (column < op.out_stride) gradient[column] = sum;
    }
  }

  DEVICE float add_members(std::uint32_t bits, int first, int column, float sum) const {
    if (column >= op.out_stride) return sum;
    for (; bits != 0; bits &= bits - 1) {
      const std::ptrdiff_t row = first + __ffs(bits) - 1;
      sum += op.dy[row * op.dy_stride + column];
    }
    return sum;
  }
};
#endif

// y[r, o] for one index of [rows, out_stride].
struct EmbeddingForwardElement {
  LinearForward op;
  const std::int32_t* classes;  // [rows]

  HD void operator()(int i) const {
    const int row = i / op.out_stride, column = i % op.out_stride;
    const float sum = op.b[column] + op.w[static_cast<std::ptrdiff_t>(classes[row]) * op.out_stride + column];
    op.y[static_cast<std::ptrdiff_t>(row) * op.y_stride + column] = activate(sum, op.activation);
  }
};

// wt[o, k] for one index of [out, in_stride].
struct TransposeElement {
  const float* w;  // [in, out_stride]
  int in, out_stride;
  float* wt;  // [out, in_stride]
  int in_stride;

  HD void operator()(int i) const {
    const int o = i / in_stride, k = i % in_stride;
    wt[i] = k < in ? w[static_cast<std::ptrdiff_t>(k) * out_stride + o] : 0.0f;
  }
};

// The products of gemm.h as block products.
inline BlockProduct forward_product(const LinearForward& op) {
  return {op.x, op.x_stride, op.w, op.out_stride, op.b, 0, op.y, op.y_stride, nullptr, op.rows, op.out_stride, op.in};
}

inline BlockProduct backward_data_product(const LinearBackwardData& op) {
  const float* start = op.accumulate ? op.dx : nullptr;
  return {op.dy, op.dy_stride, op.wt,   op.in_stride, start,        op.dx_stride,
          op.dx, op.dx_stride, nullptr, op.rows,      op.in_stride, op.out};
}

HD BlockProduct backward_weights_product(const LinearBackwardWeights& op) {
  return {op.x,  op.x_stride,   op.dy, op.dy_stride, op.dw,         op.out_stride,
          op.dw, op.out_stride, op.db, op.in,        op.out_stride, op.rows};
}

// Column sums need a tile even where there are no rows.
template <class Tile>
HD unsigned tile_count(const BlockProduct& product) {
  const int least = product.column_sums != nullptr ? 1 : 0, whole = (product.rows + Tile::kRows - 1) / Tile::kRows;
  const int down = whole < least ? least : whole;
  const int across = (product.columns + Tile::kColumns - 1) / Tile::kColumns;
  return static_cast<unsigned>(down) * static_cast<unsigned>(across);
}

#ifdef STAMPEDE_BLOCK_KERNELS
// Weight gradients of a batch in parts, each with all tiles: block b computes tile b % tiles of part b / tiles into the
// scratch.
template <class Tile>
struct PartialGradientKernel {
  LinearBackwardWeights op;
  int parts;

  DEVICE void operator()() const {
    const auto tiles = static_cast<int>(tile_count<Tile>(backward_weights_product(op)));
    const int p = static_cast<int>(blockIdx.x) / tiles;
    const RowPart part(op.rows, parts, p);
    LinearBackwardWeights own = op;
    own.x += static_cast<std::ptrdiff_t>(part.begin) * op.x_stride;
    own.dy += static_cast<std::ptrdiff_t>(part.begin) * op.dy_stride;
    own.dw = op.scratch + static_cast<std::ptrdiff_t>(p) * (op.in + 1) * op.out_stride;
    own.db = own.dw + static_cast<std::ptrdiff_t>(op.in) * op.out_stride;
    own.rows = part.end - part.begin;
    BlockProduct product = backward_weights_product(own);
    product.start = nullptr;
    product.fresh = true;
    ProductKernel<Tile, true, NoEpilogue>{product, {}}.compute(static_cast<int>(blockIdx.x) % tiles);
  }
};
#endif

}  // namespace stampede
