// SPDX-License-Identifier: Apache-2.0
// A tower's passes on tensor cores under the emulator against the same roundings written down plainly.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/fused/bf16_tower_gradient_blocks.h"
#include "kernels/philox.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

constexpr int kOutStride = 16;

struct MatricesKernel {
  const std::uint32_t* words;     // [16, 12]
  std::uint32_t *plain, *turned;  // [32, 4]

  DEVICE void operator()() const {
    SHARED_ARRAY(Pack<4>, aligned, 48);
    auto* const shared = reinterpret_cast<std::uint32_t*>(aligned);
    for (int e = thread_index(); e < 192; e += 32) shared[e] = words[e];
    __syncwarp();
    Fragment a, b;
    load_matrices(a, stacked(shared, 12, 0, 0));
    load_transposed(b, side_by_side(shared, 12, 0, 0));
    for (int w = 0; w < 4; ++w) {
      plain[4 * thread_index() + w] = a[w];
      turned[4 * thread_index() + w] = b[w];
    }
  }
};

// Element (r, c) is 32 r + c: stacked, they are the left factor of a product; side by side and transposed, the left
// factor's transpose.
TEST(Bf16Tower, MatricesAreLoadedEitherWayRound) {
  std::vector<std::uint32_t> words(16 * 12), plain(128), turned(128);
  const auto element = [](int r, int c) { return static_cast<std::uint32_t>(32 * r + c); };
  for (int r = 0; r < 16; ++r) {
    for (int w = 0; w < 8; ++w)
      words[static_cast<std::size_t>(12 * r + w)] = element(r, 2 * w) | element(r, 2 * w + 1) << 16;
  }
  simt::run(1, 32, 0, {}, MatricesKernel{words.data(), plain.data(), turned.data()});
  for (int lane = 0; lane < 32; ++lane) {
    for (int w = 0; w < 4; ++w) {
      const int row = lane / 4 + w % 2 * 8, column = lane % 4 * 2 + w / 2 * 8;
      const auto at = static_cast<std::size_t>(4 * lane + w);
      EXPECT_EQ(plain[at], element(row, column) | element(row, column + 1) << 16) << lane << " " << w;
      EXPECT_EQ(turned[at], element(column, row) | element(column + 1, row) << 16) << lane << " " << w;
    }
  }
}

// One block takes all rows forward, and back from given derivatives.
template <class Shape>
struct TowerKernel {
  FusedTower tower;
  const float *parameters, *x, *dy;  // x and dy [rows, kNarrowColumns]
  float *y, *gradient;
  int rows;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    const TowerMemory<Shape> memory(shared);
    load_weights(tower, parameters, memory);
    TowerGradient<Shape> sums(memory);
    for (int first = 0; first < rows; first += Shape::kRows) {
      const int r = thread_index();
      float inputs[kNarrowColumns] = {};
      for (int k = 0; k < tower.inputs && first + r < rows; ++k) inputs[k] = x[(first + r) * kNarrowColumns + k];
      if (r < Shape::kRows) memory.store_inputs(r, inputs);
      __syncthreads();
      forward_tower(tower, memory);
      for (int c = 0; c < kNarrowColumns && r < Shape::kRows; ++c) {
        float& output = memory.y[r * Shape::kNarrowPitch + c];
        if (first + r < rows) y[(first + r) * kNarrowColumns + c] = output;
        output = first + r < rows ? dy[(first + r) * kNarrowColumns + c] : 0.0f;
      }
      __syncthreads();
      sums.add_tile(tower, tower.outputs, memory);
    }
    sums.store(tower, tower.outputs, 0, memory, gradient);
  }
};

double rounded(double x) { return static_cast<double>(bits_float(bf16_bits(static_cast<float>(x)))); }
double split(double x) { return rounded(x) + rounded(x - rounded(x)); }

double activated(double x, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return std::tanh(x);
  return activation == GemmActivation::kRelu ? std::max(x, 0.0) : x;
}
double derivative(double h, GemmActivation activation) {
  if (activation == GemmActivation::kTanh) return 1.0 - h * h;
  return activation == GemmActivation::kRelu && h <= 0.0 ? 0.0 : 1.0;
}

using Matrix = std::vector<std::vector<double>>;

