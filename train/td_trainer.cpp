// SPDX-License-Identifier: Apache-2.0
#include "train/td_trainer.h"

#include <cmath>
#include <optional>

#include "agents/linear/td_learner.h"
#include "agents/tabular/policy_evaluation.h"
#include "kernels/error.h"
#include "train/collecting_trainer.h"
#include "train/env_blocks.h"
#include "train/evaluator.h"
#include "train/feature_keys.h"
#include "train/transition_model.h"

namespace stampede {
namespace {

// Rows that targets reach back; a Monte Carlo return needs whole episodes.
int td_ring_rows(const Config& config, const EnvSpec& spec) {
  const auto n = static_cast<int>(config.integer("n_step"));
  if (config.text("target") != "return") return std::max(2, n);
  const bool limited = spec.time_limit != kNoTimeLimit;
  return std::max(2, limited ? spec.time_limit : static_cast<int>(config.integer("longest_episode")));
}

std::optional<TransitionTable> evaluation_table(const TrainerSetup& setup) {
  const std::string how = setup.config.text("evaluation");
  if (how == "sampled" || (how == "auto" && !setup.env.transitions)) return {};
  if (setup.env.transitions) return transition_table(setup.env, setup.env_parameters);
  throw UsageError("evaluation: exact needs a transition table, which " + std::string(setup.env.spec.id) +
                   " has not; use sampled");
}

// The device follows a learner's episodes; rows the host knows.
Anneal anneal(const Schedule& schedule, bool by_episodes, std::int64_t rows) {
  if (!by_episodes) return {.start = static_cast<float>(schedule.at(rows))};
  if (schedule.kind == ScheduleKind::kConstant) return {.start = static_cast<float>(schedule.start)};
  return {.start = static_cast<float>(schedule.start),
          .end = static_cast<float>(schedule.end),
          .inverse_episodes = 1.0f / static_cast<float>(std::max<std::int64_t>(1, schedule.rows)),
          .exponential = schedule.kind == ScheduleKind::kExponential};
}

class TdTrainer final : public CollectingTrainer {
 public:
  TdTrainer(const TrainerSetup& setup, const LinearFeatures& features)
      : CollectingTrainer(setup, td_ring_rows(setup.config, setup.env.spec), 0, false),
        config_(td_config(setup.config)),
        features_(features),
        cells_(count_cells(setup.config, spec_.observation)),
        schedules_(td_schedules(setup.config)),
        rollout_steps_(setup.config.integer("rollout_steps")),
        table_(evaluation_table(setup)) {
    TdLearner::check(config_, features_, spec_.action.count, shape_);
    measure();
  }

  std::int64_t rows_per_iteration() const override { return rollout_steps_ * environments_; }

  void iterate() override {
    const std::int64_t first = ring_->head();
    for_each_env_block(stream_, environments_, [&](int begin, int end, int, const Stream& stream) {
      for (std::int64_t row = first; row < first + rollout_steps_; ++row) step(stream, row, begin, end);
    });
    ring_->advance(static_cast<int>(rollout_steps_));
    ring_head_ = ring_->head();
    updates_ += rows_per_iteration();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/absolute_td_error",  "charts/epsilon",           "charts/learning_rate",    "charts/temperature",
            "charts/online_return_mean", "charts/online_return_std", "charts/finished_learners"};
  }

  EvaluationResult evaluate(std::uint64_t seed, EvaluationMode mode) override {
    return table_ ? exact(mode) : CollectingTrainer::evaluate(seed, mode);
  }

  void restored(bool with_replay) override {
    CollectingTrainer::restored(with_replay);
    if (!with_replay) learner_->forget_rows(stream_);
  }

 protected:
  void build_agent() override {
    learner_ = std::make_unique<TdLearner>(config_, features_, cells_, spec_.action.count, shape_, seed_, agent_arena_);
  }
  void initialize_agent() override { learner_->initialize(stream_); }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    learner_->act(stream, {.obs = static_cast<const std::uint32_t*>(acts.obs),
                           .obs_size = shape_.obs_size,
                           .records = acts.records,
                           .record = shape_.record,
                           .begin = acts.begin,
                           .end = acts.end,
                           .learners = environments_,
                           .greedy = mode == EvaluationMode::kGreedy,
                           .rates = final_rates(),
                           .key = {acts.seed, acts.row, Purpose::kExploration}});
  }

