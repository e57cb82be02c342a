// SPDX-License-Identifier: Apache-2.0
// Asks a CPU to bring a cache line near before it is read; other threads hide that latency on CUDA.
#pragma once

#include "kernels/hd.h"

namespace stampede {

HD void prefetch(const void* address) {
#ifndef __CUDA_ARCH__
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

}  // namespace stampede
