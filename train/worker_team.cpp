// SPDX-License-Identifier: Apache-2.0
#include "train/worker_team.h"

#include <utility>

namespace stampede {

WorkerTeam::WorkerTeam(int workers) : start_(workers), finish_(workers), failures_(static_cast<std::size_t>(workers)) {
  for (int w = 1; w < workers; ++w) threads_.emplace_back([this, w] { serve(w); });
}

WorkerTeam::~WorkerTeam() {
  work_ = nullptr;
  start_.arrive_and_wait();
}

void WorkerTeam::run(const std::function<void(int)>& work) {
  work_ = &work;
  start_.arrive_and_wait();
  attempt(0);
  finish_.arrive_and_wait();
  for (std::exception_ptr& failure : failures_) {
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }
}

void WorkerTeam::serve(int worker) {
  for (;;) {
    start_.arrive_and_wait();
    if (work_ == nullptr) return;
    attempt(worker);
    finish_.arrive_and_wait();
  }
}

void WorkerTeam::attempt(int worker) {
  try {
    (*work_)(worker);
  } catch (...) {
    failures_[static_cast<std::size_t>(worker)] = std::current_exception();
  }
}

}  // namespace stampede
