// SPDX-License-Identifier: Apache-2.0
// Runs enqueued work, such as an iteration of training, as one CUDA graph: one launch instead of one per kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/stream.h"
#include "kernels/work_list.h"

namespace stampede {

// The calls that a Graph makes, apart so that a test can watch them. Slots number the executable graphs that are kept.
class GraphCalls {
 public:
  virtual ~GraphCalls() = default;

  // From here on, the recorder gets what is enqueued on the stream.
  virtual void begin_recording(WorkRecorder& recorder) = 0;
  virtual void end_recording() noexcept = 0;
  // Makes recorded work slot's executable graph.
  virtual void build(int slot, const WorkList& work) = 0;
  // Gives node i of a graph that was built the parameters of work[i], for launches from here on.
  virtual void change(int slot, std::size_t i, const WorkList& work) = 0;

  // From here on, work enqueued on the stream is captured instead of run.
  virtual void begin_capture() = 0;
  // Enqueues what was recorded.
  virtual void enqueue(const WorkList& work) = 0;
  // Returns the number of nodes captured.
  virtual int end_capture() = 0;
  // Drops what was captured, after an exception.
  virtual void abandon_capture() noexcept = 0;
  // Gives slot's executable graph the parameters just captured; false, and nothing done, when it has other nodes.
  virtual bool update(int slot) = 0;
  // Makes the captured work slot's executable graph.
  virtual void instantiate(int slot) = 0;

  virtual void launch(int slot) = 0;
};

// Every run writes its work down and compares it with that of the run before: only nodes whose parameters differ are
// changed in an executable graph made earlier. So the host may go on passing what changes (learning rates, row numbers,
// slots of a ring) at launch, and pays for these nodes alone; the same kernels run with the same arguments as without a
// graph, so the results are the same bits. Work that needs the stream itself, such as a library's kernels, is not seen
// here; from its first appearance on, runs are captured by CUDA and all their nodes updated. Executable graphs of the
// latest few shapes are kept: an update of a target network makes an iteration longer now and then.
class Graph : private WorkRecorder {
 public:
  // Runs that are enqueued directly before the first that is a graph.
  static constexpr int kWarmUps = 2;
  // Executable graphs kept.
  static constexpr int kKept = 4;

  // On a CPU stream, or with enabled = false, run() is a plain call.
  Graph(const Stream& stream, bool enabled);
  explicit Graph(std::unique_ptr<GraphCalls> calls);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Calls run_once() once. It may only enqueue on the stream; waiting in it is a RuntimeError.
  void run(const std::function<void()>& run_once);

  // Of the latest run as a graph; 0 before one.
  int nodes() const { return nodes_; }
  // Of these, the nodes that were given other parameters than in the run before; all of them when captured or new.
  int changed_nodes() const { return changed_nodes_; }
  std::int64_t instantiations() const { return instantiations_; }

 private:
  struct Kept {
    int nodes = 0;
    WorkList work;  // empty when captured
  };

  void interrupt() override;
  void begin();
  void abandon() noexcept;
  int recorded_slot();
  int captured_slot();
  int new_slot();
  void change_nodes(int slot);

  std::unique_ptr<GraphCalls> calls_;
  int warm_ups_left_ = kWarmUps;
  bool captures_ = false;
  int nodes_ = 0, changed_nodes_ = 0;
  std::vector<Kept> kept_;  // of each slot in use
  int next_replaced_ = 0;
  std::int64_t instantiations_ = 0;
};

// Null on a CPU stream.
std::unique_ptr<GraphCalls> cuda_graph_calls(const Stream& stream);

}  // namespace stampede
