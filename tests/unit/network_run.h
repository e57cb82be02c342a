// SPDX-License-Identifier: Apache-2.0
// What a network computes of one batch, on any stream, to compare implementations of the same spec.
#pragma once

#include <vector>

#include "agents/networks/network.h"

namespace stampede {

// One forward pass with and one without keeping, and two backward passes that add to the same gradients with one
// between them that has none. Parameters and batch are the same for every network of a spec; workspaces begin as NaN.
struct NetworkRun {
  NetworkRun(const Stream& stream, const Network& network, int rows);

  std::vector<float> outputs, outputs_without_keeping;  // [rows, output_stride]
  std::vector<float> gradients;                         // [parameter_count]
  std::vector<float> d_inputs;                          // [rows, input_stride]; zero for class inputs

  bool operator==(const NetworkRun&) const = default;
};

// The largest difference between elements, relative to the largest of each block of b; NaN where one is not a number.
double difference(const NetworkRun& a, const NetworkRun& b);
// The root of the mean square of differences, relative to that of b's elements. A unit of ReLU next to its corner may
// fall on either side by rounding alone, which this forgives.
double mean_difference(const NetworkRun& a, const NetworkRun& b);

}  // namespace stampede
