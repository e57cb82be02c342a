// SPDX-License-Identifier: Apache-2.0
// Networks whose products a library computes, against the same networks on CPU tiles. The library is a stand-in that
// does on host memory what cuBLASLt documents.
#include "kernels/cublas_products.h"

#include <gtest/gtest.h>

#if __has_include(<cublasLt.h>) && __has_include(<cuda_runtime_api.h>)
#include <cublasLt.h>
#define STAMPEDE_HAS_CUBLAS_HEADER
#endif

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "kernels/error.h"
#include "tests/unit/fake_cublas_lt.h"
#include "tests/unit/network_run.h"

namespace stampede {
namespace {

using Lt = CublasLt;

NetworkRun run(const MlpNetwork& network, int rows) { return {Stream::cpu(), network, rows}; }

TowerSpec tower(const char* name, std::vector<int> hidden, Activation activation, std::vector<HeadSpec> heads) {
  return {name, std::move(hidden), activation, std::move(heads)};
}

std::vector<std::pair<std::string, NetworkSpec>> specs() {
  using enum Activation;
  TowerSpec normalized = tower("q", {130, 144}, kRelu, {{"value", 3, 1.0f}});
  normalized.layer_norm = true;
  return {
      {"relu", {5, false, {tower("a", {129, 200, 144}, kRelu, {{"policy", 17, 1.0f}, {"value", 1, 1.0f}})}}},
      {"wide", {33, false, {tower("q", {512, 257}, kRelu, {{"value", 4, 1.0f}})}}},
      {"tanh, two towers",
       {17, false, {tower("a", {257, 33}, kTanh, {{"policy", 3, 1.0f}}), tower("c", {130}, kRelu, {{"v", 1, 1.0f}})}}},
      {"linear", {3, false, {tower("q", {160, 150}, kLinear, {{"value", 2, 1.0f}})}}},
      {"normalised", {6, false, {normalized}}},
      {"classes", {19, true, {tower("q", {140, 150}, kRelu, {{"value", 4, 1.0f}})}}}};
}

class CublasProductsTest : public testing::Test {
 protected:
  std::shared_ptr<const CublasProducts> products(bool tf32 = false) {
    return std::make_shared<CublasProducts>(fake_.functions(), Device{}, tf32);
  }
  // Of the first `count` specs.
  void expect_native_results(const std::vector<int>& row_counts, std::size_t count = specs().size()) {
    const auto all = specs();
    for (std::size_t s = 0; s < count; ++s) {
      const auto& [name, spec] = all[s];
      const MlpNetwork native(spec), network(spec, products());
      for (const int rows : row_counts) {
        EXPECT_LT(difference(run(network, rows), run(native, rows)), 2e-5) << name << ", " << rows;
      }
    }
    EXPECT_EQ(fake_.complaint, "");
  }
  FakeCublasLt fake_;
};

TEST_F(CublasProductsTest, NetworksEqualThoseOnCpuTiles) {
  expect_native_results({1, 31, 33});
  expect_native_results({257}, 1);
  EXPECT_EQ(fake_.used.size(), 6u) << "not every epilogue was used";
  EXPECT_EQ(fake_.compute, Lt::kComputeFloat32);
}

TEST_F(CublasProductsTest, WithoutAnyEpilogueKernelsOfOurOwnFinish) {
  fake_.unsupported = {Lt::kBias, Lt::kReluBias, Lt::kReluMaskBias, Lt::kReluGradient, Lt::kBiasGradientOfA};
  expect_native_results({1, 33});
  EXPECT_EQ(fake_.used, std::set<Lt::Epilogue>{Lt::kNoEpilogue});
}

TEST_F(CublasProductsTest, AMaskIsOnlyWrittenWhereItCanBeRead) {
  for (const Lt::Epilogue missing : {Lt::kReluGradient, Lt::kReluMaskBias}) {
    fake_.unsupported = {missing};
    fake_.used.clear();
    expect_native_results({33});
    EXPECT_EQ(fake_.used.count(Lt::kReluMaskBias) + fake_.used.count(Lt::kReluGradient), 0u);
  }
}

TEST_F(CublasProductsTest, PlantedBugsAreNoticed) {
  const NetworkSpec spec = specs()[0].second;
  const NetworkRun expected = run(MlpNetwork(spec), 33);
  const auto notices = [&] {
    try {
      return !(difference(run(MlpNetwork(spec, products()), 33), expected) < 2e-5);
    } catch (const RuntimeError&) {
      return true;
    }
  };
  EXPECT_FALSE(notices());
  for (const Lt::DescAttribute lost :
       {Lt::kTransposeA, Lt::kTransposeB, Lt::kEpilogue, Lt::kBiasPointer, Lt::kMaskPointer, Lt::kMaskStride}) {
    fake_.lost = {lost};
    fake_.complaint.clear();
    EXPECT_TRUE(notices() || !fake_.complaint.empty()) << lost;
  }
}

TEST_F(CublasProductsTest, AlgorithmsAreChosenBeforeTheFirstProduct) {
  const MlpNetwork network(specs()[0].second, products());
  network.workspace_size(33, true);
  network.workspace_size(33, false);
  const int chosen = fake_.choices;
  EXPECT_GT(chosen, 0);
  EXPECT_EQ(fake_.matmuls, 0);
  run(network, 33);
  EXPECT_EQ(fake_.choices, chosen);
  EXPECT_GT(fake_.matmuls, 0);
}

TEST_F(CublasProductsTest, NothingIsLeftBehind) {
  {
    const MlpNetwork network(specs()[0].second, products());
    run(network, 31);
    EXPECT_GT(fake_.descriptors, 0);
  }
  EXPECT_EQ(fake_.descriptors, 0);
}

TEST_F(CublasProductsTest, Tf32IsAskedForOnlyWhenWanted) {
  run(MlpNetwork(specs()[0].second, products(true)), 1);
  EXPECT_EQ(fake_.compute, Lt::kComputeTf32);
}

TEST_F(CublasProductsTest, OtherDevicesAreNotServed) {
  const auto gpu_only = std::make_shared<CublasProducts>(fake_.functions(), Device{DeviceKind::kCuda}, false);
  const NetworkSpec spec = specs()[0].second;
  EXPECT_EQ(run(MlpNetwork(spec, gpu_only), 33), run(MlpNetwork(spec), 33));
  EXPECT_EQ(fake_.matmuls, 0);
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "";
}

TEST_F(CublasProductsTest, FailuresSayWhatToDo) {
  fake_.no_algorithms = true;
  EXPECT_EQ(message_of([&] { MlpNetwork(specs()[0].second, products()).workspace_size(33, false); }),
            "cuBLASLt has no algorithm for a product of 144 x 5 by 33; gemm=native trains without it");
  fake_.no_device = true;
  EXPECT_EQ(message_of([&] { products(); }),
            "cuBLASLt: the library was not initialized in cublasLtCreate; gemm=native trains without it");
}

#ifdef STAMPEDE_HAS_CUBLAS_HEADER
// Enumerators of two types that stand for one value.
constexpr bool same(auto ours, auto theirs) { return static_cast<long>(ours) == static_cast<long>(theirs); }

TEST(CublasLtHeader, DeclaresWhatTheTableDeclares) {
  static_assert(same(Lt::kSuccess, CUBLAS_STATUS_SUCCESS) && same(Lt::kNotSupported, CUBLAS_STATUS_NOT_SUPPORTED) &&
                same(Lt::kNotInitialized, CUBLAS_STATUS_NOT_INITIALIZED) &&
                same(Lt::kInvalidValue, CUBLAS_STATUS_INVALID_VALUE));
  static_assert(same(Lt::kFloat32, CUDA_R_32F) && same(Lt::kComputeFloat32, CUBLAS_COMPUTE_32F) &&
                same(Lt::kComputeTf32, CUBLAS_COMPUTE_32F_FAST_TF32));
  static_assert(same(Lt::kPlain, CUBLAS_OP_N) && same(Lt::kTransposed, CUBLAS_OP_T));
  static_assert(
      same(Lt::kNoEpilogue, CUBLASLT_EPILOGUE_DEFAULT) && same(Lt::kBias, CUBLASLT_EPILOGUE_BIAS) &&
      same(Lt::kReluBias, CUBLASLT_EPILOGUE_RELU_BIAS) && same(Lt::kReluMaskBias, CUBLASLT_EPILOGUE_RELU_AUX_BIAS) &&
      same(Lt::kReluGradient, CUBLASLT_EPILOGUE_DRELU) && same(Lt::kBiasGradientOfA, CUBLASLT_EPILOGUE_BGRADA));
  static_assert(
      same(Lt::kTransposeA, CUBLASLT_MATMUL_DESC_TRANSA) && same(Lt::kTransposeB, CUBLASLT_MATMUL_DESC_TRANSB) &&
      same(Lt::kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE) && same(Lt::kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER) &&
      same(Lt::kMaskPointer, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER) &&
      same(Lt::kMaskStride, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD));
  static_assert(same(Lt::kMaxWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) &&
                same(Lt::kReductionMask, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) &&
                same(Lt::kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES) &&
                same(Lt::kMinAlignmentA + 3, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES) &&
                same(Lt::kReduceInWorkspace, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  static_assert(sizeof(Lt::Algorithm) == sizeof(cublasLtMatmulAlgo_t) &&
                sizeof(Lt::Heuristic) == sizeof(cublasLtMatmulHeuristicResult_t) &&
                offsetof(Lt::Heuristic, workspace_bytes) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) &&
                offsetof(Lt::Heuristic, state) == offsetof(cublasLtMatmulHeuristicResult_t, state) &&
                offsetof(Lt::Heuristic, waves) == offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));
}
#endif

// The library itself, where it is installed: it has every function, and without a GPU it says so.
TEST(CublasLtLibrary, HasTheFunctionsOfTheTable) {
  CublasLt functions{};
  try {
    functions = load_cublas_lt();
  } catch (const RuntimeError& error) {
    GTEST_SKIP() << error.what();
  }
  EXPECT_STREQ(functions.status_string(Lt::kSuccess), "success");
  if (cuda_unavailable_reason().empty()) return;
#ifndef __SANITIZE_ADDRESS__  // cublasLtCreate leaks when it fails
  EXPECT_EQ(message_of([&] { CublasProducts(functions, Device{DeviceKind::kCuda}, false); }),
            "cuBLASLt: the library was not initialized in cublasLtCreate; gemm=native trains without it");
#endif
}

}  // namespace
}  // namespace stampede
