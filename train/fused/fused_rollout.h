// SPDX-License-Identifier: Apache-2.0
// A rollout as one CUDA kernel, for the environments that have one compiled in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agents/epsilon_greedy.h"
#include "agents/losses/bootstrap.h"
#include "kernels/device_limits.h"
#include "kernels/space.h"
#include "kernels/stream.h"
#include "sim/vector_env.h"
#include "train/fused/fused_network.h"

namespace stampede {

// How environments choose by action values, row by row: epsilon-greedy, Boltzmann or both (agents/exploration.h), with
// one epsilon or final ones of the environments' own (agents/epsilon_greedy.h).
struct FusedExploration {
  static constexpr int kMostRows = 64;  // of one launch
  struct Row {
    float epsilon = 0.0f, temperature = 0.0f;
    float progress = 0.0f;  // towards final_epsilons
    bool own = false;       // whether these count, instead of epsilon
  };
  // Final values and start are the launch's.
  static Row row_of(const Epsilon& epsilon, float temperature) {
    return {epsilon.shared, temperature, epsilon.progress, epsilon.final_values != nullptr};
  }

  const float* final_epsilons = nullptr;  // [N] in device memory
  float start = 0.0f;                     // of their schedule
  Row row[kMostRows + 1] = {};            // and of acting on the head
};

// What a head of action values adds to a rollout.
struct FusedValues {
  bool dueling = false;
  bool bootstraps =
      false;  // QRolloutExtra::kBootstrap of every row is stored; the last network is the one that says it
  BootstrapKind bootstrap = BootstrapKind::kMax;
  bool first_is_chosen = false;  // the records of the first row hold its actions
  FusedExploration exploration;
};

enum class FusedHead { kPolicy, kValues };

// What a rollout reads and writes, besides environments and network. Slots are a ring's: behind the last follows the
// first.
struct FusedRows {
  const std::uint32_t* first_obs;  // [N, D], of the first row: its slot's, or what is to be copied there
  std::uint32_t* obs;              // [slots, N, D]
  std::uint32_t* records;          // [slots, N, record words]
  float* extra;                    // [slots, N, extra_size], null without
  int extra_size;
  int slots, first_slot;
  int environments, steps;  // N, T
  std::uint64_t first_row;
  std::uint64_t seed;  // of the agent
  // Whether the slot behind the last row is acted on: of a policy the value is stored, of action values action and
  // bootstrap.
  bool acts_on_head;
  FusedHead head;
  const float* log_sigma;  // [A], Gaussian
  Space action;            // with its bounds
  FusedValues values = {};
};

struct FusedLaunch {
  unsigned grid = 0, block = 0;
  unsigned environments = 0;  // of a block; the threads behind those only help to fetch its weights
  std::size_t shared = 0;     // bytes
};

// Two warps step an episode segment; as many blocks as multiprocessors before blocks grow. A block that has a
// multiprocessor to itself gets threads that only fetch. weights, warp: bytes of shared memory of a block's weights and
// of each warp that steps. grid = 0: does not fit.
FusedLaunch fused_launch(std::size_t weights, std::size_t warp, int environments, const DeviceLimits& limits);

class FusedRollout {
 public:
  virtual ~FusedRollout() = default;
  virtual FusedLaunch shape(const FusedNetwork& network, int environments, const DeviceLimits& limits) const = 0;
  // CUDA streams only. Stream-ordered.
  virtual void launch(const Stream& stream, const FusedLaunch& shape, const FusedNetwork& network,
                      const FusedRows& rows) const = 0;
};

// The kernel for the type of `env`, which it keeps a reference to. Null where none was compiled: an environment from
// outside the tree, a build without CUDA.
std::unique_ptr<FusedRollout> find_fused_rollout(const VectorEnv& env, Precision precision);

// The same with its launch on the stream's device, for a network that fits; null, with the reason, where there is none.
std::unique_ptr<FusedRollout> find_launchable_rollout(const Stream& stream, const VectorEnv& env,
                                                      const FusedNetwork& network, Precision precision,
                                                      FusedLaunch& shape, std::string& reason);

}  // namespace stampede
