// SPDX-License-Identifier: Apache-2.0
#include "kernels/columns.h"

#include <cstddef>

#include "kernels/gemm_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

constexpr int kLanes = 16;  // columns per index

struct ColumnLanes {
  std::size_t hidden, output;

  HD ColumnLanes(const ColumnRange& range, int index) {
    const int lanes = range.columns / kLanes, row = index / lanes, column = (index - row * lanes) * kLanes;
    const auto r = static_cast<std::size_t>(row), c = static_cast<std::size_t>(column);
    hidden = r * static_cast<std::size_t>(range.hidden_stride) + c;
    output = r * static_cast<std::size_t>(range.output_stride) + c;
  }
};

struct CopyColumnsOp {
  ColumnRange range;
  const float* hidden;
  float* outputs;

  HD void operator()(int index) const {
    const ColumnLanes at(range, index);
    for (int j = 0; j < kLanes; ++j) outputs[at.output + j] = hidden[at.hidden + j];
  }
};

struct AddThroughActivationOp {
  ColumnRange range;
  GemmActivation activation;
  const float *d_outputs, *hidden;
  float* d_hidden;

  HD void operator()(int index) const {
    const ColumnLanes at(range, index);
    for (int j = 0; j < kLanes; ++j) {
      d_hidden[at.hidden + j] += differentiate(hidden[at.hidden + j], d_outputs[at.output + j], activation);
    }
  }
};

int lanes_of(const ColumnRange& range) { return range.rows * (range.columns / kLanes); }

}  // namespace

void copy_columns(const Stream& stream, const ColumnRange& range, const float* hidden, float* outputs) {
  for_each_index(stream, lanes_of(range), CopyColumnsOp{range, hidden, outputs});
}

void add_through_activation(const Stream& stream, const ColumnRange& range, GemmActivation activation,
                            const float* d_outputs, const float* hidden, float* d_hidden) {
  for_each_index(stream, lanes_of(range), AddThroughActivationOp{range, activation, d_outputs, hidden, d_hidden});
}

}  // namespace stampede
