// SPDX-License-Identifier: Apache-2.0
// Runs enqueued work, such as an iteration of training, as one CUDA graph: one launch instead of one per kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/stream.h"

namespace stampede {

// The calls that a Graph makes, apart so that a test can watch them. Slots number the executable graphs that are kept.
class GraphCalls {
 public:
  virtual ~GraphCalls() = default;
  // From here on, work enqueued on the stream is recorded instead of run.
  virtual void begin_capture() = 0;
  // Returns the number of nodes recorded.
  virtual int end_capture() = 0;
  // Drops what was recorded, after an exception.
  virtual void abandon_capture() noexcept = 0;
  // Gives slot's executable graph the parameters just recorded; false, and nothing done, when it has other nodes.
  virtual bool update(int slot) = 0;
  // Makes the recorded work slot's executable graph.
  virtual void instantiate(int slot) = 0;
  virtual void launch(int slot) = 0;
};

// Every run captures the work anew and writes its parameters into an executable graph made earlier, so that the host
// may go on passing what changes (learning rates, row numbers, slots of a ring) at launch; the same kernels run with
// the same arguments as without a graph, so the results are the same bits. Executable graphs of the latest few shapes
// are kept: an update of a target network makes an iteration longer now and then.
class Graph {
 public:
  // Runs that are enqueued directly before the first capture.
  static constexpr int kWarmUps = 2;
  // Executable graphs kept.
  static constexpr int kKept = 4;

  // On a CPU stream, or with enabled = false, run() is a plain call.
  Graph(const Stream& stream, bool enabled);
  explicit Graph(std::unique_ptr<GraphCalls> calls);

  // Calls work() once. It may only enqueue on the stream; waiting in it is a RuntimeError.
  void run(const std::function<void()>& work);

  // Of the latest captured run; 0 before one.
  int nodes() const { return nodes_; }
  std::int64_t instantiations() const { return instantiations_; }

 private:
  void capture(const std::function<void()>& work);
  int prepared_slot();

  std::unique_ptr<GraphCalls> calls_;
  int warm_ups_left_ = kWarmUps;
  int nodes_ = 0;
  std::vector<int> kept_nodes_;  // of each slot in use
  int next_replaced_ = 0;
  std::int64_t instantiations_ = 0;
};

// Null on a CPU stream.
std::unique_ptr<GraphCalls> cuda_graph_calls(const Stream& stream);

}  // namespace stampede
