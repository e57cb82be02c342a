// SPDX-License-Identifier: Apache-2.0
#include "agents/linear/td_steps.h"

#include <type_traits>

#include "agents/linear/td_learn.h"
#include "agents/linear/td_tables_cpu.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// One-step targets alone; the compiler then drops the code of all other options.
HD TdConfig one_step(TdConfig config) {
  config.n_step = 1;
  config.lambda = 0.0f;
  config.double_q = false;
  config.bonus = 0.0f;
  config.rate_power = 0.0f;
  config.planning_steps = 0;
  config.first_visit = false;
  return config;
}

template <class Features>
HD int choose(const TdLane<Features>& lane, const std::uint32_t* obs, const PhiloxBlock& draw) {
  return behave(lane.config.target, lane.values(obs), lane.actions, lane.rates, draw);
}

// kOneStep: config.is_one_step(), for CUDA alone: a CPU has tiles for it. kActions: number of actions, 0 = known at run
// time only.
template <class Features, bool kOneStep, int kActions>
struct TdStepOp {
  Features features;
  TdProblem problem;
  RingView ring;
  TdRow row;

  HD void operator()(int begin, int end) const {
    const RandomKey key{row.seed, static_cast<std::uint64_t>(row.row), Purpose::kExploration};
    begin += row.begin;
    end += row.begin;
#ifdef __CUDA_ARCH__
    step(begin, key.block(static_cast<std::uint32_t>(begin), 0));
#else
    if constexpr (!kOneStep) step_range(begin, end, key);
#endif
  }

 private:
  void step_range(int begin, int end, const RandomKey& key) const {
    // Drawn for all lanes first: that loop vectorises.
    std::uint32_t words[4][kCpuChunk];
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) {
      const PhiloxBlock block = key.block(static_cast<std::uint32_t>(i), 0);
      for (int w = 0; w < 4; ++w) words[w][i - begin] = block.word[w];
    }
    const TdStepOp local = *this;  // whose members are loop invariants: nothing stored can change them
    for (int i = begin; i < end; ++i) {
      const int k = i - begin;
      local.step(i, {{words[0][k], words[1][k], words[2][k], words[3][k]}});
    }
  }

  HD void step(int i, const PhiloxBlock& draw) const {
    const TdConfig c = kOneStep ? one_step(problem.config) : problem.config;
    LearnerProgress& progress = problem.arrays.progress[i];
    TdLane<Features> lane = lane_of(i, features, problem, c, row.rates(progress.episodes),
                                    kActions > 0 ? kActions : problem.actions, progress);
    const std::uint32_t* const obs = row_obs(ring, row.slot, i);
    const bool first = chooses_first(c);
    int action = first ? choose(lane, obs, draw) : 0;
    learn_row(lane, ring, row, i, action, draw.word[3]);
    if (!first) action = choose(lane, obs, draw);
    row.records[static_cast<std::size_t>(i) * static_cast<std::size_t>(ring.shape.record.words)] =
        static_cast<std::uint32_t>(action);
  }
};

template <class Features>
struct TdActOp {
  Features features;
  TdProblem problem;
  TdActRows rows;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    LearnerProgress unused{};
    const TdLane<Features> lane =
        lane_of(i % rows.learners, features, problem, problem.config, rows.rates, problem.actions, unused);
    const std::uint32_t* const obs = rows.obs + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.obs_size);
    const int action = rows.greedy ? summary_of(lane.values(obs)).first_best()
                                   : choose(lane, obs, rows.key.block(static_cast<std::uint32_t>(i), 0));
    rows.records[static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words)] =
        static_cast<std::uint32_t>(action);
  }
};

// Binary features share the initial value; of the Fourier basis only the constant has it.
template <class Features>
struct InitializeOp {
  Features features;
  TdProblem problem;
  std::size_t per_estimator;  // F * A

  HD void operator()(int estimator) const {
    float* const w = problem.arrays.weights + static_cast<std::size_t>(estimator) * per_estimator;
    const float value = problem.config.initial_value;
    for (std::size_t j = 0; j < per_estimator; ++j) {
      const int index = static_cast<int>(j / static_cast<std::size_t>(problem.actions));
      if constexpr (std::is_same_v<Features, FourierBasis>) {
        w[j] = index == 0 ? value : 0.0f;
      } else {
        w[j] = value * features.rate(index);
      }
    }
  }
};

struct ClearMetricsOp {
  LearnerProgress* progress;
  bool window;
  HD void operator()(int i) const {
    LearnerProgress& p = progress[i];
    p.error_sum = 0.0f;
    p.updates = 0;
    if (!window) return;
    p.window_return = 0.0;
    p.window_episodes = 0;
  }
};

struct ForgetRowsOp {
  LearnerProgress* progress;
  HD void operator()(int i) const { progress[i].length = 0; }
};

}  // namespace

void td_step(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, const RingView& ring,
             const TdRow& row) {
  const int rows = row.end - row.begin;
  const auto* const table = std::get_if<OneHot>(&features);
  if (table != nullptr && !stream.is_cuda() && tables_have_tiles(problem.actions)) {
    return step_tables_on_cpu(stream, *table, problem, ring, row);
  }
  if (table != nullptr && stream.is_cuda() && problem.config.is_one_step()) {
    if (problem.actions == 4)
      return for_each_chunk(stream, rows, TdStepOp<OneHot, true, 4>{*table, problem, ring, row});
    return for_each_chunk(stream, rows, TdStepOp<OneHot, true, 0>{*table, problem, ring, row});
  }
  std::visit(
      [&](const auto& f) {
        for_each_chunk(stream, rows, TdStepOp<std::decay_t<decltype(f)>, false, 0>{f, problem, ring, row});
      },
      features);
}

void td_act(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, const TdActRows& rows) {
  std::visit(
      [&](const auto& f) {
        for_each_index(stream, rows.end - rows.begin, TdActOp<std::decay_t<decltype(f)>>{f, problem, rows});
      },
      features);
}

void td_initialize(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, int learners) {
  std::visit(
      [&](const auto& f) {
        const std::size_t size = static_cast<std::size_t>(f.size()) * static_cast<std::size_t>(problem.actions);
        for_each_index(stream, learners * (problem.config.double_q ? 2 : 1),
                       InitializeOp<std::decay_t<decltype(f)>>{f, problem, size}, 1);
      },
      features);
}

void td_clear_metrics(const Stream& stream, const TdProblem& problem, int learners, bool window) {
  for_each_index(stream, learners, ClearMetricsOp{problem.arrays.progress, window});
}

void td_forget_rows(const Stream& stream, const TdProblem& problem, int learners) {
  for_each_index(stream, learners, ForgetRowsOp{problem.arrays.progress});
}

}  // namespace stampede
