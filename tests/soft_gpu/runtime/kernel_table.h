// SPDX-License-Identifier: Apache-2.0
// The kernels of this program: what its generated code registers before main.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/soft_gpu/module.h"
#include "tests/soft_gpu/runtime/fat_binary.h"

namespace stampede::soft_gpu {

// The PTX of one object file; nothing of it is read before one of its kernels is launched.
class LoadedModule {
 public:
  explicit LoadedModule(const void* wrapper) : wrapper_(wrapper) {}

  // nullptr when the module has no such kernel. Throws as Module::find does.
  const Kernel* find(const std::string& name);
  // Per thread; 0 when it is not known.
  int registers(const std::string& name);

 private:
  void load();

  const void* wrapper_;
  std::optional<FatBinary> binary_;
  std::unique_ptr<Module> module_;
};

// A kernel as the host knows it.
struct HostKernel {
  LoadedModule* module = nullptr;
  std::string name;                             // mangled
  std::optional<std::size_t> dynamic_shared{};  // bytes that cudaFuncSetAttribute allowed
};

class KernelTable {
 public:
  LoadedModule* add_module(const void* wrapper);
  void add_kernel(const void* host_function, LoadedModule* module, std::string name);
  // nullptr when no such function was registered.
  HostKernel* find(const void* host_function);

 private:
  std::vector<std::unique_ptr<LoadedModule>> modules_;
  std::map<const void*, HostKernel> kernels_;
};

}  // namespace stampede::soft_gpu
