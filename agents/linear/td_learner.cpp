// SPDX-License-Identifier: Apache-2.0
#include "agents/linear/td_learner.h"

#include <algorithm>
#include <cmath>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

int feature_count(const LinearFeatures& features) {
  return std::visit([](const auto& f) { return f.size(); }, features);
}

void require(bool condition, const char* message) {
  if (!condition) throw UsageError(message);
}

// Options that the update of one method has and another has not.
void check_method(const TdConfig& c) {
  const bool returns = c.target == TdTarget::kReturn;
  require(c.lambda == 0.0f || c.n_step == 1, "lambda: eligibility traces and n_step > 1 exclude each other");
  require(!returns || (c.lambda == 0.0f && c.n_step == 1),
          "target: Monte Carlo returns take neither n_step nor lambda");
  require(c.target != TdTarget::kSoft || (c.lambda == 0.0f && c.n_step == 1),
          "target: soft values have no rewards for the entropy between; use n_step=1 and lambda=0");
  require(!c.double_q || c.target == TdTarget::kMaximum, "double_q: only the maximum target has two estimators");
  require(!c.double_q || c.lambda == 0.0f, "double_q: eligibility traces have one estimator");
  require(c.planning_steps == 0 || (c.target != TdTarget::kSampled && !returns),
          "planning_steps: a remembered transition has no next action; use the maximum, expected or soft target");
  require(c.bonus == 0.0f || (c.n_step == 1 && !returns), "bonus: counts enter one-step targets and traces only");
}

template <class T>
View<std::byte> bytes_of(const View<T>& view) {
  return {reinterpret_cast<std::byte*>(view.data), {view.size() * sizeof(T)}};
}

}  // namespace

void TdLearner::check(const TdConfig& config, const LinearFeatures& features, int actions, const RingShape& shape) {
  check_method(config);
  if (actions > kMaxTdActions) {
    throw UsageError("tables and linear features take at most " + std::to_string(kMaxTdActions) + " actions, not " +
                     std::to_string(actions));
  }
  require(config.planning_steps == 0 || std::holds_alternative<OneHot>(features),
          "planning_steps: the model is a table; the environment needs discrete observations");
  require(!config.first_visit || std::holds_alternative<OneHot>(features), "first_visit: needs discrete observations");
  if (config.n_step > shape.rows) {
    throw UsageError("n_step: " + std::to_string(config.n_step) + " steps do not fit a ring of " +
                     std::to_string(shape.rows) + " rows");
  }
  require(static_cast<double>(feature_count(features)) * actions < 1e9,
          "tiles: more than a billion weights per learner");
}

TdLearner::TdLearner(const TdConfig& config, const LinearFeatures& features, const CountCells& cells, int actions,
                     const RingShape& shape, std::uint64_t seed, Arena& arena)
    : linear_features_(features),
      learners_(shape.environments),
      features_size_(feature_count(features)),
      seed_(seed),
      problem_{config, cells, actions} {
  const auto n = static_cast<std::size_t>(learners_);
  const std::size_t size = static_cast<std::size_t>(features_size_) * static_cast<std::size_t>(actions);
  const auto take = [&](auto& view, bool wanted, std::size_t each) {
    view = arena.take<std::remove_reference_t<decltype(*view.data)>>(wanted ? n * each : 0);
  };
  take(progress_, true, 1);
  take(weights_, true, size * static_cast<std::size_t>(estimators()));
  take(traces_, config.lambda > 0.0f, size);
  take(active_, config.lambda > 0.0f, size);
  take(visits_, config.counts_visits(), static_cast<std::size_t>(cells.cells) * static_cast<std::size_t>(actions));
  take(model_, config.planning_steps > 0, size * static_cast<std::size_t>(config.model_outcomes));
  take(known_, config.planning_steps > 0, size);
  take(first_visits_, config.first_visit, size);
  problem_.arrays = {progress_.data, weights_.data, traces_.data, active_.data,
                     visits_.data,   model_.data,   known_.data,  first_visits_.data};
}

void TdLearner::initialize(const Stream& stream) { td_initialize(stream, linear_features_, problem_, learners_); }

void TdLearner::step(const Stream& stream, const TrajectoryRing& ring, std::int64_t row, int begin, int end,
                     const Rates& rates) const {
  const int slot = ring.slot(row);
  td_step(stream, linear_features_, problem_, ring.view(),
          {begin, end, row, slot, slot == 0 ? ring.shape().rows : slot - 1, row > ring.base(), ring.records(slot),
           seed_, rates.epsilon, rates.learning_rate, rates.temperature});
}

void TdLearner::act(const Stream& stream, TdActRows rows) const {
  rows.learners = learners_;
  td_act(stream, linear_features_, problem_, rows);
}

void TdLearner::request_metrics(const Stream& stream) {
  readback_.request(stream, progress_);
  td_clear_metrics(stream, problem_, learners_, problem_.config.episodes == 0);
}

TdMetrics TdLearner::take_metrics(const Stream& stream) const {
  TdMetrics m;
  double errors = 0.0, updates = 0.0, squares = 0.0;
  const TdConfig& c = problem_.config;
  for (const LearnerProgress& p : readback_.wait(stream)) {
    errors += static_cast<double>(p.error_sum);
    updates += p.updates;
    m.failed = m.failed || p.failed != 0 || !std::isfinite(p.error_sum);
    m.finished_learners += c.episodes > 0 && p.episodes >= c.episodes;
    m.most_episodes = std::max(m.most_episodes, p.episodes);
    if (p.window_episodes == 0) continue;
    const double mean = p.window_return / p.window_episodes;
    ++m.returning_learners;
    m.return_mean += mean;
    squares += mean * mean;
  }
  const double n = std::max(1, m.returning_learners);
  m.return_mean /= n;
  m.return_std = std::sqrt(std::max(0.0, squares / n - m.return_mean * m.return_mean));
  m.mean_absolute_error = errors / std::max(1.0, updates);
  return m;
}

std::vector<float> TdLearner::action_values(const Stream& stream) const {
  std::vector<float> values = to_host(stream, weights_);
  if (estimators() == 1) return values;
  const std::size_t size = values.size() / 2 / static_cast<std::size_t>(learners_);
  std::vector<float> means(values.size() / 2);
  for (std::size_t k = 0; k < means.size(); ++k) {
    const std::size_t first = k / size * 2 * size + k % size;
    means[k] = 0.5f * (values[first] + values[first + size]);
  }
  return means;
}

std::vector<std::pair<std::string, View<std::byte>>> TdLearner::other_state() const {
  std::vector<std::pair<std::string, View<std::byte>>> state{{"progress", bytes_of(progress_)}};
  const auto add = [&](const char* name, const auto& view) {
    if (view.size() > 0) state.emplace_back(name, bytes_of(view));
  };
  add("traces", traces_);
  add("active_traces", active_);
  add("visits", visits_);
  add("model", model_);
  add("known_pairs", known_);
  add("first_visits", first_visits_);
  return state;
}

}  // namespace stampede
