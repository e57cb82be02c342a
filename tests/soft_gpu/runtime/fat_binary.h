// SPDX-License-Identifier: Apache-2.0
// What nvcc embeds for one object file: the PTX of its kernels, and what ptxas made of them.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace stampede::soft_gpu {

struct FatBinary {
  std::string_view ptx;                               // where the program has it
  std::map<std::string, int, std::less<>> registers;  // per thread, by the mangled name of the kernel
};

// `wrapper`: what nvcc's generated code passes to __cudaRegisterFatBinary. Throws RuntimeError when there is no plain
// PTX in it: nvcc must get --no-compress.
FatBinary read_fat_binary(const void* wrapper);

}  // namespace stampede::soft_gpu
