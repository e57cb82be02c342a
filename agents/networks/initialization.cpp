// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/initialization.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/math.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

// Box-Muller with this project's own elementary functions: libm's differ between machines.
void fill_normal(const RandomKey& key, std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const PhiloxBlock block = key.block(static_cast<std::uint32_t>(i / 4), 0);
    for (std::size_t pair = 0; pair < 4; pair += 2) {
      const float radius = square_root(-2.0f * log_of(uniform_float_open(block.word[pair])));
      const SinCos angle = sin_cos(kTwoPi * uniform_float(block.word[pair + 1]) - kPi);
      const float normal[2] = {radius * angle.cos, radius * angle.sin};
      for (std::size_t j = 0; j < 2 && i + pair + j < values.size(); ++j) {
        values[i + pair + j] = static_cast<double>(normal[j]);
      }
    }
  }
}

// Modified Gram-Schmidt on the columns of a [dimension, count] matrix, count <= dimension. Every finished column is
// taken out of all later ones at once, because that runs along rows.
void orthonormalize_columns(std::vector<double>& matrix, std::size_t dimension, std::size_t count) {
  std::vector<double> dots(count);
  for (std::size_t j = 0; j < count; ++j) {
    double square = 0.0;
    for (std::size_t k = 0; k < dimension; ++k) square += matrix[k * count + j] * matrix[k * count + j];
    const double inverse = 1.0 / std::sqrt(square);
    std::fill(dots.begin(), dots.end(), 0.0);
    for (std::size_t k = 0; k < dimension; ++k) {
      double* row = &matrix[k * count];
      const double factor = row[j] *= inverse;
      for (std::size_t later = j + 1; later < count; ++later) dots[later] += row[later] * factor;
    }
    for (std::size_t k = 0; k < dimension; ++k) {
      double* row = &matrix[k * count];
      const double factor = row[j];
      for (std::size_t later = j + 1; later < count; ++later) row[later] -= dots[later] * factor;
    }
  }
}

float& element(const TensorLayout& tensor, float* parameters, std::size_t row, std::size_t column) {
  return parameters[tensor.offset + row * tensor.row_stride + column * tensor.column_stride];
}

}  // namespace

void initialize_orthogonal(const TensorLayout& tensor, std::uint64_t seed, std::size_t number, double gain,
                           float* parameters) {
  const auto rows = static_cast<std::size_t>(tensor.rows), columns = static_cast<std::size_t>(tensor.columns);
  const bool wide = rows <= columns;  // then its rows are the orthonormal vectors
  const std::size_t dimension = std::max(rows, columns), count = std::min(rows, columns);
  std::vector<double> matrix(dimension * count);
  fill_normal({seed, number, Purpose::kInitialization}, matrix);
  orthonormalize_columns(matrix, dimension, count);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const double value = wide ? matrix[c * count + r] : matrix[r * count + c];
      element(tensor, parameters, r, c) = static_cast<float>(gain * value);
    }
  }
}

void initialize_uniform(const TensorLayout& tensor, std::uint64_t seed, std::size_t number, double bound,
                        float* parameters) {
  const RandomKey key{seed, number, Purpose::kInitialization};
  const auto columns = static_cast<std::size_t>(std::max(tensor.columns, 1));
  for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.rows) * columns; ++i) {
    const std::uint32_t word = key.block(static_cast<std::uint32_t>(i / 4), 0).word[i % 4];
    const double uniform = 2.0 * static_cast<double>(uniform_float(word)) - 1.0;
    element(tensor, parameters, i / columns, i % columns) = static_cast<float>(bound * uniform);
  }
}

}  // namespace stampede