  void request_agent_metrics() override { learner_->request_metrics(stream_); }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const TdMetrics m = learner_->take_metrics(stream_);
    const std::int64_t at = config_.episodes > 0 ? m.most_episodes : metrics.rows;
    metrics.failed = m.failed;
    metrics.finished = m.finished_learners == environments_;
    metrics.values = {{"losses/absolute_td_error", m.mean_absolute_error},
                      {"charts/epsilon", schedules_.epsilon.at(at)},
                      {"charts/learning_rate", schedules_.learning_rate.at(at)},
                      {"charts/temperature", schedules_.temperature.at(at)},
                      {"charts/finished_learners", m.finished_learners}};
    if (m.returning_learners == 0) return;
    metrics.values.emplace_back("charts/online_return_mean", m.return_mean);
    metrics.values.emplace_back("charts/online_return_std", m.return_std);
  }

  std::vector<StateBlock> agent_blocks() override {
    const auto size = [](int n) { return static_cast<std::uint64_t>(n); };
    std::vector<StateBlock> blocks{{"learner.parameters",
                                    StateBlock::Type::kF32,
                                    {size(learner_->learners()), size(learner_->estimators()),
                                     size(learner_->features()), size(learner_->actions())},
                                    learner_->weights().data}};
    for (const auto& [name, bytes] : learner_->other_state()) {
      blocks.push_back({"learner." + name, StateBlock::Type::kU8, {bytes.size()}, bytes.data});
    }
    return blocks;
  }

  void agent_restored() override {}

 private:
  void step(const Stream& stream, std::int64_t row, int begin, int end) {
    const bool by_episodes = config_.episodes > 0;
    const std::int64_t rows = row * environments_;
    learner_->step(stream, *ring_, row, begin, end,
                   {anneal(schedules_.epsilon, by_episodes, rows), anneal(schedules_.learning_rate, by_episodes, rows),
                    anneal(schedules_.temperature, by_episodes, rows)});
    env_->step(stream, begin, end,
               {ring_->records(ring_->slot(row)), ring_->obs(ring_->slot(row + 1)), static_cast<std::uint64_t>(row)});
  }

  TdRates final_rates() const {
    return {static_cast<float>(schedules_.epsilon.last()), static_cast<float>(schedules_.learning_rate.last()),
            static_cast<float>(schedules_.temperature.last())};
  }

  std::vector<double> policy(const double* action_values, EvaluationMode mode) const {
    if (mode == EvaluationMode::kGreedy) return epsilon_greedy_policy(*table_, action_values, 0.0);
    if (config_.target == TdTarget::kSoft) {
      return boltzmann_policy(*table_, action_values, schedules_.temperature.last());
    }
    return epsilon_greedy_policy(*table_, action_values, schedules_.epsilon.last());
  }

  // Exact returns of all learners' policies: the mean over learners, and the deviation among them.
  EvaluationResult exact(EvaluationMode mode) const {
    const std::vector<float> values = learner_->action_values(stream_);
    const std::size_t size = values.size() / static_cast<std::size_t>(environments_);
    std::vector<PolicyValue> results(static_cast<std::size_t>(environments_));
    const int horizon = evaluation_horizon(spec_);
#pragma omp parallel for schedule(dynamic, 8) num_threads(stream_.threads())
    for (int i = 0; i < environments_; ++i) {
      const float* const first = values.data() + static_cast<std::size_t>(i) * size;
      const std::vector<double> q(first, first + size);
      results[static_cast<std::size_t>(i)] = evaluate_policy(*table_, policy(q.data(), mode), horizon);
    }
    EvaluationResult result;
    result.episodes = environments_;
    result.exact = true;
    for (const PolicyValue& r : results) {
      result.return_mean += r.return_mean;
      result.length_mean += r.length_mean;
    }
    const double n = environments_;
    result.return_mean /= n;
    result.length_mean /= n;
    double squares = 0.0;
    for (const PolicyValue& r : results) squares += std::pow(r.return_mean - result.return_mean, 2);
    result.return_std = std::sqrt(squares / n);
    return result;
  }

  TdConfig config_;
  LinearFeatures features_;
  CountCells cells_;
  TdSchedules schedules_;
  std::int64_t rollout_steps_;
  std::optional<TransitionTable> table_;
  std::unique_ptr<TdLearner> learner_;
};

}  // namespace

std::unique_ptr<Trainer> make_tabular_trainer(const TrainerSetup& setup) {
  return std::make_unique<TdTrainer>(setup, tabular_features(setup.env.resolve(setup.env_parameters).observation));
}

std::unique_ptr<Trainer> make_linear_trainer(const TrainerSetup& setup) {
  return std::make_unique<TdTrainer>(
      setup, linear_features(setup.config, setup.env.resolve(setup.env_parameters).observation));
}

std::int64_t td_batch_rows(const Config& config) {
  return config.integer("rollout_steps") * config.integer("num_envs");
}

}  // namespace stampede
