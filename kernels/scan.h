// SPDX-License-Identifier: Apache-2.0
// Prefix sums of fixed shape: the same bits for any number of threads and on either device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/stream.h"

namespace stampede {

// Elements that `scratch` needs for `count` values.
std::size_t scan_scratch_size(std::size_t count);

// out[i] = in[0] + ... + in[i]. Stream-ordered; out may be in; scratch holds scan_scratch_size(count) elements.
void inclusive_scan(const Stream& stream, const float* in,  // [count]
                    float* out,                             // [count]
                    std::size_t count, float* scratch);
void inclusive_scan(const Stream& stream, const std::int32_t* in, std::int32_t* out, std::size_t count,
                    std::int32_t* scratch);

// out[i] = in[0] + ... + in[i - 1], so out[0] = 0.
void exclusive_scan(const Stream& stream, const float* in, float* out, std::size_t count, float* scratch);
void exclusive_scan(const Stream& stream, const std::int32_t* in, std::int32_t* out, std::size_t count,
                    std::int32_t* scratch);

}  // namespace stampede
