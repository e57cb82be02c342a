// SPDX-License-Identifier: Apache-2.0
// What every method with a replay memory does: rows into the ring, then gradient steps on samples of it, at any ratio
// of updates to data.
#pragma once

#include "train/collecting_trainer.h"
#include "train/env_blocks.h"
#include "train/schedule.h"

namespace stampede {

class ReplayTrainer : public CollectingTrainer {
 public:
  std::int64_t rows_per_iteration() const override { return train_interval_ * environments_; }
  void iterate() override;

 protected:
  // extra_size: floats that the ring keeps of every row for the algorithm.
  explicit ReplayTrainer(const TrainerSetup& setup, int extra_size = 0);

  // Takes at least one row into the ring, at most `most`. Returns how many.
  virtual std::int64_t collect(std::int64_t most) = 0;
  // One gradient step; updates_ counts those before it.
  virtual void update() = 0;

  // One row of all environments: act(stream, slot, begin, end, worker) writes the actions of each block into the slot's
  // records.
  template <class Act>
  void step(const Act& act) {
    const std::int64_t row = ring_->head();
    const int slot = ring_->slot(row), next = ring_->slot(row + 1);
    for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
      act(stream, slot, begin, end, worker);
      env_->step(stream, begin, end, {ring_->records(slot), ring_->obs(next), static_cast<std::uint64_t>(row)});
    });
    advance(1);
  }
  // After rows were written behind the head.
  void advance(int count) {
    ring_->advance(count);
    ring_head_ = ring_->head();
  }

  Schedule learning_rate_;
  std::int64_t learning_starts_;  // rows

 private:
  std::int64_t train_interval_, gradient_steps_, n_step_;
};

}  // namespace stampede
