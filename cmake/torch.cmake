# SPDX-License-Identifier: Apache-2.0
# LibTorch from a folder with include/ and lib/ (tools/setup_torch.sh makes one, an installed Python package is one).
# Defines the target `torch_cpu` and STAMPEDE_TORCH_FOUND, and `torch_cuda` where LibTorch's CUDA libraries are there and
# this build has CUDA.
# find_package(Torch) is not used: it needs a CUDA toolkit and links libtorch.so, which pulls in every CUDA library.
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(_cache "$ENV{XDG_CACHE_HOME}")
else()
  set(_cache "$ENV{HOME}/.cache")
endif()
set(TORCH_DIR "${_cache}/stampede/libtorch-2.11.0/torch" CACHE PATH "folder with include/ATen and lib/libtorch_cpu.so")

set(STAMPEDE_TORCH_FOUND FALSE)
if(EXISTS "${TORCH_DIR}/lib/libtorch_cpu.so" AND EXISTS "${TORCH_DIR}/include/ATen/ATen.h")
  set(STAMPEDE_TORCH_FOUND TRUE)
else()
  message(STATUS "LibTorch is not in ${TORCH_DIR} (./stampede setup torch fetches it): its parts are left out")
endif()

if(STAMPEDE_TORCH_FOUND AND NOT TARGET torch_cpu)
  set(_torch_dirs "${TORCH_DIR}/lib" "${TORCH_DIR}/../nvidia/cu13/lib")
  list(TRANSFORM _torch_dirs PREPEND "LINKER:-rpath," OUTPUT_VARIABLE _rpath)
  list(TRANSFORM _torch_dirs PREPEND "LINKER:-rpath-link," OUTPUT_VARIABLE _rpath_link)
  add_library(torch_cpu INTERFACE)
  target_compile_features(torch_cpu INTERFACE cxx_std_17)
  target_include_directories(torch_cpu SYSTEM INTERFACE "${TORCH_DIR}/include" "${TORCH_DIR}/include/torch/csrc/api/include")
  # Never libtorch.so: it needs libtorch_cuda.so.
  target_link_libraries(torch_cpu INTERFACE "${TORCH_DIR}/lib/libtorch_cpu.so" "${TORCH_DIR}/lib/libc10.so")
  # DT_RPATH, not DT_RUNPATH: it also serves what libtorch_cpu.so itself needs (libcudart, libcupti).
  target_link_options(torch_cpu INTERFACE ${_rpath_link} ${_rpath} "LINKER:--disable-new-dtags")
endif()

if(TARGET torch_cpu AND STAMPEDE_CUDA AND EXISTS "${TORCH_DIR}/lib/libtorch_cuda.so" AND NOT TARGET torch_cuda)
  # Its headers call the CUDA runtime: the shared one that LibTorch itself uses, not the program's static one.
  find_library(TORCH_CUDART NAMES libcudart.so.13 libcudart.so NO_DEFAULT_PATH
               PATHS "${TORCH_DIR}/../nvidia/cu13/lib" ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} /usr/local/cuda/lib64)
  if(TORCH_CUDART)
    add_library(torch_cuda INTERFACE)
    target_compile_definitions(torch_cuda INTERFACE STAMPEDE_TORCH_CUDA=1)
    target_include_directories(torch_cuda SYSTEM INTERFACE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
    # libtorch_cuda.so registers itself when it is loaded; nothing names a symbol of it.
    target_link_libraries(torch_cuda INTERFACE torch_cpu "-Wl,--no-as-needed,${TORCH_DIR}/lib/libtorch_cuda.so,--as-needed"
                                               "${TORCH_DIR}/lib/libc10_cuda.so" "${TORCH_CUDART}")
  endif()
endif()
