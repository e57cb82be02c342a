// SPDX-License-Identifier: Apache-2.0
// Runs the built program as a user does and keeps what it printed; kills it when it hangs.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace stampede {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when one ended it
  bool timed_out = false;
  std::string out, err;

  // Lines of standard error that are neither progress nor the memory budget.
  std::vector<std::string> messages() const;
};

struct ProgramOptions {
  std::string folder = {};  // to run in; the current one otherwise
  int timeout_seconds = 30;
  std::function<bool()> ready_for_signal = {};  // polled until it is true, then `signal` is sent, once
  int signal = 0;
};

ProgramResult run_built_program(const std::vector<std::string>& words, const ProgramOptions& options = {});

std::string read_file(const std::string& path);

}  // namespace stampede
