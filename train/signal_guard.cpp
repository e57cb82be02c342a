// SPDX-License-Identifier: Apache-2.0
#include "train/signal_guard.h"

namespace stampede {
namespace {

// A signal handler can reach nothing but static storage.
volatile std::sig_atomic_t received_signal = 0;

extern "C" void remember_signal(int number) {
  received_signal = number;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

SignalGuard::SignalGuard() {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &old_interrupt_);
  ::sigaction(SIGTERM, &action, &old_terminate_);
}

SignalGuard::~SignalGuard() {
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
}

int SignalGuard::signal() const { return received_signal; }

}  // namespace stampede
