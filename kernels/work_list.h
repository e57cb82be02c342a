// SPDX-License-Identifier: Apache-2.0
// Work for a CUDA stream in the order in which it would have been enqueued, to be compared with that of another time.
#pragma once

#include <array>
#include <cstddef>
#include <variant>
#include <vector>

#include "kernels/enqueue.h"

namespace stampede {

class WorkList {
 public:
  using Work = std::variant<KernelLaunch, DeviceCopy, ZeroFill>;

  // Copies the bytes of the arguments.
  void add(const KernelLaunch& launch, const KernelArguments& arguments);
  void add(const DeviceCopy& copy) { items_.push_back({copy}); }
  void add(const ZeroFill& fill) { items_.push_back({fill}); }
  // Keeps the memory.
  void clear();

  std::size_t size() const { return items_.size(); }
  const Work& operator[](std::size_t i) const { return items_[i].work; }
  // Of a kernel; valid until something is added.
  KernelArguments arguments(std::size_t i) const;

  // Whether this list differs from the other in nothing but what a node of an executable graph may take anew: grids,
  // arguments and addresses.
  bool has_shape_of(const WorkList& other) const;
  // For lists of one shape.
  bool same_work(std::size_t i, const WorkList& other) const;

 private:
  struct Item {
    Work work;
    std::size_t begin = 0;  // of its arguments in bytes_
    std::array<std::size_t, std::tuple_size_v<KernelArguments>> sizes{};
  };
  bool same_arguments(std::size_t i, const WorkList& other) const;

  std::vector<Item> items_;
  std::vector<std::byte> bytes_;
};

// Takes what is enqueued on a stream while a Graph records it.
class WorkRecorder {
 public:
  virtual ~WorkRecorder() = default;
  WorkList& work() { return work_; }
  // Somebody needs the stream itself, a library for example. Afterwards it can be had, with the work so far enqueued.
  virtual void interrupt() = 0;

 private:
  WorkList work_;
};

}  // namespace stampede
