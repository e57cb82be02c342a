// SPDX-License-Identifier: Apache-2.0
// A module of PTX text, whose kernels are decoded when they are first asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace stampede::soft_gpu {

struct Code;  // decoded instructions: code.h

struct Parameter {
  std::size_t offset = 0, bytes = 0, alignment = 1;
};

struct Kernel {
  Kernel();
  ~Kernel();

  std::string name;  // mangled
  std::vector<Parameter> parameters;
  std::size_t parameter_bytes = 0;  // of all of them, with padding between
  std::size_t static_shared = 0;    // bytes
  std::size_t local_bytes = 0;      // per thread
  unsigned max_threads = 1024;      // per block: .maxntid
  std::unique_ptr<const Code> code;
};

class Module {
 public:
  // Finds the kernels and decodes nothing.
  explicit Module(std::string_view ptx);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  std::vector<std::string> kernel_names() const;
  // The kernel of that mangled name, or nullptr. It lives as long as the module. Throws Fault when its code has an
  // instruction that the machine does not know. Not thread-safe.
  const Kernel* find(std::string_view name);

 private:
  struct Text;
  std::unique_ptr<const Text> text_;
  std::map<std::string, std::unique_ptr<Kernel>, std::less<>> kernels_;
};

}  // namespace stampede::soft_gpu
