// SPDX-License-Identifier: Apache-2.0
#include "kernels/graph.h"

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

// The number of nodes tells most shapes apart, update() the others: work in another order may have as many nodes.
int Graph::prepared_slot() {
  const auto kept = static_cast<int>(kept_nodes_.size());
  for (int slot = 0; slot < kept; ++slot) {
    if (kept_nodes_[static_cast<std::size_t>(slot)] == nodes_ && calls_->update(slot)) return slot;
  }
  int slot = kept;
  if (kept < kKept) {
    kept_nodes_.push_back(nodes_);
  } else {
    slot = std::exchange(next_replaced_, (next_replaced_ + 1) % kKept);
    kept_nodes_[static_cast<std::size_t>(slot)] = nodes_;
  }
  calls_->instantiate(slot);
  ++instantiations_;
  return slot;
}

}  // namespace stampede
