// SPDX-License-Identifier: Apache-2.0
// Which processor a run uses, chosen at run time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stampede {

enum class DeviceKind { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;

  bool is_cuda() const { return kind == DeviceKind::kCuda; }
};

// Accepts "cpu", "cuda" and "auto" (a usable GPU, else the CPU). Throws UsageError for another name and RuntimeError
// when "cuda" is asked for and no GPU can be used; the message says why.
Device parse_device(std::string_view name);

std::string_view device_name(Device device);

// Empty when a GPU can be used, else the reason.
std::string cuda_unavailable_reason();

// Bytes that can be allocated on the device now.
std::size_t available_memory(Device device);

}  // namespace stampede
