// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/soft_stream.h"

#include <algorithm>
#include <utility>

namespace stampede::soft_gpu {

void SoftStream::enqueue(WorkList work, std::vector<Wait> waits) {
  queue_.push_back({std::move(work), std::move(waits)});
  ++enqueued_;
}

// An entry waits only for what was enqueued before it, so this ends.
void SoftStream::run_to(Ticket ticket, const Execute& execute) {
  while (done_ < ticket && !queue_.empty()) {
    const Entry entry = std::move(queue_.front());
    queue_.pop_front();
    ++done_;
    for (const Wait& wait : entry.waits) wait.stream->run_to(wait.ticket, execute);
    for (const Work& work : *entry.work) execute(work);
  }
}

bool SoftStream::will_read_host(const void* memory, std::size_t bytes) const {
  return std::any_of(queue_.begin(), queue_.end(), [&](const Entry& entry) {
    return std::any_of(entry.work->begin(), entry.work->end(),
                       [&](const Work& work) { return reads_host(work, memory, bytes); });
  });
}

}  // namespace stampede::soft_gpu
