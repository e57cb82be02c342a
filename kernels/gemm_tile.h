// SPDX-License-Identifier: Apache-2.0
// The register tile all CPU matrix products share: c[i, j] = start[i, j] + sum_k a(i, k) b[k, j], k ascending.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "kernels/activation_cpu.h"
#include "kernels/simd.h"

namespace stampede {

// One product in floats: a(i, k) lies at a[i * a_row + k * a_step], so a may be read transposed.
struct Product {
  const float* a;
  std::ptrdiff_t a_row, a_step;
  const float* b;  // [depth, b_stride]
  std::ptrdiff_t b_stride;
  const float* start;  // [rows, start_stride]; stride 0 repeats one row
  std::ptrdiff_t start_stride;
  float* c;  // [rows, c_stride]
  std::ptrdiff_t c_stride;
  int depth;
  const float* values = nullptr;  // [rows, values_stride], DifferentiateSum only
  std::ptrdiff_t values_stride = 0;
};

// What becomes of a sum before it is stored: c = activation(sum), or c = sum * activation'(.) from the activated value
// at the same place of `values`.
template <GemmActivation kActivation>
struct ActivateSum {
  static Vector of(Vector sum, const float* /*values*/, std::ptrdiff_t /*at*/) { return activate<kActivation>(sum); }
};
template <GemmActivation kActivation>
struct DifferentiateSum {
  static Vector of(Vector sum, const float* values, std::ptrdiff_t at) {
    return differentiate<kActivation>(Vector::load(values + at), sum);
  }
};
using KeepSum = ActivateSum<GemmActivation::kLinear>;

// Tells gcc to load x once and keep it: it would read memory again in every use, and loads, not sums, would set the
// pace.
inline void keep_in_register([[maybe_unused]] Vector& x) {
#if defined(__AVX2__) && defined(__FMA__)
  asm("" : "+v"(x.lanes));
#endif
}

using TileFunction = void (*)(const Product&);

// Rows x Columns vectors of accumulators stay in registers: every step loads Columns vectors of b and broadcasts Rows
// values of a.
template <class Finish, int Rows, int Columns>
void multiply_tile(const Product& product) {
  constexpr int kLanes = Vector::kLanes;
  const float* start = product.start;
  const std::ptrdiff_t start_stride = product.start_stride;
  Vector sum[Rows][Columns];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < Columns; ++j) sum[i][j] = Vector::load(start + i * start_stride + j * kLanes);
  }
  const float* a = product.a;
  const float* b = product.b;
  const std::ptrdiff_t a_row = product.a_row, a_step = product.a_step, b_stride = product.b_stride;
  for (int k = 0; k < product.depth; ++k, a += a_step, b += b_stride) {
    Vector right[Columns];
#pragma GCC unroll 16
    for (int j = 0; j < Columns; ++j) {
      right[j] = Vector::load(b + j * kLanes);
      keep_in_register(right[j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Vector left(a[i * a_row]);
#pragma GCC unroll 16
      for (int j = 0; j < Columns; ++j) sum[i][j] = fused(left, right[j], sum[i][j]);
    }
  }
  float* c = product.c;
  const std::ptrdiff_t c_stride = product.c_stride;
  const float* const values = product.values;
  const std::ptrdiff_t values_stride = product.values_stride;
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < Columns; ++j) {
      Finish::of(sum[i][j], values, i * values_stride + j * kLanes).store(c + i * c_stride + j * kLanes);
    }
  }
}

// What fits the register file: 32 registers of AVX-512, 16 of AVX2.
inline constexpr int kWidestPanel = Vector::kLanes == 16 ? 64 : kRowPadding;  // floats
constexpr int tile_rows(int panel) {
  if (Vector::kLanes < 16) return Vector::kLanes == 8 ? 6 : 1;
  return panel == 64 ? 6 : panel == 48 ? 8 : 12;
}

// Tiles of 1 .. tile_rows(Panel) rows; entry 0 is unused.
template <class Finish, int Panel>
constexpr auto tile_functions() {
  constexpr int kColumns = Panel / Vector::kLanes;
  return []<int... Row>(std::integer_sequence<int, Row...>) {
    return std::array<TileFunction, sizeof...(Row) + 1>{nullptr, &multiply_tile<Finish, Row + 1, kColumns>...};
  }
  (std::make_integer_sequence<int, tile_rows(Panel)>{});
}

// Every row of one panel of columns, in tiles of nearly equal height.
template <class Finish, int Panel>
void multiply_panel(Product product, int rows) {
  if (rows <= 0) return;
  static constexpr auto kTiles = tile_functions<Finish, Panel>();
  constexpr int kHighest = tile_rows(Panel);
  const int tiles = (rows + kHighest - 1) / kHighest, lower = rows / tiles, higher_tiles = rows % tiles;
  for (int tile = 0; tile < tiles; ++tile) {
    const int count = tile < higher_tiles ? lower + 1 : lower;
    kTiles[static_cast<std::size_t>(count)](product);
    product.a += count * product.a_row;
    product.start += count * product.start_stride;
    product.c += count * product.c_stride;
    if (product.values != nullptr) product.values += count * product.values_stride;
  }
}

// The whole product, rows x columns (a multiple of 16).
template <class Finish>
void multiply(const Product& product, int rows, int columns) {
  for (int column = 0; column < columns;) {
    Product panel = product;
    panel.b += column;
    panel.start += column;
    panel.c += column;
    if (panel.values != nullptr) panel.values += column;
    const int left = columns - column;
    const int width = left < kWidestPanel ? left : kWidestPanel;
    if constexpr (Vector::kLanes == 16) {
      if (width == 64) multiply_panel<Finish, 64>(panel, rows);
      if (width == 48) multiply_panel<Finish, 48>(panel, rows);
      if (width == 32) multiply_panel<Finish, 32>(panel, rows);
    }
    if (width == 16) multiply_panel<Finish, 16>(panel, rows);
    column += width;
  }
}

}  // namespace stampede
