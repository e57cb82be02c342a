// SPDX-License-Identifier: Apache-2.0
#include "kernels/graph.h"

#include <utility>

namespace stampede {

Graph::Graph(const Stream& stream, bool enabled) : Graph(enabled ? cuda_graph_calls(stream) : nullptr) {}

Graph::Graph(std::unique_ptr<GraphCalls> calls) : calls_(std::move(calls)) { kept_.reserve(kKept); }

void Graph::run(const std::function<void()>& run_once) {
  if (calls_ == nullptr) return run_once();
  if (warm_ups_left_ > 0) {
    --warm_ups_left_;
    return run_once();
  }
  begin();
  try {
    run_once();
  } catch (...) {
    abandon();
    throw;
  }
  if (captures_) {
    nodes_ = calls_->end_capture();
  } else {
    calls_->end_recording();
    nodes_ = static_cast<int>(work().size());
  }
  changed_nodes_ = nodes_;
  if (nodes_ > 0) calls_->launch(captures_ ? captured_slot() : recorded_slot());
}

void Graph::begin() {
  if (captures_) return calls_->begin_capture();
  work().clear();
  calls_->begin_recording(*this);
}

void Graph::abandon() noexcept {
  if (captures_) {
    calls_->abandon_capture();
  } else {
    calls_->end_recording();
  }
}

// What was recorded goes into the capture first, so that it holds the whole run.
void Graph::interrupt() {
  calls_->end_recording();
  captures_ = true;
  kept_.clear();
  next_replaced_ = 0;
  calls_->begin_capture();
  calls_->enqueue(work());
}

int Graph::recorded_slot() {
  const auto kept = static_cast<int>(kept_.size());
  for (int slot = 0; slot < kept; ++slot) {
    if (!work().has_shape_of(kept_[static_cast<std::size_t>(slot)].work)) continue;
    change_nodes(slot);
    return slot;
  }
  const int slot = new_slot();
  calls_->build(slot, work());
  std::swap(kept_[static_cast<std::size_t>(slot)].work, work());
  return slot;
}

void Graph::change_nodes(int slot) {
  WorkList& before = kept_[static_cast<std::size_t>(slot)].work;
  changed_nodes_ = 0;
  for (std::size_t i = 0; i < work().size(); ++i) {
    if (work().same_work(i, before)) continue;
    calls_->change(slot, i, work());
    ++changed_nodes_;
  }
  std::swap(before, work());
}

// The number of nodes tells most shapes apart, update() the others: work in another order may have as many nodes.
int Graph::captured_slot() {
  const auto kept = static_cast<int>(kept_.size());
  for (int slot = 0; slot < kept; ++slot) {
    if (kept_[static_cast<std::size_t>(slot)].nodes == nodes_ && calls_->update(slot)) return slot;
  }
  const int slot = new_slot();
  calls_->instantiate(slot);
  return slot;
}

// For the nodes at hand; the oldest shape gives way.
int Graph::new_slot() {
  auto slot = static_cast<int>(kept_.size());
  if (slot < kKept) {
    kept_.emplace_back();
  } else {
    slot = std::exchange(next_replaced_, (next_replaced_ + 1) % kKept);
  }
  kept_[static_cast<std::size_t>(slot)].nodes = nodes_;
  ++instantiations_;
  return slot;
}

}  // namespace stampede
