// SPDX-License-Identifier: Apache-2.0
// Turns the first SIGINT, SIGTERM, SIGHUP or SIGPIPE into a flag that the training loop polls, so that it can save and
// leave: asked to, when its terminal is closed, or when nobody reads what it prints.
#pragma once

#include <array>
#include <csignal>

namespace stampede {

// While one lives, the first signal sets the flag and gives SIGINT and SIGTERM their default action back: a second one
// ends the process at once. A process that was told to ignore SIGHUP (nohup) or SIGPIPE goes on ignoring it. The
// destructor restores the earlier handlers. At most one at a time, on any thread.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  bool requested() const { return signal() != 0; }
  int signal() const;  // the number of the last one, or 0

 private:
  static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  std::array<struct sigaction, kSignals.size()> old_;
};

}  // namespace stampede
