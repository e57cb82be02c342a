// SPDX-License-Identifier: Apache-2.0
// What a process may still take, read from the files of a machine that a test makes up.
#include "kernels/host_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/device.h"
#include "tests/unit/temporary_folder.h"

namespace stampede {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class HostMemory : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::size_t available() const { return available_host_memory(folder_.path()); }
  void SetUp() override { write("proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 10 kB\nMemAvailable:  8192000 kB\n"); }

 private:
  TemporaryFolder folder_;
};

TEST_F(HostMemory, IsWhatTheMachineSays) { EXPECT_EQ(available(), 8000 * kMiB); }

TEST_F(HostMemory, OfAContainerIsWhatItsLimitLeaves) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/memory.max", std::to_string(1000 * kMiB) + "\n");
  write("sys/fs/cgroup/memory.current", std::to_string(700 * kMiB) + "\n");
  EXPECT_EQ(available(), 300 * kMiB);
  write("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file " + std::to_string(200 * kMiB) + "\nfile 7\n");
  EXPECT_EQ(available(), 500 * kMiB) << "a cache can be had";
  write("sys/fs/cgroup/memory.current", std::to_string(1300 * kMiB) + "\n");
  EXPECT_EQ(available(), 0u);
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(available(), 8000 * kMiB);
}

TEST_F(HostMemory, OfAGroupBelowTheMountPoint) {
  write("proc/self/cgroup", "4:memory:/batch/job\n0::/user/job\n");
  write("sys/fs/cgroup/user/job/memory.max", std::to_string(900 * kMiB) + "\n");
  write("sys/fs/cgroup/user/job/memory.current", "0\n");
  EXPECT_EQ(available(), 900 * kMiB);
  write("sys/fs/cgroup/memory/batch/job/memory.limit_in_bytes", std::to_string(64 * kMiB) + "\n");
  write("sys/fs/cgroup/memory/batch/job/memory.usage_in_bytes", std::to_string(60 * kMiB) + "\n");
  write("sys/fs/cgroup/memory/batch/job/memory.stat", "total_inactive_file " + std::to_string(30 * kMiB) + "\n");
  EXPECT_EQ(available(), 34 * kMiB);
}

TEST_F(HostMemory, OfThisMachineIsNotNothing) {
  EXPECT_GT(available_memory(Device{}), kMiB);
  EXPECT_GT(available_host_memory("/no/such/folder"), kMiB);
}

}  // namespace
}  // namespace stampede
