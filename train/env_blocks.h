// SPDX-License-Identifier: Apache-2.0
// Cuts a batch of environments into blocks that one thread steps through a whole rollout.
#pragma once

#include <omp.h>

#include <algorithm>
#include <exception>

#include "kernels/stream.h"
#include "sim/episode_recorder.h"

namespace stampede {

// A block's states, inputs and activations stay in one core's cache; results do not depend on its size.
inline int env_block_size(const Stream& stream, int environments) {
  if (stream.is_cuda()) return environments;
  const int share = (environments + stream.threads() - 1) / stream.threads();
  const int segments = (share + kEpisodeSegment - 1) / kEpisodeSegment;
  return std::clamp(segments, 1, 4) * kEpisodeSegment;
}

// Calls work(begin, end, worker, stream) for every block, in parallel on a CPU stream (the stream given is then
// serial), once with all environments on CUDA. Rethrows what a block threw.
template <class Work>
void for_each_env_block(const Stream& stream, int environments, const Work& work) {
  const int block = env_block_size(stream, environments);
  const int blocks = (environments + block - 1) / block;
  const Stream serial = stream.serial();
  if (stream.threads() == 1 || blocks == 1) {
    for (int b = 0; b < blocks; ++b) work(b * block, std::min(environments, (b + 1) * block), 0, serial);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) num_threads(stream.threads())
  for (int b = 0; b < blocks; ++b) {
    try {
      work(b * block, std::min(environments, (b + 1) * block), omp_get_thread_num(), serial);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace stampede
