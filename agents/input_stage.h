// SPDX-License-Identifier: Apache-2.0
// Turns raw observations of a ring into network inputs: normalised float rows, or class indices for one-hot networks.
#pragma once

#include "agents/networks/network.h"
#include "agents/normalizer.h"
#include "kernels/stream.h"

namespace stampede {

// Room for `rows` prepared inputs.
struct InputRows {
  float* features = nullptr;        // [rows, input_stride]
  std::int32_t* classes = nullptr;  // [rows]

  NetworkInput input() const { return {features, classes}; }
  static InputRows take(const NetworkSpec& spec, int rows, Arena& arena);
};

// Rows [begin, begin + rows) of obs [N, D]. Stream-ordered.
void prepare_inputs(const Stream& stream, const NetworkSpec& spec, const ObservationNormalizer& normalizer,
                    const void* obs, int begin, int rows, const InputRows& out);

// Row k of the result is the observation at flat ring index indices[k]. Stream-ordered.
void gather_inputs(const Stream& stream, const NetworkSpec& spec, const ObservationNormalizer& normalizer,
                   const RingView& ring, const std::int32_t* indices, int rows, const InputRows& out);

}  // namespace stampede
