// SPDX-License-Identifier: Apache-2.0
// A stream that puts off its work until somebody waits for it, so that a host that does not wait is found out.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/soft_gpu/runtime/work.h"

namespace stampede::soft_gpu {

class SoftStream {
 public:
  enum class Kind {
    kLegacy,       // the default stream: in order with every blocking stream
    kBlocking,     // in order with the default stream
    kNonBlocking,  // in order with nothing but itself
  };
  using Ticket = std::uint64_t;  // counts what was enqueued, from 1
  struct Wait {
    std::shared_ptr<SoftStream> stream;
    Ticket ticket = 0;
  };
  using Execute = std::function<void(const Work&)>;

  // What is recorded instead of enqueued between the begin and the end of a capture.
  struct Capture {
    std::vector<Work> nodes{};
    bool relaxed = false;      // other calls of the host are not restricted
    bool invalidated = false;  // by a call that a capture forbids
  };

  explicit SoftStream(Kind kind) : kind_(kind) {}

  Kind kind() const { return kind_; }
  // Runs after everything enqueued here before, and after what `waits` name.
  void enqueue(WorkList work, std::vector<Wait> waits);
  // Of what was enqueued last.
  Ticket last() const { return enqueued_; }
  // Executes everything up to and with that ticket, and what it waits for.
  void run_to(Ticket ticket, const Execute& execute);
  // Will work that is still to be done read these bytes of the host?
  bool will_read_host(const void* memory, std::size_t bytes) const;

  std::optional<Capture>& capture() { return capture_; }

 private:
  struct Entry {
    WorkList work;
    std::vector<Wait> waits;
  };

  Kind kind_;
  std::deque<Entry> queue_;
  Ticket enqueued_ = 0, done_ = 0;
  std::optional<Capture> capture_;
};

// What a stream had been given when the event was recorded.
struct SoftEvent {
  std::shared_ptr<SoftStream> stream{};  // null before it is recorded
  SoftStream::Ticket ticket = 0;
  bool captured = false;
};

}  // namespace stampede::soft_gpu
