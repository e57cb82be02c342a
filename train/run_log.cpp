// SPDX-License-Identifier: Apache-2.0
#include "train/run_log.h"

#include <algorithm>

namespace stampede {
namespace {

constexpr std::size_t kRecentEpisodes = 100;
// Episodes written to episodes.csv per metric row; more are thinned evenly.
constexpr std::size_t kEpisodesPerRow = 256;

std::vector<std::string> with_common_names(const std::vector<std::string>& of_trainer) {
  std::vector<std::string> names{"charts/episodic_return",  "charts/episodic_length", "charts/SPS",     "charts/rows",
                                 "charts/gradient_updates", "eval/return_mean",       "eval/return_std"};
  names.insert(names.end(), of_trainer.begin(), of_trainer.end());
  return names;
}

}  // namespace

RunLog::RunLog(const std::string& folder, const std::vector<std::string>& metric_names,
               std::optional<std::int64_t> resume_step)
    : metrics_(folder, with_common_names(metric_names), resume_step),
      episodes_(folder, resume_step),
      evaluations_(folder, resume_step) {}

void RunLog::note_episodes(std::int64_t env_step, const std::vector<Episode>& episodes) {
  const std::size_t stride = std::max<std::size_t>(1, episodes.size() / kEpisodesPerRow);
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    const Episode& e = episodes[i];
    recent_.push_back(e);
    if (recent_.size() > kRecentEpisodes) recent_.pop_front();
    if (i % stride == 0) episodes_.write(env_step, static_cast<double>(e.episode_return), e.length);
  }
}

std::optional<double> RunLog::mean_return() const {
  if (recent_.empty()) return std::nullopt;
  double sum = 0.0;
  for (const Episode& e : recent_) sum += static_cast<double>(e.episode_return);
  return sum / static_cast<double>(recent_.size());
}

void RunLog::write_metrics(std::int64_t env_step, const Counts& counts, const std::vector<NamedValue>& values) {
  MetricsRow row{env_step, {}};
  if (!recent_.empty()) {
    double steps = 0.0;
    for (const Episode& e : recent_) steps += e.length;
    row.values.emplace_back("charts/episodic_return", *mean_return());
    row.values.emplace_back("charts/episodic_length", steps / static_cast<double>(recent_.size()));
  }
  row.values.emplace_back("charts/SPS", counts.steps_per_second);
  row.values.emplace_back("charts/rows", static_cast<double>(counts.rows));
  row.values.emplace_back("charts/gradient_updates", static_cast<double>(counts.updates));
  row.values.insert(row.values.end(), values.begin(), values.end());
  metrics_.write(row);
}

void RunLog::write_evaluation(std::int64_t env_step, const EvaluationResult& result) {
  evaluations_.write(env_step, result.return_mean, result.return_std, result.episodes);
  metrics_.write({env_step, {{"eval/return_mean", result.return_mean}, {"eval/return_std", result.return_std}}});
}

void RunLog::flush() {
  metrics_.flush();
  episodes_.flush();
  evaluations_.flush();
}

}  // namespace stampede
