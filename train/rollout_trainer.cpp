// SPDX-License-Identifier: Apache-2.0
#include "train/rollout_trainer.h"

#include "train/normalizer_blocks.h"
#include "train/policy_keys.h"
#include "train/policy_report.h"

namespace stampede {

RolloutTrainer::RolloutTrainer(const TrainerSetup& setup)
    : CollectingTrainer(setup, static_cast<int>(setup.config.integer("rollout_steps")),
                        RolloutExtra::size(!setup.env.spec.action.is_discrete(), setup.env.spec.action.size), true),
      learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
      entropy_(annealed(setup.config, "entropy_coef", "entropy_final")),
      collector_options_(collector_options(setup.config)) {}

void RolloutTrainer::iterate() {
  // Schedules start at their first value, so they look at the rows before this rollout.
  const std::int64_t row = rows();
  const auto iteration = static_cast<std::uint64_t>(ring_head_ / shape_.rows);
  collect();
  updates_ += learn(row, iteration);
}

void RolloutTrainer::built() { collector_ = make_collector(collector_options_, stream_, *env_, actor_critic()); }

void RolloutTrainer::collect() {
  collector_->collect(stream_, *env_, actor_critic(), *ring_);
  ring_->advance(shape_.rows);
  ring_head_ = ring_->head();
}

void RolloutTrainer::evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const {
  const ActionMode action = mode == EvaluationMode::kGreedy ? ActionMode::kGreedy : ActionMode::kSample;
  actor_critic().act(stream,
                     {acts.obs, acts.records, nullptr, acts.begin, acts.end, acts.row, acts.worker, action, acts.seed});
}

std::vector<std::string> RolloutTrainer::metric_names() const {
  std::vector<std::string> names = policy_report_names();
  names.emplace_back("charts/learning_rate");
  return names;
}

void RolloutTrainer::request_agent_metrics() {
  actor_critic().request_metrics(stream_);
  actor_critic().request_drift(stream_, ring_->view());
}

void RolloutTrainer::take_agent_metrics(TrainerMetrics& metrics) {
  const PolicyMetrics m = actor_critic().take_metrics(stream_);
  metrics.failed = m.failed;
  metrics.values = policy_report(m);
  append_drift(actor_critic().take_drift(stream_), metrics.values);
  metrics.values.emplace_back("charts/learning_rate", learning_rate_.at(schedule_row(metrics)));
}

std::vector<StateBlock> RolloutTrainer::agent_blocks() {
  std::vector<StateBlock> blocks;
  add_network_blocks(actor_critic().network(), "network.", blocks);
  add_normalizer_blocks(actor_critic(), "", blocks);
  return blocks;
}

}  // namespace stampede
