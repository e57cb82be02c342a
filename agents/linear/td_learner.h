// SPDX-License-Identifier: Apache-2.0
// Many independent learners, one environment and one table (or weight matrix) each, stepped side by side.
//
// Q-learning (Watkins 1989), SARSA, Expected SARSA, soft Q-learning, Monte Carlo control and Dyna-Q after Sutton &
// Barto 2018, chapters 5 to 12, with n-step targets, eligibility traces, two estimators and count-based exploration.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agents/linear/td_steps.h"
#include "kernels/arena.h"
#include "kernels/readback.h"

namespace stampede {

struct TdMetrics {
  double mean_absolute_error = 0.0;  // of the updates since the last read
  double return_mean = 0.0;          // over learners, of their mean returns in counted episodes
  double return_std = 0.0;           // across learners, population
  int returning_learners = 0;        // that have a counted episode
  int finished_learners = 0;         // that have had all their episodes
  std::int32_t most_episodes = 0;
  bool failed = false;
};

class TdLearner {
 public:
  // Throws UsageError for options that exclude each other or a ring too short for n steps.
  static void check(const TdConfig& config, const LinearFeatures& features, int actions, const RingShape& shape);

  TdLearner(const TdConfig& config, const LinearFeatures& features, const CountCells& cells, int actions,
            const RingShape& shape, std::uint64_t seed, Arena& arena);

  void initialize(const Stream& stream);

  // Learners [begin, end) learn from the row before and choose the actions of this one. Safe to call for disjoint
  // ranges from several threads. Stream-ordered.
  struct Rates {
    Anneal epsilon, learning_rate, temperature;
  };
  void step(const Stream& stream, const TrajectoryRing& ring, std::int64_t row, int begin, int end,
            const Rates& rates) const;
  // Actions of an evaluation; learner of environment i is i modulo their number.
  void act(const Stream& stream, TdActRows rows) const;

  // Asks for the sums since the last request, which are cleared; waits for nothing.
  void request_metrics(const Stream& stream);
  // What the latest request asked for; waits for its copies alone.
  TdMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  TdMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }
  // Action values of all learners on the host, of two estimators their mean: [N, F, A].
  std::vector<float> action_values(const Stream& stream) const;
  // The rows of running episodes are gone.
  void forget_rows(const Stream& stream) { td_forget_rows(stream, problem_, learners_); }

  int learners() const { return learners_; }
  int features() const { return features_size_; }
  int actions() const { return problem_.actions; }
  int estimators() const { return problem_.config.double_q ? 2 : 1; }

  // What a checkpoint keeps: name, bytes. Weights are [N, estimators, F, A].
  View<float> weights() const { return weights_; }
  std::vector<std::pair<std::string, View<std::byte>>> other_state() const;

 private:
  LinearFeatures linear_features_;
  int learners_, features_size_;
  std::uint64_t seed_;
  TdProblem problem_;
  View<LearnerProgress> progress_;
  Readback<LearnerProgress> readback_;
  View<float> weights_, traces_;
  View<std::int32_t> active_, visits_, known_;
  View<ModelEntry> model_;
  View<std::uint32_t> first_visits_;
};

}  // namespace stampede
