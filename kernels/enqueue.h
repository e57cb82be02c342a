// SPDX-License-Identifier: Apache-2.0
// The three things that are enqueued on a CUDA stream. While a Graph records the stream, they are written down instead.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/stream.h"

namespace stampede {

struct KernelLaunch {
  const void* function = nullptr;  // the kernel's address on the host
  unsigned grid = 0, block = 0;
  std::size_t shared = 0;  // bytes of dynamic shared memory
};

struct KernelArgument {
  const void* data = nullptr;
  std::size_t bytes = 0;
};
// Those that a kernel does not have come last and are empty.
using KernelArguments = std::array<KernelArgument, 2>;

// Between ranges that do not overlap.
struct DeviceCopy {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
};

struct ZeroFill {
  void* memory = nullptr;
  std::size_t bytes = 0;
};

// CUDA streams only; stream-ordered. Arguments are copied. Throws RuntimeError.
void enqueue(const Stream& stream, const KernelLaunch& launch, const KernelArguments& arguments);
void enqueue(const Stream& stream, const DeviceCopy& copy);
void enqueue(const Stream& stream, const ZeroFill& fill);

}  // namespace stampede
