// SPDX-License-Identifier: Apache-2.0
// Runs the tests on the software device. A test that ends with a fault leaves a working device to the next one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/soft_gpu/runtime/control.h"

namespace stampede::soft_gpu {
namespace {

class ReplaceLostDevice : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    if (!last_fault().empty()) reset_device();
  }
};

}  // namespace
}  // namespace stampede::soft_gpu

int main(int argc, char** argv) {
  ::setenv("STAMPEDE_SOFT_GPU", "1", 1);  // for on_software_device()
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new stampede::soft_gpu::ReplaceLostDevice);
  return RUN_ALL_TESTS();
}
