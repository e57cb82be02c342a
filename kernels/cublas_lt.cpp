// SPDX-License-Identifier: Apache-2.0
#include "kernels/cublas_lt.h"

#include <dlfcn.h>

#include <string>

#include "kernels/error.h"

namespace stampede {
namespace {

void* open_library() {
  std::string reason;
  for (const char* name : {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13",
                           "/usr/local/cuda/lib/libcublasLt.so.13", "libcublasLt.so.12"}) {
    if (void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    if (reason.empty()) reason = dlerror();
  }
  throw RuntimeError("cuBLASLt cannot be loaded: " + reason + "; install CUDA's libcublas or train with gemm=native");
}

template <class Function>
void look_up(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw RuntimeError(std::string("cuBLASLt has no function ") + name);
}

}  // namespace

CublasLt load_cublas_lt() {
  void* const library = open_library();
  CublasLt table{};
  look_up(library, "cublasLtCreate", table.create);
  look_up(library, "cublasLtDestroy", table.destroy);
  look_up(library, "cublasLtGetStatusString", table.status_string);
  look_up(library, "cublasLtMatrixLayoutCreate", table.layout_create);
  look_up(library, "cublasLtMatrixLayoutDestroy", table.layout_destroy);
  look_up(library, "cublasLtMatmulDescCreate", table.desc_create);
  look_up(library, "cublasLtMatmulDescDestroy", table.desc_destroy);
  look_up(library, "cublasLtMatmulDescSetAttribute", table.desc_set);
  look_up(library, "cublasLtMatmulPreferenceCreate", table.preference_create);
  look_up(library, "cublasLtMatmulPreferenceDestroy", table.preference_destroy);
  look_up(library, "cublasLtMatmulPreferenceSetAttribute", table.preference_set);
  look_up(library, "cublasLtMatmulAlgoGetHeuristic", table.heuristic);
  look_up(library, "cublasLtMatmul", table.matmul);
  return table;
}

}  // namespace stampede
