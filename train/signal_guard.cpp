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
  if (number == SIGPIPE) std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

SignalGuard::SignalGuard() {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    ::sigaction(kSignals[k], &action, &old_[k]);
    const bool kept = kSignals[k] == SIGHUP || kSignals[k] == SIGPIPE;
    if (kept && old_[k].sa_handler == SIG_IGN) ::sigaction(kSignals[k], &old_[k], nullptr);
  }
}

SignalGuard::~SignalGuard() {
  for (std::size_t k = 0; k < kSignals.size(); ++k) ::sigaction(kSignals[k], &old_[k], nullptr);
}

int SignalGuard::signal() const { return received_signal; }

}  // namespace stampede