struct Tower {
  FusedTower layout;
  std::vector<float> parameters;

  Tower(int width, int inputs, int outputs, GemmActivation activation) {
    layout.inputs = inputs;
    layout.outputs = outputs;
    layout.width = width;
    layout.activation = activation;
    std::size_t at = 0;
    const int rows[3] = {inputs, width, width}, strides[3] = {width, width, kOutStride};
    for (int l = 0; l < 3; ++l) {
      layout.weight[l] = at;
      layout.bias[l] = at += static_cast<std::size_t>(rows[l] * strides[l]);
      at += static_cast<std::size_t>(strides[l]);
    }
    Rng rng({21, 0, Purpose::kInitialization}, 0);
    parameters.resize(at);
    const float scale[3] = {1.0f, 2.0f / std::sqrt(static_cast<float>(width)), 0.3f};
    for (int l = 0; l < 3; ++l) {
      for (std::size_t e = layout.weight[l]; e < (l < 2 ? layout.weight[l + 1] : at); ++e) {
        const bool padding = l == 2 && static_cast<int>((e - layout.weight[l]) % kOutStride) >= outputs;
        parameters[e] = padding ? 0.0f : rng.uniform(-scale[l], scale[l]);
      }
    }
  }

  int columns(int l) const { return l < 2 ? layout.width : layout.outputs; }
  double weight(int l, int k, int o) const {
    const int stride = l < 2 ? layout.width : kOutStride;
    return static_cast<double>(parameters[layout.weight[l] + static_cast<std::size_t>(k * stride + o)]);
  }
  double bias(int l, int o) const {
    return static_cast<double>(parameters[layout.bias[l] + static_cast<std::size_t>(o)]);
  }
};

// One row: outputs go to y, what it adds to the gradient to `gradient`.
void pass_row(const Tower& tower, const float* x, const float* dy, double* y, std::vector<double>& gradient) {
  const GemmActivation activation = tower.layout.activation;
  std::vector<double> layers[4];
  for (int k = 0; k < tower.layout.inputs; ++k) layers[0].push_back(split(static_cast<double>(x[k])));
  for (int l = 0; l < 3; ++l) {
    for (int o = 0; o < tower.columns(l); ++o) {
      double sum = l == 0 ? rounded(tower.bias(0, o)) : tower.bias(l, o);
      for (std::size_t k = 0; k < layers[l].size(); ++k) {
        sum += layers[l][k] * rounded(tower.weight(l, static_cast<int>(k), o));
      }
      layers[l + 1].push_back(l < 2 ? rounded(activated(sum, activation)) : sum);
    }
  }
  for (int o = 0; o < tower.layout.outputs; ++o) y[o] = layers[3][static_cast<std::size_t>(o)];
  std::vector<double> above;
  for (int o = 0; o < tower.layout.outputs; ++o) above.push_back(split(static_cast<double>(dy[o])));
  for (int l = 2; l >= 0; --l) {
    const std::size_t stride = static_cast<std::size_t>(l < 2 ? tower.layout.width : kOutStride);
    std::vector<double> below;
    for (std::size_t k = 0; k < layers[l].size(); ++k) {
      double sum = 0.0;
      for (std::size_t o = 0; o < above.size(); ++o) {
        gradient[tower.layout.weight[l] + k * stride + o] += layers[l][k] * above[o];
        sum += above[o] * rounded(tower.weight(l, static_cast<int>(k), static_cast<int>(o)));
      }
      below.push_back(rounded(sum * derivative(layers[l][k], activation)));
    }
    for (std::size_t o = 0; o < above.size(); ++o) {
      gradient[tower.layout.bias[l] + o] += l == 2 ? static_cast<double>(dy[o]) : above[o];
    }
    above = below;
  }
}

double error_of(const std::vector<double>& expected, const std::vector<float>& got) {
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double apart = static_cast<double>(got[i]) - expected[i];
    error += apart * apart;
    norm += expected[i] * expected[i];
  }
  return std::sqrt(error / norm);
}

// A sum in another order now and then rounds the other way, 2^-8 of one activation: well below what bf16 itself costs.
constexpr double kBound = 5e-4;

