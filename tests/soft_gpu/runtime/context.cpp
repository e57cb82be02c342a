// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/context.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stampede::soft_gpu {

Context::Context(std::size_t memory_bytes, const Schedule& schedule)
    : memory_(memory_bytes), executor_(memory_, pinned_, schedule) {}

const std::shared_ptr<SoftStream>& Context::find(cudaStream_t stream) const {
  return stream == nullptr || stream == cudaStreamLegacy ? legacy_ : streams_.find(stream);
}

cudaStream_t Context::create_stream(bool non_blocking) {
  using Kind = SoftStream::Kind;
  return streams_.add(std::make_shared<SoftStream>(non_blocking ? Kind::kNonBlocking : Kind::kBlocking));
}

void Context::destroy_stream(cudaStream_t stream) {
  destroyed_streams_.push_back(streams_.find(stream));
  streams_.remove(stream);
}

void Context::run_to(SoftStream& stream, SoftStream::Ticket ticket) {
  stream.run_to(ticket, [this](const Work& work) { executor_.execute(work); });
}

void Context::forbid_during_capture(SoftStream& stream) {
  if (!stream.capture()) return;
  stream.capture()->invalidated = true;
  throw ApiError{cudaErrorStreamCaptureUnsupported};
}

void Context::forbid_during_strict_capture() {
  for (const auto& [handle, stream] : streams_.all()) {
    if (stream->capture() && !stream->capture()->relaxed) forbid_during_capture(*stream);
  }
}

void Context::synchronize(cudaStream_t stream) {
  SoftStream& found = *find(stream);
  forbid_during_capture(found);
  run_to(found, found.last());
}

void Context::synchronize_device() {
  run_to(*legacy_, legacy_->last());
  for (const auto& [handle, stream] : streams_.all()) run_to(*stream, stream->last());
  for (const auto& stream : destroyed_streams_) run_to(*stream, stream->last());
  destroyed_streams_.clear();
}

void Context::synchronize_whole_device() {
  for (const auto& [handle, stream] : streams_.all()) forbid_during_capture(*stream);
  synchronize_device();
}

cudaEvent_t Context::create_event() { return events_.add(std::make_shared<SoftEvent>()); }

void Context::record(cudaEvent_t event, cudaStream_t stream) {
  const std::shared_ptr<SoftStream>& found = find(stream);
  *events_.find(event) = {found, found->last(), found->capture().has_value()};
}

void Context::synchronize(cudaEvent_t event) {
  const SoftEvent& found = *events_.find(event);
  if (found.captured) {
    if (found.stream->capture()) found.stream->capture()->invalidated = true;
    throw ApiError{cudaErrorCapturedEvent};
  }
  if (found.stream != nullptr) run_to(*found.stream, found.ticket);
}

// The default stream and blocking streams run in the order in which the host enqueued.
void Context::enqueue(const std::shared_ptr<SoftStream>& stream, WorkList work) {
  std::vector<SoftStream::Wait> waits;
  if (stream->kind() == SoftStream::Kind::kBlocking) waits.push_back({legacy_, legacy_->last()});
  if (stream->kind() == SoftStream::Kind::kLegacy) {
    for (const auto& [handle, other] : streams_.all()) {
      if (other->kind() != SoftStream::Kind::kBlocking) continue;
      if (other->capture()) {
        other->capture()->invalidated = true;
        throw ApiError{cudaErrorStreamCaptureImplicit};
      }
      waits.push_back({other, other->last()});
    }
  }
  for (const Work& each : *work) poison(each);
  stream->enqueue(std::move(work), std::move(waits));
}

// Until the copy has run, its destination may hold anything. Work that still has to read there keeps what it shall
// read.
void Context::poison(const Work& work) const {
  const Copy* const copy = std::get_if<Copy>(&work);
  if (copy == nullptr || copy->direction != Copy::Direction::kToHost) return;
  auto* const to = reinterpret_cast<void*>(copy->to);
  const auto will_read = [&](const auto& stream) { return stream.second->will_read_host(to, copy->bytes); };
  if (std::any_of(streams_.all().begin(), streams_.all().end(), will_read)) return;
  if (!legacy_->will_read_host(to, copy->bytes)) std::memset(to, kPoison, copy->bytes);
}

void Context::submit(cudaStream_t stream, Work work) {
  const std::shared_ptr<SoftStream>& found = find(stream);
  if (!found->capture()) return enqueue(found, std::make_shared<std::vector<Work>>(1, std::move(work)));
  if (found->capture()->invalidated) throw ApiError{cudaErrorStreamCaptureInvalidated};
  found->capture()->nodes.push_back(std::move(work));
}

void Context::copy(cudaStream_t stream, void* to, const void* from, std::size_t bytes) {
  using Direction = Copy::Direction;
  if (bytes == 0) return;
  SoftStream& queue = *find(stream);
  Copy copy{Direction::kOnDevice, reinterpret_cast<std::uint64_t>(to), reinterpret_cast<std::uint64_t>(from), bytes};
  if (!memory_.contains(to)) {
    copy.direction = Direction::kToHost;
    if (pinned_.contains(to, bytes)) return submit(stream, std::move(copy));
    forbid_during_capture(queue);
    run_to(queue, queue.last());
    std::memcpy(to, memory_.host_view(copy.from, bytes, Access::kRead), bytes);
    return;
  }
  if (!memory_.contains(from)) {
    copy.direction = Direction::kToDevice;
    if (!pinned_.contains(from, bytes)) {
      forbid_during_capture(queue);
      const auto* const begin = static_cast<const std::byte*>(from);
      copy.staged.assign(begin, begin + bytes);
    }
  }
  submit(stream, std::move(copy));
}

}  // namespace stampede::soft_gpu
