// SPDX-License-Identifier: Apache-2.0
#include "kernels/work_list.h"

#include <cstring>

namespace stampede {
namespace {

struct SameShape {
  bool operator()(const KernelLaunch& a, const KernelLaunch& b) const { return a.function == b.function; }
  bool operator()(const DeviceCopy&, const DeviceCopy&) const { return true; }
  // CUDA's documentation leaves open whether a node may fill more or fewer bytes than before.
  bool operator()(const ZeroFill& a, const ZeroFill& b) const { return a.bytes == b.bytes; }
  template <class A, class B>
  bool operator()(const A&, const B&) const {
    return false;
  }
};

struct SameParameters {
  bool operator()(const KernelLaunch& a, const KernelLaunch& b) const {
    return a.grid == b.grid && a.block == b.block && a.shared == b.shared;
  }
  bool operator()(const DeviceCopy& a, const DeviceCopy& b) const {
    return a.to == b.to && a.from == b.from && a.bytes == b.bytes;
  }
  bool operator()(const ZeroFill& a, const ZeroFill& b) const { return a.memory == b.memory; }
  template <class A, class B>
  bool operator()(const A&, const B&) const {
    return false;
  }
};

}  // namespace

void WorkList::add(const KernelLaunch& launch, const KernelArguments& arguments) {
  Item item{.work = launch, .begin = bytes_.size()};
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    const auto* const data = static_cast<const std::byte*>(arguments[k].data);
    bytes_.insert(bytes_.end(), data, data + arguments[k].bytes);
    item.sizes[k] = arguments[k].bytes;
  }
  items_.push_back(item);
}

void WorkList::clear() {
  items_.clear();
  bytes_.clear();
}

KernelArguments WorkList::arguments(std::size_t i) const {
  KernelArguments found{};
  const std::byte* next = bytes_.data() + items_[i].begin;
  for (std::size_t k = 0; k < found.size() && items_[i].sizes[k] > 0; ++k) {
    found[k] = {next, items_[i].sizes[k]};
    next += items_[i].sizes[k];
  }
  return found;
}

bool WorkList::has_shape_of(const WorkList& other) const {
  if (size() != other.size()) return false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!std::visit(SameShape{}, items_[i].work, other.items_[i].work)) return false;
  }
  return true;
}

bool WorkList::same_work(std::size_t i, const WorkList& other) const {
  return std::visit(SameParameters{}, items_[i].work, other.items_[i].work) && same_arguments(i, other);
}

// Bytes between the members of an argument may differ without a meaning, which costs no more than a needless change.
bool WorkList::same_arguments(std::size_t i, const WorkList& other) const {
  const Item &a = items_[i], &b = other.items_[i];
  if (a.sizes != b.sizes) return false;
  std::size_t bytes = 0;
  for (const std::size_t size : a.sizes) bytes += size;
  return bytes == 0 || std::memcmp(bytes_.data() + a.begin, other.bytes_.data() + b.begin, bytes) == 0;
}

}  // namespace stampede
