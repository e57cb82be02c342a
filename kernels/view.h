// SPDX-License-Identifier: Apache-2.0
// A View is a pointer with its extent: what functions take instead of owning containers.
#pragma once

#include <cstddef>

#include "kernels/hd.h"

namespace stampede {

// Row-major and contiguous; never owns; trivially copyable into kernels.
template <class T, int Rank = 1>
struct View {
  T* data = nullptr;
  std::size_t extent[Rank] = {};

  HD std::size_t size() const {
    std::size_t total = 1;
    for (int r = 0; r < Rank; ++r) total *= extent[r];
    return total;
  }
  HD T& operator[](std::size_t i) const { return data[i]; }
  HD T& operator()(std::size_t i, std::size_t j) const requires(Rank == 2) { return data[i * extent[1] + j]; }
  HD T& operator()(std::size_t i, std::size_t j, std::size_t k) const requires(Rank == 3) {
    return data[(i * extent[1] + j) * extent[2] + k];
  }
};

}  // namespace stampede
