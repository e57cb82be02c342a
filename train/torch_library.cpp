// SPDX-License-Identifier: Apache-2.0
#include "train/torch_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <string>

#include "kernels/error.h"

namespace stampede {
namespace {

// Beside the program, wherever it was built or installed.
std::string library_path() {
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program);
  const std::string path(program, length > 0 ? static_cast<std::size_t>(length) : 0);
  return path.substr(0, path.rfind('/') + 1) + "libstampede_torch.so";
}

}  // namespace

NetworkFactory load_torch_networks() {
  using MakeFunction = Network* (*)(const NetworkSpec&);
  // Never closed: networks made by it may live as long as the program.
  void* const library = dlopen(library_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw RuntimeError(std::string("network=torch: ") + dlerror() + "; run: ./stampede setup torch");
  }
  const auto make = reinterpret_cast<MakeFunction>(dlsym(library, "stampede_make_torch_network"));
  if (make == nullptr) throw RuntimeError("network=torch: libstampede_torch.so is of another version; rebuild it");
  return [make](const NetworkSpec& spec) { return std::unique_ptr<Network>(make(spec)); };
}

}  // namespace stampede
