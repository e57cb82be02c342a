// SPDX-License-Identifier: Apache-2.0
#include "kernels/graph.h"

#include <algorithm>
#include <utility>

namespace stampede {

Graph::Graph(const Stream& stream, bool enabled) : Graph(enabled ? cuda_graph_calls(stream) : nullptr) {}

Graph::Graph(std::unique_ptr<GraphCalls> calls) : calls_(std::move(calls)) { kept_nodes_.reserve(kKept); }

void Graph::run(const std::function<void()>& work) {
  if (calls_ == nullptr) return work();
  if (warm_ups_left_ > 0) {
    --warm_ups_left_;
    return work();
  }
  capture(work);
  if (nodes_ > 0) calls_->launch(prepared_slot());
}

void Graph::capture(const std::function<void()>& work) {
  calls_->begin_capture();
  try {
    work();
  } catch (...) {
    calls_->abandon_capture();
    throw;
  }
  nodes_ = calls_->end_capture();
}

// The number of nodes stands for the shape; update() says whether it really is the same.
int Graph::prepared_slot() {
  const auto kept = std::find(kept_nodes_.begin(), kept_nodes_.end(), nodes_);
  auto slot = static_cast<int>(kept - kept_nodes_.begin());
  if (kept != kept_nodes_.end() && calls_->update(slot)) return slot;
  if (kept == kept_nodes_.end() && slot < kKept) kept_nodes_.push_back(nodes_);
  if (slot == kKept) {
    slot = std::exchange(next_replaced_, (next_replaced_ + 1) % kKept);
    kept_nodes_[static_cast<std::size_t>(slot)] = nodes_;
  }
  calls_->instantiate(slot);
  ++instantiations_;
  return slot;
}

}  // namespace stampede
