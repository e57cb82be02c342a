// SPDX-License-Identifier: Apache-2.0
// A rollout as one CUDA kernel, for the environments that have one compiled in.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/device_limits.h"
#include "kernels/space.h"
#include "kernels/stream.h"
#include "sim/vector_env.h"
#include "train/fused/fused_network.h"

namespace stampede {

// What a rollout reads and writes, besides environments and network.
struct FusedRows {
  std::uint32_t* obs;      // [T + 1, N, D]; slot 0 is read
  std::uint32_t* records;  // [T, N, record words]
  float* extra;            // [T + 1, N, extra_size]; of the last slot the value
  int extra_size;
  int environments, steps;  // N, T
  std::uint64_t first_row;
  std::uint64_t seed;      // of the agent
  const float* log_sigma;  // [A], Gaussian
  Space action;            // with its bounds
};

struct FusedLaunch {
  unsigned grid = 0, block = 0;
  std::size_t shared = 0;  // bytes
};

// Two warps step an episode segment; as many blocks as multiprocessors before blocks grow. weights, warp: bytes of
// shared memory of a block's weights and of each warp. grid = 0: does not fit.
FusedLaunch fused_launch(std::size_t weights, std::size_t warp, int environments, const DeviceLimits& limits);

// What the network computes in. kBf16: tensor cores, bf16 weights and activations, fp32 sums.
enum class Precision { kFp32, kBf16 };

class FusedRollout {
 public:
  virtual ~FusedRollout() = default;
  virtual FusedLaunch shape(const FusedNetwork& network, int environments, const DeviceLimits& limits) const = 0;
  // CUDA streams only. Stream-ordered.
  virtual void launch(const Stream& stream, const FusedLaunch& shape, const FusedNetwork& network,
                      const FusedRows& rows) const = 0;
};

// The kernel for the type of `env`, which it keeps a reference to. Null where none was compiled: an environment from
// outside the tree, a build without CUDA.
std::unique_ptr<FusedRollout> find_fused_rollout(const VectorEnv& env, Precision precision);

}  // namespace stampede
