// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/schedule.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace stampede::soft_gpu {

void schedule_order(const Schedule& schedule, std::uint64_t key, std::vector<unsigned>& order) {
  std::iota(order.begin(), order.end(), 0u);
  if (schedule.order == Schedule::Order::kBackward) std::reverse(order.begin(), order.end());
  if (schedule.order != Schedule::Order::kShuffled || order.size() < 2) return;
  std::mt19937_64 random(schedule.seed * 0x9E3779B97F4A7C15u + key);
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random() % (i + 1)]);
}

}  // namespace stampede::soft_gpu
