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
std::string library_path(const std::string& name) {
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program);
  const std::string path(program, length > 0 ? static_cast<std::size_t>(length) : 0);
  return path.substr(0, path.rfind('/') + 1) + name;
}

}  // namespace

NetworkFactory load_torch_networks(bool cuda) {
  using MakeFunction = Network* (*)(const NetworkSpec&);
  const std::string name = cuda ? "libstampede_torch_cuda.so" : "libstampede_torch.so";
  // Never closed: networks made by it may live as long as the program.
  void* const library = dlopen(library_path(name).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const std::string remedy = cuda ? "./stampede setup torch --cuda, or use network=native" : "./stampede setup torch";
    throw RuntimeError((cuda ? "network=torch with device=cuda: " : "network=torch: ") + std::string(dlerror()) +
                       "; run: " + remedy);
  }
  const auto make = reinterpret_cast<MakeFunction>(dlsym(library, "stampede_make_torch_network"));
  if (make == nullptr) throw RuntimeError("network=torch: " + name + " is of another version; rebuild it");
  return [make](const NetworkSpec& spec) { return std::unique_ptr<Network>(make(spec)); };
}

}  // namespace stampede
