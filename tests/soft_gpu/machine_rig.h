// SPDX-License-Identifier: Apache-2.0
// Small hand-written kernels for tests of the software GPU.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/soft_gpu/machine.h"

namespace stampede::soft_gpu {

// A module with the kernel `k`, whose parameters are `arguments` pointers in %rd1, %rd2, ...; %r1 is the thread, %r2
// the block, %r3 the thread of the whole grid, %rd10 four times that, %rd11 four times the thread. before: declarations
// and functions.
inline std::string kernel_text(int arguments, const std::string& body, const std::string& before = "") {
  std::string parameters, loads;
  for (int i = 0; i < arguments; ++i) {
    const std::string name = "k_param_" + std::to_string(i);
    parameters += (i > 0 ? ",\n.param .u64 " : ".param .u64 ") + name;
    loads += "ld.param.u64 %rd" + std::to_string(i + 1) + ", [" + name + "];\n";
  }
  return ".version 8.0\n.target sm_90\n.address_size 64\n" + before + "\n.visible .entry k(\n" + parameters +
         "\n)\n{\n.reg .pred %p<9>;\n.reg .b16 %rs<9>;\n.reg .b32 %r<50>;\n.reg .f32 %f<50>;\n.reg .b64 %rd<50>;\n"
         ".reg .f64 %fd<9>;\n" +
         loads +
         "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\nmov.u32 %r4, %ntid.x;\nmad.lo.s32 %r3, %r2, %r4, %r1;\n"
         "mul.wide.u32 %rd10, %r3, 4;\nmul.wide.u32 %rd11, %r1, 4;\n" +
         body + "\nret;\n}\n";
}

class MachineRig {
 public:
  // A new array with these values.
  template <class T>
  std::uint64_t array(const std::vector<T>& values) {
    const std::size_t bytes = values.size() * sizeof(T);
    const std::uint64_t address = memory.allocate(bytes);
    std::memcpy(memory.host_view(address, bytes, Access::kWrite), values.data(), bytes);
    return address;
  }
  template <class T>
  std::vector<T> values(std::uint64_t address, std::size_t count) {
    std::vector<T> result(count);
    std::memcpy(result.data(), memory.host_view(address, count * sizeof(T), Access::kRead), count * sizeof(T));
    return result;
  }

  Statistics run(const std::string& text, unsigned grid, unsigned block, const std::vector<std::uint64_t>& arguments,
                 std::size_t dynamic_shared = 0) {
    Module module(text);
    Launch launch{module.find("k"), grid, block, dynamic_shared, std::vector<std::byte>(8 * arguments.size())};
    if (!arguments.empty()) std::memcpy(launch.parameters.data(), arguments.data(), launch.parameters.size());
    return soft_gpu::run(launch, memory, schedule);
  }

  // The kind of the fault that a kernel ends with; its message must name `where`.
  void expect_fault(Fault::Kind kind, const std::string& where, const std::string& text, unsigned grid, unsigned block,
                    const std::vector<std::uint64_t>& arguments) {
    try {
      run(text, grid, block, arguments);
      ADD_FAILURE() << "no fault";
    } catch (const Fault& fault) {
      EXPECT_EQ(static_cast<int>(fault.kind()), static_cast<int>(kind)) << fault.what();
      EXPECT_NE(std::string(fault.what()).find(where), std::string::npos) << fault.what();
    }
  }

  DeviceMemory memory{1 << 20};
  Schedule schedule;
};

// Forward, backward and some shuffled orders.
inline std::vector<Schedule> some_schedules() {
  std::vector<Schedule> schedules(2);
  schedules[1].order = Schedule::Order::kBackward;
  for (std::uint64_t seed = 0; seed < 4; ++seed) schedules.push_back({Schedule::Order::kShuffled, seed});
  return schedules;
}

}  // namespace stampede::soft_gpu
