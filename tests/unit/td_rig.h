// SPDX-License-Identifier: Apache-2.0
// A learner fed with transitions that a test wrote, row by row.
#pragma once

#include <vector>

#include "agents/linear/td_learner.h"
#include "kernels/record.h"
#include "replay/trajectory_ring.h"

namespace stampede {

class TdRig {
 public:
  static constexpr int kActions = 2;

  explicit TdRig(const TdConfig& config, const LinearFeatures& features = OneHot{8}, int learners = 1, int rows = 8,
                 std::uint64_t seed = 1)
      : float_obs_(!std::holds_alternative<OneHot>(features)),
        shape_{learners, rows, 1, float_obs_ ? ObsType::kFloat32 : ObsType::kInt32, RecordLayout::for_action_size(1)},
        arena_(Device{}) {
    CountCells cells;
    cells.cells = 8;
    const auto build = [&] {
      ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
      learner_ = std::make_unique<TdLearner>(config, features, cells, kActions, shape_, seed, arena_);
    };
    build();
    arena_.allocate("the test");
    build();
    learner_->initialize(stream_);
  }

  struct Rates {
    float epsilon = 0.0f, learning_rate = 1.0f, temperature = 1.0f;
  };
  Rates rates;

  // All learners see `state` at the current row; they learn from the row before and choose.
  void observe(float state) {
    const std::int64_t row = ring_->head();
    auto* const obs = static_cast<std::uint32_t*>(ring_->obs(ring_->slot(row)));
    for (int i = 0; i < shape_.environments; ++i) {
      obs[i] = float_obs_ ? float_bits(state) : static_cast<std::uint32_t>(state);
    }
    learner_->step(stream_, *ring_, row, 0, shape_.environments,
                   {{.start = rates.epsilon}, {.start = rates.learning_rate}, {.start = rates.temperature}});
  }
  // What then happened. Without `action` the learners' own is taken.
  void take(int action, float reward, std::uint32_t end = 0) {
    for (int i = 0; i < shape_.environments; ++i) record(i)[0] = static_cast<std::uint32_t>(action);
    happen(reward, kValid | end);
  }
  void happen(float reward, std::uint32_t flags) {
    for (int i = 0; i < shape_.environments; ++i) {
      record(i)[1] = float_bits(reward);
      record(i)[2] = flags;
    }
    ring_->advance();
  }
  // An episode: observations[0], then action, reward, observation and so on; the last one ends it with `end`.
  struct Step {
    int action;
    float reward, next_state;
  };
  void episode(float start, const std::vector<Step>& steps, std::uint32_t end) {
    observe(start);
    for (std::size_t k = 0; k < steps.size(); ++k) {
      take(steps[k].action, steps[k].reward, k + 1 == steps.size() ? end : 0);
      observe(steps[k].next_state);
    }
    happen(0.0f, 0);  // the row that only resets
  }

  int chosen(int learner = 0) { return static_cast<int>(record(learner)[0]); }
  float& q(int state, int action, int estimator = 0, int learner = 0) {
    const auto at = static_cast<std::size_t>(
        ((learner * learner_->estimators() + estimator) * learner_->features() + state) * kActions + action);
    return learner_->weights().data[at];
  }
  void set(int state, float value) {
    for (int a = 0; a < kActions; ++a) q(state, a) = value;
  }
  TdLearner& learner() { return *learner_; }
  const Stream& stream() const { return stream_; }

 private:
  std::uint32_t* record(int i) { return ring_->records(ring_->slot(ring_->head())) + i * shape_.record.words; }

  bool float_obs_;
  RingShape shape_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::unique_ptr<TrajectoryRing> ring_;
  std::unique_ptr<TdLearner> learner_;
};

}  // namespace stampede
