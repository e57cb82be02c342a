// SPDX-License-Identifier: Apache-2.0
// The functions of NVIDIA's cuBLASLt that CublasProducts calls, as a table. The library has half a gigabyte, so the
// program is not linked with it but loads it when a network wants it, and no build needs its headers; a test compares
// what is declared here with cublasLt.h. Tests fill the table with functions that compute on the host.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stampede {

struct CublasLt {
  // Values of the library's enumerations.
  enum Status : int { kSuccess = 0, kNotInitialized = 1, kInvalidValue = 7, kNotSupported = 15 };
  enum DataType : int { kFloat32 = 0 };
  enum ComputeType : int { kComputeFloat32 = 68, kComputeTf32 = 77 };
  enum Operation : std::int32_t { kPlain = 0, kTransposed = 1 };
  enum Epilogue : std::uint32_t {
    kNoEpilogue = 1,
    kReluBias = 2 | 4,
    kBias = 4,
    kReluMaskBias = 2 | 128 | 4,
    kReluGradient = 8 | 128,
    kBiasGradientOfA = 256
  };
  enum DescAttribute : int {
    kTransposeA = 3,
    kTransposeB = 4,
    kEpilogue = 7,
    kBiasPointer = 8,
    kMaskPointer = 11,
    kMaskStride = 12
  };
  enum PreferenceAttribute : int { kMaxWorkspace = 1, kReductionMask = 3, kMinAlignmentA = 5 };  // B, C and D follow A
  enum Reduction : std::uint32_t { kReduceInWorkspace = 2 };

  using Handle = void*;      // cublasLtHandle_t
  using Layout = void*;      // cublasLtMatrixLayout_t
  using Desc = void*;        // cublasLtMatmulDesc_t
  using Preference = void*;  // cublasLtMatmulPreference_t
  struct Algorithm {         // cublasLtMatmulAlgo_t
    std::uint64_t data[8];
  };
  struct Heuristic {  // cublasLtMatmulHeuristicResult_t
    Algorithm algorithm;
    std::size_t workspace_bytes;
    Status state;
    float waves;
    int reserved[4];
  };

  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  const char* (*status_string)(Status);
  // rows, columns and leading dimension of a column-major matrix.
  Status (*layout_create)(Layout*, DataType, std::uint64_t, std::uint64_t, std::int64_t);
  Status (*layout_destroy)(Layout);
  Status (*desc_create)(Desc*, ComputeType, DataType);
  Status (*desc_destroy)(Desc);
  Status (*desc_set)(Desc, DescAttribute, const void*, std::size_t);
  Status (*preference_create)(Preference*);
  Status (*preference_destroy)(Preference);
  Status (*preference_set)(Preference, PreferenceAttribute, const void*, std::size_t);
  // Layouts of A, B, C and D; at most `requested` results.
  Status (*heuristic)(Handle, Desc, Layout, Layout, Layout, Layout, Preference, int requested, Heuristic*, int* found);
  // D = alpha op(A) op(B) + beta C; the last arguments are workspace, its bytes and the cudaStream_t.
  Status (*matmul)(Handle, Desc, const void* alpha, const void*, Layout, const void*, Layout, const void* beta,
                   const void*, Layout, void*, Layout, const Algorithm*, void*, std::size_t, void*);
};

// The functions of libcublasLt.so.13 (or 12) where the loader or /usr/local/cuda has it. It is never unloaded: what it
// made may live as long as the program. Throws RuntimeError, with the reason, when it is not there.
CublasLt load_cublas_lt();

}  // namespace stampede
