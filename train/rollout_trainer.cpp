// SPDX-License-Identifier: Apache-2.0
#include "train/rollout_trainer.h"

#include "train/env_blocks.h"
#include "train/normalizer_blocks.h"
#include "train/policy_report.h"

namespace stampede {

RolloutTrainer::RolloutTrainer(const TrainerSetup& setup)
    : CollectingTrainer(setup, static_cast<int>(setup.config.integer("rollout_steps")),
                        RolloutExtra::size(!setup.env.spec.action.is_discrete(), setup.env.spec.action.size), true),
      learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
      entropy_(annealed(setup.config, "entropy_coef", "entropy_final")) {}

void RolloutTrainer::iterate() {
  // Schedules start at their first value, so they look at the rows before this rollout.
  const std::int64_t row = rows();
  const auto iteration = static_cast<std::uint64_t>(ring_head_ / shape_.rows);
  collect();
  updates_ += learn(row, iteration);
}

void RolloutTrainer::collect() {
  ring_->begin_rollout(stream_);
  const std::int64_t first = ring_->head();
  const ActorCritic& agent = actor_critic();
  for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
    for (int t = 0; t < shape_.rows; ++t) {
      const auto row = static_cast<std::uint64_t>(first + t);
      agent.act(stream,
                {ring_->obs(t), ring_->records(t), ring_->extra(t), begin, end, row, worker, ActionMode::kSample});
      env_->step(stream, begin, end, {ring_->records(t), ring_->obs(t + 1), row});
    }
    const int head = shape_.rows;
    agent.evaluate_head(stream, {ring_->obs(head), ring_->records(head), ring_->extra(head), begin, end,
                                 static_cast<std::uint64_t>(first + head), worker, ActionMode::kSample});
  });
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
  names.emplace_back("losses/policy_kl");
  names.emplace_back("charts/learning_rate");
  return names;
}

void RolloutTrainer::request_agent_metrics() {
  actor_critic().request_metrics(stream_);
  actor_critic().request_divergence(stream_, ring_->view());
}

void RolloutTrainer::take_agent_metrics(TrainerMetrics& metrics) {
  const PolicyMetrics m = actor_critic().take_metrics(stream_);
  metrics.failed = m.failed;
  metrics.values = policy_report(m);
  metrics.values.emplace_back("losses/policy_kl", actor_critic().take_divergence(stream_));
  metrics.values.emplace_back("charts/learning_rate", learning_rate_.at(schedule_row(metrics)));
}

std::vector<StateBlock> RolloutTrainer::agent_blocks() {
  std::vector<StateBlock> blocks;
  add_network_blocks(actor_critic().network(), "network.", blocks);
  add_normalizer_blocks(actor_critic(), "", blocks);
  return blocks;
}

}  // namespace stampede
