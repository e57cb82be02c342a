// SPDX-License-Identifier: Apache-2.0
// Lets the block that finishes last go on with the results of all: a second pass without a second launch.
#pragma once

#include "kernels/block.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// True in every thread of the last of the grid's blocks to call it, which then sees what all others wrote before. Every
// thread must call it once. arrived [1] is 0 before the launch and after it.
DEVICE bool is_last_block(unsigned* arrived) {
  SHARED_ARRAY(unsigned, last, 1);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();  // what the block wrote, before its arrival
    last[0] = atomicAdd(arrived, 1u) + 1 == gridDim.x;
    if (last[0] != 0) *arrived = 0;
    __threadfence();  // the arrivals of the others, before what this block reads
  }
  __syncthreads();
  return last[0] != 0;
}
#endif

}  // namespace stampede
