// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/network_spec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.h"

namespace stampede {
namespace {

NetworkSpec two_towers() {
  return {5,
          false,
          {{"actor", {33, 17}, Activation::kTanh, {{"policy", 3, 0.01f}, {"extra", 2, 1.0f}}},
           {"critic", {31}, Activation::kTanh, {{"value", 1, 1.0f}}}},
          {{"log_sigma", 3, -0.5f}}};
}

double weight(const std::vector<float>& p, const TensorLayout& t, int row, int column) {
  return static_cast<double>(
      p[t.offset + static_cast<std::size_t>(row) * t.row_stride + static_cast<std::size_t>(column) * t.column_stride]);
}

TEST(NetworkSpec, OrthogonalWeightsHaveTheirOwnGains) {
  const NetworkSpec spec = two_towers();
  std::vector<float> p(spec.parameter_count());
  spec.initialize(9, p.data());
  int checked = 0;
  for (const TensorLayout& t : spec.tensors()) {
    if (t.columns == 0) continue;
    const bool wide = t.rows <= t.columns;
    const int count = wide ? t.rows : t.columns, dimension = wide ? t.columns : t.rows;
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j <= i; ++j) {
        double dot = 0.0;
        for (int k = 0; k < dimension; ++k) {
          dot += wide ? weight(p, t, i, k) * weight(p, t, j, k) : weight(p, t, k, i) * weight(p, t, k, j);
        }
        const double gain = static_cast<double>(t.gain);
        ASSERT_NEAR(dot, i == j ? gain * gain : 0.0, 1e-6 * gain * gain) << t.name;
      }
    }
    ++checked;
  }
  EXPECT_EQ(checked, 6);
  EXPECT_EQ(spec.head("policy").gain, 0.01f);
  EXPECT_EQ(p[spec.vector_offset("log_sigma") + 2], -0.5f);
  EXPECT_EQ(p[spec.vector_offset("log_sigma") + 3], 0.0f);
}

TEST(NetworkSpec, InitialisationDependsOnSeedAndTensorOnly) {
  const NetworkSpec spec = two_towers();
  std::vector<float> a(spec.parameter_count(), 7.0f), b(spec.parameter_count()), c(spec.parameter_count());
  spec.initialize(9, a.data());
  spec.initialize(9, b.data());
  spec.initialize(10, c.data());
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  const TensorLayout& actor = spec.tensors()[0];
  const TensorLayout& critic = spec.tensors()[8];
  ASSERT_EQ(critic.name, "critic.0.weight");
  EXPECT_NE(a[actor.offset], a[critic.offset]);
}

TEST(NetworkSpec, KaimingUniformStaysWithinItsBoundAndFillsIt) {
  const NetworkSpec spec(25, false, {{"q", {64}, Activation::kRelu, {{"value", 3, 1.0f}}}}, {},
                         Initialization::kKaimingUniform);
  std::vector<float> p(spec.parameter_count());
  spec.initialize(1, p.data());
  for (const TensorLayout& t : spec.tensors()) {
    const double bound = t.offset < spec.layers()[1].weight ? 0.2 : 0.125;
    double largest = 0.0;
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < std::max(t.columns, 1); ++c) largest = std::max(largest, std::fabs(weight(p, t, r, c)));
    }
    EXPECT_LE(largest, bound) << t.name;
    EXPECT_GT(largest, 0.3 * bound) << t.name;
  }
}

TEST(NetworkSpec, LaysOutHeadsSideBySideAndTowersPadded) {
  const NetworkSpec spec = two_towers();
  EXPECT_EQ(spec.input_stride(), 16);
  EXPECT_EQ(spec.output_stride(), 32);
  EXPECT_EQ(spec.head("extra").column, 3);
  EXPECT_EQ(spec.head("value").column, 16);
  EXPECT_EQ(spec.head("value").layer_column, 0);
  EXPECT_EQ(spec.tower_count(), 2);
  EXPECT_EQ(spec.parameter_count() % 16, 0u);
  EXPECT_EQ(spec.logical_parameter_count(), 5u * 33 + 33 + 33 * 17 + 17 + 17 * 5 + 5 + 5 * 31 + 31 + 31 + 1 + 3);
  EXPECT_THROW(spec.head("nothing"), RuntimeError);
  EXPECT_THROW(spec.vector_offset("nothing"), RuntimeError);
}

TEST(NetworkSpec, ShowsFeaturesBehindAllHeadsAndPadsMatricesByRows) {
  TowerSpec critic{"critic", {31, 19}, Activation::kTanh, {{"value", 1, 1.0f}}};
  critic.features = true;
  const NetworkSpec spec(5, false, {{"actor", {33}, Activation::kTanh, {{"policy", 3, 0.01f}}}, critic},
                         {{"log_sigma", 19, -0.5f, 3}, {"after", 2, 0.25f}});
  EXPECT_EQ(spec.features().layer, 3);
  EXPECT_EQ(spec.features().size, 19);
  EXPECT_EQ(spec.features().column, 32);
  EXPECT_EQ(spec.output_stride(), 64);
  EXPECT_EQ(two_towers().features().size, 0);
  EXPECT_EQ(spec.vector_offset("after") - spec.vector_offset("log_sigma"), 19u * 16);
  std::vector<float> p(spec.parameter_count(), 7.0f);
  spec.initialize(1, p.data());
  const float* const matrix = p.data() + spec.vector_offset("log_sigma");
  for (int k = 0; k < 19 * 16; ++k) ASSERT_EQ(matrix[k], k % 16 < 3 ? -0.5f : 0.0f) << k;
  EXPECT_EQ(matrix[19 * 16 + 1], 0.25f);
}

TEST(NetworkSpec, RefusesImpossibleShapes) {
  const TowerSpec tower{"q", {8}, Activation::kTanh, {{"value", 1, 1.0f}}};
  EXPECT_THROW(NetworkSpec(4, false, {}), UsageError);
  EXPECT_THROW(NetworkSpec(0, false, {tower}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {{"q", {65537}, Activation::kTanh, {{"value", 1, 1.0f}}}}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {{"q", {8}, Activation::kTanh, {}}}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {tower, tower}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {tower, {"r", {8}, Activation::kTanh, {{"value", 1, 1.0f}}}}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {tower}, {{"v", 0, 0.0f}}), UsageError);
  TowerSpec shown = tower, other{"r", {8}, Activation::kTanh, {{"other", 1, 1.0f}}}, flat{"r", {}, {}, {{"other", 1}}};
  shown.features = other.features = flat.features = true;
  EXPECT_NO_THROW(NetworkSpec(4, false, {shown}));
  EXPECT_THROW(NetworkSpec(4, false, {shown, other}), UsageError);
  EXPECT_THROW(NetworkSpec(4, false, {flat}), UsageError);
}

}  // namespace
}  // namespace stampede
