// SPDX-License-Identifier: Apache-2.0
// Products of a layer that are one CUDA launch, under the emulator: the bits of one product after the other on the CPU.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <deque>
#include <span>
#include <utility>

#include "kernels/layer_products_blocks.h"
#include "tests/emulator/product_rig.h"

namespace stampede {
namespace {

using namespace product_rig;
using simt::same_bits;
using simt::Schedule;

// How products of a layer are launched together.
auto emulated_layers(const Schedule& schedule, int* launches) {
  return [=](unsigned grid, const auto& kernel) {
    ++*launches;
    simt::run(grid, kLayerThreads, 0, schedule, kernel);
  };
}

TEST(LayerProducts, TwoLayersForwardInOneLaunch) {
  for (const auto& [a, b] : {std::pair{Shape{31, 4, 64}, Shape{31, 17, 64}},
                             {{33, 64, 16}, {65, 3, 16}},
                             {{65, 65, 80}, {0, 2, 80}},
                             {{1, 2, 144}, {257, 4, 64}}}) {
    ForwardCase first(a), second(b);
    GuardedArray<float> expected_first = first.output(), expected_second = second.output();
    const LinearForward expected[] = {first.op(expected_first, GemmActivation::kTanh),
                                      second.op(expected_second, GemmActivation::kRelu)};
    linear_forward(Stream::cpu(), expected);
    for (const Schedule& schedule : simt::all_schedules()) {
      GuardedArray<float> y_first = first.output(), y_second = second.output();
      int launches = 0;
      launch_forward_layers(first.op(y_first, GemmActivation::kTanh), second.op(y_second, GemmActivation::kRelu),
                            emulated_layers(schedule, &launches));
      EXPECT_EQ(launches, 1);
      EXPECT_TRUE(same_bits(y_first.values(), expected_first.values())) << a.rows << " " << schedule.name();
      EXPECT_TRUE(same_bits(y_second.values(), expected_second.values())) << b.rows << " " << schedule.name();
    }
  }
}

// A layer of two towers backward: shared inputs x, derivatives and weights of their own.
struct BackwardCase {
  int rows, in, out_stride;
  bool with_weights, with_data;
  std::size_t towers = 2;
  int in_stride = padded(in);
  GuardedArray<float> x{matrix(rows, in_stride, in, 8)}, dy{matrix(2 * rows, out_stride, out_stride, 9)};
  GuardedArray<float> wt{matrix(2 * out_stride, in_stride, in_stride, 10)};

  template <class Run>
  std::vector<float> run(const Run& run) {
    const int gradient = (in + 1) * out_stride;
    GuardedArray<float> dw(matrix(2, gradient, gradient, 11)), dx(matrix(2 * rows, in_stride, in_stride, 12));
    LinearBackwardWeights weights[2];
    LinearBackwardData data[2];
    for (int t = 0; t < 2; ++t) {
      float* const own = dw.data() + t * gradient;
      const float* const derivatives = dy.data() + t * rows * out_stride;
      weights[t] = {x.data(), in_stride, derivatives, out_stride, own, own + in * out_stride, rows, in, out_stride};
      data[t] = {derivatives,
                 out_stride,
                 wt.data() + t * out_stride * in_stride,
                 in_stride,
                 x.data(),
                 in_stride,
                 dx.data() + t * rows * in_stride,
                 in_stride,
                 rows,
                 out_stride,
                 t == 0 ? GemmActivation::kTanh : GemmActivation::kRelu};
    }
    run(std::span(weights, with_weights ? towers : 0), std::span(data, with_data ? towers : 0));
    std::vector<float> all = dw.values();
    const std::vector<float> inputs = dx.values();
    all.insert(all.end(), inputs.begin(), inputs.end());
    return all;
  }
};

TEST(LayerProducts, BothGradientsOfALayerInOneLaunch) {
  BackwardCase cases[] = {{33, 64, 64, true, true},    {257, 5, 64, true, false}, {31, 64, 16, true, true},
                          {65, 7, 64, true, true},     {33, 8, 16, true, true},   {1, 65, 80, false, true},
                          {129, 64, 64, true, true, 1}};
  for (BackwardCase& c : cases) {
    const std::vector<float> expected =
        c.run([](auto weights, auto data) { linear_backward(Stream::cpu(), weights, data); });
    for (const Schedule& schedule : simt::all_schedules()) {
      int launches = 0;
      const std::vector<float> got = c.run(
          [&](auto weights, auto data) { launch_backward_layer(weights, data, emulated_layers(schedule, &launches)); });
      EXPECT_EQ(launches, 1);
      EXPECT_TRUE(same_bits(got, expected)) << c.rows << " " << c.in << " " << schedule.name();
    }
  }
}

TEST(LayerProducts, ManyTransposesInOneLaunch) {
  for (const std::size_t count : {1ul, 3ul, 8ul}) {
    std::deque<GuardedArray<float>> w, wt, expected;
    std::vector<WeightTranspose> ours, theirs;
    for (std::size_t t = 0; t < count; ++t) {
      const int in = 3 + 5 * static_cast<int>(t), out = 20 - 2 * static_cast<int>(t);
      w.emplace_back(matrix(in, 32, 32, static_cast<std::uint32_t>(t)));
      wt.emplace_back(static_cast<std::size_t>(out * padded(in)), -9.0f);
      expected.emplace_back(static_cast<std::size_t>(out * padded(in)), -9.0f);
      ours.push_back({w[t].data(), in, out, 32, wt[t].data(), padded(in)});
      theirs.push_back({w[t].data(), in, out, 32, expected[t].data(), padded(in)});
    }
    const TransposeElements elements(ours);
    for (int i = 0; i < elements.ends[TransposeElements::kMost - 1]; ++i) elements(i);
    transpose_weights(Stream::cpu(), theirs);
    for (std::size_t t = 0; t < count; ++t) EXPECT_TRUE(same_bits(wt[t].values(), expected[t].values())) << t;
  }
}

}  // namespace
}  // namespace stampede
