// SPDX-License-Identifier: Apache-2.0
#include "train/replay_trainer.h"

#include "train/shared_keys.h"

namespace stampede {

ReplayTrainer::ReplayTrainer(const TrainerSetup& setup, int extra_size)
    : CollectingTrainer(setup, ring_rows(setup.config), extra_size, false),
      learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
      learning_starts_(setup.config.integer("learning_starts")),
      train_interval_(setup.config.integer("train_interval")),
      gradient_steps_(setup.config.integer("gradient_steps")),
      n_step_(setup.config.integer("n_step")) {}

void ReplayTrainer::iterate() {
  for (std::int64_t left = train_interval_; left > 0;) left -= collect(left);
  // Enough rows that n-step transitions exist, whatever learning_starts says.
  if (rows() < learning_starts_ || ring_->stored_rows() < n_step_ + 1) return;
  for (std::int64_t k = 0; k < gradient_steps_; ++k) {
    update();
    ++updates_;
  }
}

}  // namespace stampede
