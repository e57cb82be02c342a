// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/module.h"

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/decoder.h"
#include "tests/soft_gpu/syntax.h"

namespace stampede::soft_gpu {

struct Module::Text : ModuleText {
  using ModuleText::ModuleText;
};

Kernel::Kernel() = default;
Kernel::~Kernel() = default;

Module::Module(std::string_view ptx) : text_(std::make_unique<const Text>(ptx)) {}
Module::~Module() = default;

std::vector<std::string> Module::kernel_names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : text_->entries) names.emplace_back(name);
  return names;
}

const Kernel* Module::find(std::string_view name) {
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second.get();
  const auto entry = text_->entries.find(name);
  if (entry == text_->entries.end()) return nullptr;
  auto kernel = std::make_unique<Kernel>();
  decode(*text_, entry->second, *kernel);
  return (kernels_[std::string(name)] = std::move(kernel)).get();
}

}  // namespace stampede::soft_gpu
