// SPDX-License-Identifier: Apache-2.0
// Plays a fixed number of whole episodes with a policy, apart from training and on its own random stream.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/arena.h"
#include "sim/registry.h"

namespace stampede {

struct EvaluationResult {
  double return_mean = 0.0;
  double return_std = 0.0;  // across episodes, population
  double length_mean = 0.0;
  int episodes = 0;
  bool exact = false;  // returns by recursion over a transition table: one "episode" per learner, no sampling error
};

// What the policy under evaluation must do: write the actions of environments [begin, end) into records.
struct EvaluationActs {
  const void* obs;         // [M, D]
  std::uint32_t* records;  // [M, record words]
  int begin, end;
  std::uint64_t row;
  int worker;
  std::uint64_t seed;  // of this evaluation, for policies that draw
};
using EvaluationPolicy = std::function<void(const Stream&, const EvaluationActs&)>;

// Steps that end an evaluation episode of an environment without a time limit.
inline constexpr int kEvaluationStepCap = 10000;

// Steps after which an evaluation ends an episode.
inline int evaluation_horizon(const EnvSpec& spec) {
  return spec.time_limit == kNoTimeLimit ? kEvaluationStepCap : spec.time_limit;
}

// Every environment plays exactly one episode, so that short episodes are not counted more often than long ones.
class Evaluator {
 public:
  Evaluator(const EnvEntry& entry, const EnvParameters& parameters, int episodes, Arena& arena);

  // `seed` draws start states and dynamics. Waits for the stream.
  EvaluationResult run(const Stream& stream, std::uint64_t seed, const EvaluationPolicy& policy);
  int episodes() const { return env_->size(); }

 private:
  int play(const Stream& stream, int begin, int end, int worker, std::uint64_t seed, const EvaluationPolicy& policy);

  std::unique_ptr<VectorEnv> env_;
  View<std::uint32_t> obs_;      // [2, M, D], the rows before and after a step
  View<std::uint32_t> records_;  // [M, record words]
  View<float> returns_;          // [M]
  View<std::int32_t> lengths_;   // [M]
  View<std::int32_t> running_;   // [M], 1 until the episode's end
};

}  // namespace stampede
