// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/network_run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/philox.h"
#include "tests/parity/device_array.h"

namespace stampede {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float noise(std::uint64_t seed, std::size_t i) {
  return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

std::vector<float> parameters_of(const NetworkSpec& spec) {
  std::vector<float> values(spec.parameter_count());
  spec.initialize(3, values.data());
  for (const TensorLayout& t : spec.tensors()) {  // no zero biases
    for (std::size_t r = 0; r < static_cast<std::size_t>(t.rows); ++r) {
      values[t.offset + r * t.row_stride] += 0.3f * noise(11, t.offset + r);
    }
  }
  return values;
}

// Noise in columns [first, first + size) of every row.
void fill_columns(std::vector<float>& values, int stride, int first, int size, std::uint64_t seed) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int column = static_cast<int>(i % static_cast<std::size_t>(stride));
    if (column >= first && column < first + size) values[i] = noise(seed, i);
  }
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0.0, apart = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<double>::quiet_NaN();
    largest = std::max(largest, std::abs(y));
    apart = std::max(apart, std::abs(x - y));
  }
  return largest == 0.0 ? apart : apart / largest;
}

double mean_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double size = 0.0, apart = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    size += y * y;
    apart += (x - y) * (x - y);
  }
  return std::sqrt(size == 0.0 ? apart : apart / size);
}

// The worst of the blocks.
double worst(const NetworkRun& a, const NetworkRun& b,
             double (*compare)(const std::vector<float>&, const std::vector<float>&)) {
  double result = 0.0;
  for (const double value :
       {compare(a.outputs, b.outputs), compare(a.gradients, b.gradients),
        compare(a.outputs_without_keeping, b.outputs_without_keeping), compare(a.d_inputs, b.d_inputs)}) {
    result = value <= result ? result : value;  // keeps NaN
  }
  return result;
}

}  // namespace

NetworkRun::NetworkRun(const Stream& stream, const Network& network, int rows) {
  const NetworkSpec& spec = network.spec();
  const auto count = static_cast<std::size_t>(rows);
  const auto input_floats = count * static_cast<std::size_t>(spec.input_stride());
  std::vector<float> features(input_floats), d_outputs(count * static_cast<std::size_t>(spec.output_stride()));
  std::vector<std::int32_t> classes;
  for (int r = 0; r < rows; ++r) classes.push_back(r * 5 % spec.input_size());
  if (!spec.one_hot()) fill_columns(features, spec.input_stride(), 0, spec.input_size(), 5);
  for (const HeadLayout& head : spec.heads()) fill_columns(d_outputs, spec.output_stride(), head.column, head.size, 6);
  fill_columns(d_outputs, spec.output_stride(), spec.features().column, spec.features().size, 6);

  const DeviceArray<float> parameters(stream, parameters_of(spec)), x(stream, features), dy(stream, d_outputs);
  const DeviceArray<std::int32_t> class_inputs(stream, classes);
  const DeviceArray<float> dw(stream, spec.parameter_count()), dx(stream, input_floats);
  const DeviceArray<float> y(stream, d_outputs.size()), y_without(stream, d_outputs.size());
  const DeviceArray<float> prepared(stream, std::vector<float>(network.prepared_size(), kNan));
  const DeviceArray<float> kept(stream, std::vector<float>(network.workspace_size(rows, true), kNan));
  const DeviceArray<float> unkept(stream, std::vector<float>(network.workspace_size(rows, false), kNan));
  const NetworkInput input{spec.one_hot() ? nullptr : x.data(), spec.one_hot() ? class_inputs.data() : nullptr};

  network.prepare_backward(stream, parameters.data(), prepared.data());
  network.forward(stream, parameters.data(), input, rows, true, kept.data(), y.data());
  for (float* const weights : {dw.data(), static_cast<float*>(nullptr), dw.data()}) {
    network.backward(stream, parameters.data(), prepared.data(), input, rows, dy.data(), kept.data(), weights,
                     spec.one_hot() ? nullptr : dx.data());
  }
  network.forward(stream, parameters.data(), input, rows, false, unkept.data(), y_without.data());
  outputs = y.values();
  outputs_without_keeping = y_without.values();
  gradients = dw.values();
  d_inputs = dx.values();
}

double difference(const NetworkRun& a, const NetworkRun& b) { return worst(a, b, difference); }

double mean_difference(const NetworkRun& a, const NetworkRun& b) { return worst(a, b, mean_difference); }

}  // namespace stampede
