// SPDX-License-Identifier: Apache-2.0
#include "train/rollout_trainer.h"

#include "train/env_blocks.h"

namespace stampede {

RolloutTrainer::RolloutTrainer(const TrainerSetup& setup)
    : CollectingTrainer(setup, static_cast<int>(setup.config.integer("rollout_steps")),
                        RolloutExtra::size(!setup.env.spec.action.is_discrete(), setup.env.spec.action.size), true),
      learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
      entropy_(annealed(setup.config, "entropy_coef", "entropy_final")) {}

void RolloutTrainer::iterate() {
  // Schedules start at their first value, so they look at the rows before this rollout.
  last_row_ = rows();
  const auto iteration = static_cast<std::uint64_t>(ring_head_ / shape_.rows);
  collect();
  updates_ += learn(last_row_, iteration);
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
  return {"losses/policy_loss",
          "losses/value_loss",
          "losses/entropy",
          "losses/approx_kl",
          "losses/clipfrac",
          "losses/explained_variance",
          "losses/gradient_norm",
          "losses/gradient_norm_actor",
          "losses/gradient_norm_critic",
          "losses/gradient_norm_torso",
          "charts/learning_rate"};
}

void RolloutTrainer::read_agent_metrics(TrainerMetrics& metrics) {
  const PolicyMetrics m = actor_critic().read_metrics(stream_);
  metrics.failed = m.failed;
  metrics.values = {{"losses/policy_loss", m.policy_loss},
                    {"losses/value_loss", m.value_loss},
                    {"losses/entropy", m.entropy},
                    {"losses/approx_kl", m.approx_kl},
                    {"losses/clipfrac", m.clip_fraction},
                    {"losses/explained_variance", m.explained_variance},
                    {"losses/gradient_norm", m.gradient_norm},
                    {"losses/gradient_norm_actor", m.actor_gradient_norm},
                    {"losses/gradient_norm_critic", m.critic_gradient_norm},
                    {"losses/gradient_norm_torso", m.torso_gradient_norm},
                    {"charts/learning_rate", learning_rate_.at(last_row_)}};
}

std::vector<StateBlock> RolloutTrainer::agent_blocks() {
  ActorCritic& agent = actor_critic();
  std::vector<StateBlock> blocks;
  add_network_blocks(agent.network(), "network.", blocks);
  const auto add_moments = [&](const char* name, View<RunningMoments> view) {
    blocks.push_back({name, StateBlock::Type::kF64, {view.size(), 3}, view.data});
  };
  add_moments("observation_moments", agent.observation_normalizer().moments());
  add_moments("return_moments", agent.reward_scaler().moments());
  const View<float> running = agent.reward_scaler().running_returns();
  blocks.push_back({"running_returns", StateBlock::Type::kF32, {running.size()}, running.data});
  return blocks;
}

}  // namespace stampede
