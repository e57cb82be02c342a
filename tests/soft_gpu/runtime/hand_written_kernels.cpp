// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/hand_written_kernels.h"

#include <array>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFunction(void** module, const char* host_function, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*);
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                               cudaStream_t stream);
}

namespace stampede::soft_gpu {
namespace {

constexpr std::array<const char*, 3> kNames{"store", "store_bounded", "store_shared"};

std::string kernel_text(const std::string& name, const std::string& directive, const std::string& declaration) {
  return ".visible .entry " + name + "(.param .u32 value, .param .u64 to)\n" + directive + "{\n" + declaration +
         "\t.reg .b32 %r<5>;\n\t.reg .b64 %rd<4>;\n"
         "\tld.param.u32 %r1, [value];\n"
         "\tld.param.u64 %rd1, [to];\n"
         "\tmov.u32 %r2, %ctaid.x;\n\tmov.u32 %r3, %ntid.x;\n\tmov.u32 %r4, %tid.x;\n"
         "\tmad.lo.s32 %r2, %r2, %r3, %r4;\n"
         "\tmul.wide.u32 %rd2, %r2, 4;\n"
         "\tcvta.to.global.u64 %rd1, %rd1;\n"
         "\tadd.s64 %rd3, %rd1, %rd2;\n"
         "\tst.global.u32 [%rd3], %r1;\n"
         "\tret;\n}\n";
}

std::string module_text() {
  return ".version 9.0\n.target sm_90\n.address_size 64\n" + kernel_text(kNames[0], "", "") +
         kernel_text(kNames[1], ".maxntid 64, 1, 1\n", "") +
         kernel_text(kNames[2], "", "\t.shared .align 4 .b8 room[40000];\n");
}

// The layout that fatbinary writes: a file header, and one entry with PTX.
struct Module {
  Module() {
    const std::string text = module_text();
    const std::uint16_t header_bytes = 16, kind = 1, version = 1;
    const std::uint32_t magic = 0xba55ed50, entry_bytes = 64;
    const std::uint64_t stored = text.size() + 1, total = entry_bytes + stored;
    bytes.resize(header_bytes + total);
    put(0, magic), put(4, version), put(6, header_bytes), put(8, total);
    put(16, kind), put(18, version), put(20, entry_bytes), put(24, stored);
    std::memcpy(bytes.data() + header_bytes + entry_bytes, text.data(), text.size());
    wrapper.data = bytes.data();
    void** const handle = __cudaRegisterFatBinary(&wrapper);
    for (const char* const& name : kNames) {
      __cudaRegisterFunction(handle, host_function(name), nullptr, name, -1, nullptr, nullptr, nullptr, nullptr,
                             nullptr);
    }
  }

  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }

  // Any address of its own stands for a kernel.
  static const char* host_function(const char* const& name) { return reinterpret_cast<const char*>(&name); }

  std::vector<char> bytes;
  struct {
    std::uint32_t magic = 0x466243b1, version = 1;
    const char* data = nullptr;
    const void* unused = nullptr;
  } wrapper;
};

const char* host_function(HandWritten kernel) {
  static Module module;
  return Module::host_function(kNames[static_cast<std::size_t>(kernel)]);
}

}  // namespace

cudaError_t launch_store(HandWritten kernel, cudaStream_t stream, std::uint32_t value, std::uint32_t* to, unsigned grid,
                         unsigned block, std::size_t shared) {
  cudaKernel_t handle = nullptr;
  const cudaError_t status = __cudaGetKernel(&handle, host_function(kernel));
  if (status != cudaSuccess) return status;
  void* arguments[] = {&value, &to};
  return __cudaLaunchKernel(handle, dim3(grid), dim3(block), arguments, shared, stream);
}

cudaError_t allow_shared(HandWritten kernel, std::size_t bytes) {
  return cudaFuncSetAttribute(host_function(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}

}  // namespace stampede::soft_gpu
