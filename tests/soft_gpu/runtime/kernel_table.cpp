// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/kernel_table.h"

#include <utility>

namespace stampede::soft_gpu {

void LoadedModule::load() {
  if (module_ != nullptr) return;
  binary_ = read_fat_binary(wrapper_);
  module_ = std::make_unique<Module>(binary_->ptx);
}

const Kernel* LoadedModule::find(const std::string& name) {
  load();
  return module_->find(name);
}

int LoadedModule::registers(const std::string& name) {
  load();
  const auto found = binary_->registers.find(name);
  return found == binary_->registers.end() ? 0 : found->second;
}

LoadedModule* KernelTable::add_module(const void* wrapper) {
  return modules_.emplace_back(std::make_unique<LoadedModule>(wrapper)).get();
}

void KernelTable::add_kernel(const void* host_function, LoadedModule* module, std::string name) {
  kernels_[host_function] = {module, std::move(name)};
}

HostKernel* KernelTable::find(const void* host_function) {
  const auto found = kernels_.find(host_function);
  return found == kernels_.end() ? nullptr : &found->second;
}

}  // namespace stampede::soft_gpu
