// SPDX-License-Identifier: Apache-2.0
// The launches of fused updates under the emulator, and how their results are compared.
#pragma once

#include "tests/emulator/simt.h"

#include <cmath>
#include <vector>

#include "agents/trainable_network.h"

namespace stampede {

// Runs and counts launches.
struct EmulatedLaunch {
  simt::Schedule schedule;
  int* count;

  template <unsigned kThreads, unsigned kBlocksPerProcessor, class Kernel>
  void blocks(unsigned grid, std::size_t shared, const Kernel& kernel) const {
    ++*count;
    simt::run(grid, kThreads, shared, schedule, kernel);
  }
  template <class Functor>
  void each(int n, const Functor& functor) const {
    ++*count;
    for (int i = 0; i < n; ++i) functor(i);
  }
};

inline std::vector<simt::Schedule> some_schedules() {
  return {{simt::Order::kForward, 0}, {simt::Order::kReverse, 0}, {simt::Order::kRandom, 1}, {simt::Order::kWarps, 0}};
}

// Parameters and moments.
inline std::vector<float> learner_bits(const TrainableNetwork& network) {
  std::vector<float> all;
  for (const View<float>& view : {network.parameter_block(), network.first_moment(), network.second_moment()}) {
    all.insert(all.end(), view.data, view.data + view.size());
  }
  return all;
}

// The largest difference, relative to the largest value.
inline double distance(View<float> a, View<float> b) {
  double difference = 0.0, largest = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    difference = apart <= difference ? difference : apart;  // NaN counts as largest
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
  }
  return difference / largest;
}

}  // namespace stampede
