// SPDX-License-Identifier: Apache-2.0
// What a multiprocessor of an H200 (sm_90) has.
#pragma once

#include <cstddef>

namespace stampede::soft_gpu {

inline constexpr int kMultiprocessors = 132;
inline constexpr unsigned kMaxBlockThreads = 1024;
inline constexpr unsigned kMaxGrid = 0x7fffffff;
inline constexpr std::size_t kSharedBytes = 48 * 1024;        // of a block that asks for no more
inline constexpr std::size_t kSharedBytesOptIn = 227 * 1024;  // of a block that asks
inline constexpr int kSharedBytesPerMultiprocessor = 228 * 1024;
inline constexpr int kRegisters = 64 * 1024;  // of a block

}  // namespace stampede::soft_gpu
