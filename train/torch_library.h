// SPDX-License-Identifier: Apache-2.0
// Loads the shared library that holds the LibTorch networks, on demand: a native run never pays for it.
#pragma once

#include "agents/trainable_network.h"

namespace stampede {

// For CPU streams, or with cuda for CUDA streams: a library of its own, which needs LibTorch's CUDA libraries. Throws
// RuntimeError, with what to do, when the library or LibTorch is not there.
NetworkFactory load_torch_networks(bool cuda = false);

}  // namespace stampede