template <class Shape>
void expect_reference(const Tower& tower, int rows, const simt::Schedule& schedule) {
  SCOPED_TRACE(std::to_string(Shape::kWidth) + " wide, " + std::to_string(tower.layout.inputs) + " inputs, " +
               std::to_string(rows) + " rows, " + schedule.name());
  const auto n = static_cast<std::size_t>(rows);
  std::vector<float> x(n * kNarrowColumns), dy(x.size());
  for (std::size_t e = 0; e < x.size(); ++e) {
    Rng rng({22, 0, Purpose::kEnvironmentStep}, static_cast<std::uint32_t>(e));
    x[e] = rng.uniform(-2.0f, 2.0f);
    dy[e] = rng.uniform(-1e-4f, 1e-4f);
  }
  std::vector<double> y(n * kNarrowColumns), gradient(tower.parameters.size());
  for (std::size_t r = 0; r < n; ++r) {
    const std::size_t at = r * kNarrowColumns;
    pass_row(tower, &x[at], &dy[at], &y[at], gradient);
  }
  simt::GuardedArray<float> outputs(x.size(), 0.0f), sums(gradient.size(), 0.0f);
  const TowerKernel<Shape> kernel{
      tower.layout, tower.parameters.data(), x.data(), dy.data(), outputs.data(), sums.data(), rows};
  simt::run(1, Shape::kThreads, TowerMemory<Shape>::kFloats * sizeof(float), schedule, [&] { kernel(); });
  EXPECT_LT(error_of(y, outputs.values()), kBound);
  EXPECT_LT(error_of(gradient, sums.values()), kBound);
}

TEST(Bf16Tower, PassesAreTheReference) {
  using enum GemmActivation;
  for (const simt::Schedule& schedule : simt::all_schedules()) {
    expect_reference<Bf16TowerShape<64>>(Tower(64, 4, 3, kTanh), 129, schedule);
  }
  const simt::Schedule random{simt::Order::kRandom, 2};
  for (const int rows : {1, 31, 33, 257}) expect_reference<Bf16TowerShape<64>>(Tower(64, 7, 8, kTanh), rows, random);
  expect_reference<Bf16TowerShape<64>>(Tower(64, 1, 1, kRelu), 33, random);
  expect_reference<Bf16TowerShape<64>>(Tower(64, 3, 2, kLinear), 33, random);
  expect_reference<Bf16TowerShape<128>>(Tower(128, 6, 4, kTanh), 129, random);
  expect_reference<Bf16TowerShape<128>>(Tower(128, 7, 8, kRelu), 31, random);
}

// 1 + 2^-12 is 1 in bf16. A network that takes 1 from it and multiplies by 2^12 tells the difference, and its gradient
// is the observation itself.
TEST(Bf16Tower, ObservationsAndDerivativesKeepSixteenBits) {
  Tower tower(64, 2, 1, GemmActivation::kLinear);
  std::fill(tower.parameters.begin(), tower.parameters.end(), 0.0f);
  const auto weight = [&](int l, int k, int stride) -> float& {
    return tower.parameters[tower.layout.weight[l] + static_cast<std::size_t>(k * stride)];
  };
  weight(0, 0, 64) = 1.0f;
  weight(0, 1, 64) = -1.0f;
  weight(1, 0, 64) = 4096.0f;
  weight(2, 0, kOutStride) = 1.0f;
  std::vector<float> x(kNarrowColumns), dy(kNarrowColumns);
  x[0] = 1.0f + 0x1p-12f;
  x[1] = 1.0f;
  dy[0] = 1.0f + 0x1p-12f;
  std::vector<float> y(kNarrowColumns), gradient(tower.parameters.size());
  using Shape = Bf16TowerShape<64>;
  const TowerKernel<Shape> kernel{tower.layout, tower.parameters.data(), x.data(), dy.data(),
                                  y.data(),     gradient.data(),         1};
  simt::run(1, Shape::kThreads, TowerMemory<Shape>::kFloats * sizeof(float), {}, [&] { kernel(); });
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(gradient[tower.layout.weight[0]], 4096.0f * x[0]);
  EXPECT_EQ(gradient[tower.layout.weight[2]], dy[0]);
  EXPECT_EQ(gradient[tower.layout.bias[2]], dy[0]);
}

}  // namespace
}  // namespace stampede
