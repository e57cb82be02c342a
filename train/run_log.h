// SPDX-License-Identifier: Apache-2.0
// What a run writes into its folder while it trains: metrics, finished episodes and evaluations.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "train/episode_log.h"
#include "train/metrics_writer.h"
#include "train/trainer.h"

namespace stampede {

class RunLog {
 public:
  // `metric_names` are the trainer's; `resume_step` as for CsvWriter. RuntimeError when a file cannot be written.
  RunLog(const std::string& folder, const std::vector<std::string>& metric_names,
         std::optional<std::int64_t> resume_step);

  // Finished since the last call, in order.
  void note_episodes(std::int64_t env_step, const std::vector<Episode>& episodes);
  // Of the last 100 episodes; none before the first has finished.
  std::optional<double> mean_return() const;

  struct Counts {
    double steps_per_second;
    std::int64_t rows, updates;
  };
  void write_metrics(std::int64_t env_step, const Counts& counts, const std::vector<NamedValue>& values);
  void write_evaluation(std::int64_t env_step, const EvaluationResult& result);
  void flush();

 private:
  MetricsWriter metrics_;
  EpisodeLog episodes_;
  EvaluationLog evaluations_;
  std::deque<Episode> recent_;
};

}  // namespace stampede
