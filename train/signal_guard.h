// SPDX-License-Identifier: Apache-2.0
// Turns the first SIGINT or SIGTERM into a flag that the training loop polls, so that it can save and leave.
#pragma once

#include <csignal>

namespace stampede {

// While one lives, the first signal sets the flag and gives both signals their default action back: a second one ends
// the process at once. The destructor restores the earlier handlers. At most one at a time, on any thread.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  bool requested() const { return signal() != 0; }
  int signal() const;  // SIGINT, SIGTERM, or 0

 private:
  struct sigaction old_interrupt_;
  struct sigaction old_terminate_;
};

}  // namespace stampede
