// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's functions on host memory, by NVIDIA's documentation: column-major matrices, leading dimensions,
// transpositions, epilogues, workspace, alignment. What a description gets wrong shows in the result or as an error.
#pragma once

#include <set>
#include <string>

#include "kernels/cublas_lt.h"

namespace stampede {

// One exists at a time, because the functions of the table have nowhere else to find it.
class FakeCublasLt {
 public:
  FakeCublasLt();
  ~FakeCublasLt();
  FakeCublasLt(const FakeCublasLt&) = delete;
  FakeCublasLt& operator=(const FakeCublasLt&) = delete;

  CublasLt functions() const;

  std::set<CublasLt::Epilogue> unsupported;  // no algorithm has these
  std::set<CublasLt::DescAttribute> lost;    // descriptions of matmuls forget these: a planted bug
  bool no_algorithms = false, no_device = false;

  int choices = 0, matmuls = 0;       // calls so far
  int descriptors = 0;                // layouts, descriptions, preferences and handles that exist
  std::set<CublasLt::Epilogue> used;  // by matmuls
  CublasLt::ComputeType compute{};    // of the latest matmul
  std::string complaint;              // of the first call that was refused for what it asked
};

}  // namespace stampede
