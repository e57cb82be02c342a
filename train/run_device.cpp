// SPDX-License-Identifier: Apache-2.0
#include "train/run_device.h"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace stampede {

Stream make_stream(const Config& config, int threads) {
  const Device device = parse_device(config.text("device"));
  return device.is_cuda() ? Stream::cuda(device.index) : Stream::cpu(threads);
}

int available_cores() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

int resolve_threads(const AlgorithmEntry& algorithm, const Config& config) {
  const std::int64_t threads = config.integer("threads");
  if (threads > 0) return static_cast<int>(threads);
  // Forward and backward: 6 floating-point operations per weight and row. Below half a millisecond of one core, waking
  // and waiting for others costs about what they bring, and far more when they are busy with something else.
  constexpr std::int64_t kWorthSharing = 50'000'000;
  const std::vector<std::int64_t> hidden =
      config.has("hidden") ? config.integers("hidden") : std::vector<std::int64_t>{};
  std::int64_t weights = 64;
  for (std::size_t k = 1; k < hidden.size(); ++k) weights += hidden[k - 1] * hidden[k];
  return 6 * weights * algorithm.batch_rows(config) < kWorthSharing ? 1 : available_cores();
}

}  // namespace stampede
