// SPDX-License-Identifier: Apache-2.0
// The two kinds of failure a user can meet, and how they become exit codes.
#pragma once

#include <stdexcept>
#include <string>

namespace stampede {

// Something the user asked for is wrong and was found before any work was done: exit code 2.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& message) : std::runtime_error(message) {}
};

// Something failed while running (a file, a device, memory, a non-finite number): exit code 1.
class RuntimeError : public std::runtime_error {
 public:
  explicit RuntimeError(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace stampede
