// SPDX-License-Identifier: Apache-2.0
// One algorithm joined with its environments: what a training session drives, whatever the algorithm.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agents/trainable_network.h"
#include "sim/registry.h"
#include "train/config.h"
#include "train/evaluator.h"

namespace stampede {

// Everything a trainer is made from. The config has all keys of the algorithm resolved and range-checked.
struct TrainerSetup {
  const Config& config;
  const EnvEntry& env;
  EnvParameters env_parameters;
  Stream stream;
  NetworkFactory network_factory;
};

// A block of device memory that a checkpoint keeps.
struct StateBlock {
  enum class Type { kF32, kF64, kI64, kU32, kU8 };
  std::string name;
  Type type;
  std::vector<std::uint64_t> shape;
  void* data;  // on the trainer's device
  // Set for parameter blocks: stored tensor by tensor in PyTorch's [out, in] layout, without padding.
  const NetworkSpec* spec = nullptr;
};

// Named host numbers of a checkpoint.
using StateCounters = std::vector<std::pair<std::string, std::int64_t*>>;

struct TrainerMetrics {
  std::vector<std::pair<std::string, double>> values;  // "losses/policy_loss", ...
  std::vector<Episode> episodes;                       // the most recent that ended since the last request
  std::int64_t finished_episodes = 0;
  std::int64_t rows = 0, env_steps = 0;  // when they were asked for
  bool finished = false;                 // nothing is left to learn: every learner has had its episodes
  bool failed = false;                   // a loss was not finite; parameters are the last good ones
};

enum class EvaluationMode { kGreedy, kStochastic };

class Trainer {
 public:
  virtual ~Trainer() = default;

  // Bytes of device memory by subsystem, known before they are allocated by initialize().
  virtual std::vector<std::pair<std::string, std::size_t>> memory_budget() const = 0;
  // Fresh parameters and environments. Throws RuntimeError when the memory is not there.
  virtual void initialize() = 0;
  // Collects rows and learns from them. Nothing is read back from the device.
  virtual void iterate() = 0;

  // Host-counted: rows collected times environments, and gradient updates enqueued.
  virtual std::int64_t rows() const = 0;
  virtual std::int64_t rows_per_iteration() const = 0;
  virtual std::int64_t updates() const = 0;
  // Valid environment transitions so far; waits for the stream.
  virtual std::int64_t env_steps() = 0;
  // Names that metrics may have, for file headers.
  virtual std::vector<std::string> metric_names() const = 0;
  // Asks for what accumulated since the last request, and clears it; waits for nothing.
  virtual void request_metrics() = 0;
  // What the latest request asked for; waits for its copies alone. Once per request.
  virtual TrainerMetrics take_metrics() = 0;
  // Both at once; waits for the stream.
  TrainerMetrics read_metrics() {
    request_metrics();
    return take_metrics();
  }

  virtual EvaluationResult evaluate(std::uint64_t seed, EvaluationMode mode) = 0;

  // What a checkpoint saves and restores. with_replay = false leaves the replay memory out.
  virtual std::vector<StateBlock> state_blocks(bool with_replay) = 0;
  virtual StateCounters state_counters() = 0;
  // After counters and state blocks were written from a checkpoint.
  virtual void restored(bool with_replay) = 0;
  // Bytes of replay memory that the next iteration depends on; 0 for on-policy algorithms.
  virtual std::size_t replay_bytes() const = 0;
};

}  // namespace stampede
