// SPDX-License-Identifier: Apache-2.0
// Threads that live as long as a run and do one piece of work together, again and again.
#pragma once

#include <barrier>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace stampede {

// The calling thread is worker 0; a team of one has no other. Not OpenMP: its threads wait spinning and would take the
// cores from whatever runs between two pieces of work.
class WorkerTeam {
 public:
  explicit WorkerTeam(int workers);
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }
  // Calls work(worker) on every thread and waits for all. Rethrows what a worker threw.
  void run(const std::function<void(int)>& work);

 private:
  void serve(int worker);
  void attempt(int worker);

  std::barrier<> start_, finish_;
  const std::function<void(int)>* work_ = nullptr;  // null between pieces of work ends the threads
  std::vector<std::exception_ptr> failures_;        // per worker
  std::vector<std::jthread> threads_;
};

}  // namespace stampede
