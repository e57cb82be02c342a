// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/schedule.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace stampede::soft_gpu {

// splitmix64
static std::uint64_t mixed(std::uint64_t x) {
  x *= 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

void schedule_order(const Schedule& schedule, std::uint64_t key, std::vector<unsigned>& order) {
  std::iota(order.begin(), order.end(), 0u);
  if (schedule.order == Schedule::Order::kBackward) std::reverse(order.begin(), order.end());
  if (schedule.order != Schedule::Order::kShuffled || order.size() < 2) return;
  std::uint64_t state = schedule.seed * 0x9E3779B97F4A7C15u + key;
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[mixed(++state) % (i + 1)]);
}

}  // namespace stampede::soft_gpu
