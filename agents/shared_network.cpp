// SPDX-License-Identifier: Apache-2.0
#include "agents/shared_network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/philox.h"

namespace stampede {

std::uint64_t worker_seed(std::uint64_t seed, int worker) {
  const PhiloxBlock block = RandomKey{seed, 0, Purpose::kWorkerSeed}.block(static_cast<std::uint32_t>(worker), 0);
  return static_cast<std::uint64_t>(block.word[0]) << 32 | block.word[1];
}

SharedNetwork::SharedNetwork(NetworkSpec spec, const RmsPropConfig& config, Arena& arena)
    : spec_(std::move(spec)),
      config_(config),
      parameters_(arena.take<float>(spec_.parameter_count())),
      squares_(arena.take<float>(spec_.parameter_count())) {}

void SharedNetwork::initialize(std::uint64_t seed) { spec_.initialize(seed, parameters_.data); }

void SharedNetwork::snapshot(const Stream& stream, TrainableNetwork& worker) const {
  hogwild_copy(parameters_.data, worker.parameter_block().data, parameters_.size());
  worker.refresh(stream);
}

void SharedNetwork::add(const Stream& stream, TrainableNetwork& worker, int groups, float scale, float learning_rate) {
  LearnerState& state = *worker.state();
  state.gradient_norm = worker.combine_gradients(stream, groups, scale);
  if (!std::isfinite(state.gradient_norm)) failed_.store(true, std::memory_order_relaxed);
  state.failed = failed();
  if (state.failed) return;
  const float clip = config_.max_norm > 0.0f ? std::min(1.0f, config_.max_norm / (state.gradient_norm + 1e-6f)) : 1.0f;
  hogwild_rmsprop(config_, {parameters_.data, squares_.data, parameters_.size()}, worker.gradients(0), clip,
                  learning_rate, worker.parameter_block().data);
  worker.refresh(stream);
  ++state.step;
  updates_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace stampede
