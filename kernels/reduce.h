// SPDX-License-Identifier: Apache-2.0
// Sums, extremes and counts over a tree of fixed shape: the same bits for any number of threads and on either device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/stream.h"

namespace stampede {

// Elements that `scratch` needs for `count` values.
std::size_t reduce_scratch_size(std::size_t count);

// All of them are stream-ordered and write one element on the stream's device. Of no values, the sum is 0, the minimum
// +infinity and the maximum -infinity. With a NaN among the values they are NaN.
void reduce_sum(const Stream& stream, const float* x,  // [count]
                std::size_t count, float* scratch,     // [reduce_scratch_size(count)]
                float* result);                        // [1]
void reduce_min(const Stream& stream, const float* x, std::size_t count, float* scratch, float* result);
void reduce_max(const Stream& stream, const float* x, std::size_t count, float* scratch, float* result);

// sum_i x[i] y[i]
void reduce_dot(const Stream& stream, const float* x, const float* y,  // [count]
                std::size_t count, float* scratch, float* result);

// How many flag bytes have a bit of `mask` set; count below 2^31.
void reduce_count(const Stream& stream, const std::uint8_t* flags,  // [count]
                  std::uint8_t mask, std::size_t count,
                  std::int32_t* scratch,  // [reduce_scratch_size(count)]
                  std::int32_t* result);  // [1]

}  // namespace stampede
