// SPDX-License-Identifier: Apache-2.0
// Which library computes the networks of a run.
#pragma once

#include "agents/trainable_network.h"
#include "train/config.h"

namespace stampede {

// network=native: MlpNetwork, whose products cuBLASLt computes on CUDA as the key gemm says; network=torch: the library
// that holds the LibTorch networks. Both libraries are loaded on demand. Throws UsageError for values that exclude each
// other, RuntimeError when a library that was asked for is not there.
NetworkFactory network_factory(const Config& config);

}  // namespace stampede
