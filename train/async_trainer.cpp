// SPDX-License-Identifier: Apache-2.0
#include "train/async_trainer.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "kernels/error.h"
#include "train/async_keys.h"
#include "train/env_blocks.h"
#include "train/memory_budget.h"

namespace stampede {
namespace {

// Rows between two looks of the session, at least: few enough to stop at once, many enough that starting and joining
// the workers costs nothing.
constexpr std::int64_t kRowsPerIteration = 2048;

RingShape worker_shape(const EnvSpec& spec, const Config& config, int extra_size) {
  const bool discrete = spec.observation.is_discrete();
  return {static_cast<int>(config.integer("num_envs")) / async_workers(config),
          static_cast<int>(config.integer("rollout_steps")),
          discrete ? 1 : spec.observation.size,
          discrete ? ObsType::kInt32 : ObsType::kFloat32,
          RecordLayout::for_action_size(spec.action.size),
          extra_size};
}

void check_device(const Stream& stream, const Config& config, const char* batched) {
  if (!stream.is_cuda()) return;
  throw UsageError("device: " + config.text("device") +
                   " cannot run asynchronous workers, which are CPU threads; on a GPU use their batched form, " +
                   batched);
}

}  // namespace

AsyncTrainer::AsyncTrainer(const TrainerSetup& setup, const char* batched, int extra_size)
    : stream_(setup.stream),
      network_factory_(setup.network_factory),
      seed_(static_cast<std::uint64_t>(setup.config.integer("seed"))),
      spec_(setup.env.resolve(setup.env_parameters)),
      agent_arena_(Device{}),
      entry_(setup.env),
      env_parameters_(setup.env_parameters),
      eval_episodes_(static_cast<int>(setup.config.integer("eval_episodes"))),
      eval_arena_(Device{}) {
  check_device(stream_, setup.config, batched);
  shape_ = worker_shape(spec_, setup.config, extra_size);
  const int count = async_workers(setup.config);
  for (int w = 0; w < count; ++w) worker_arenas_.emplace_back(Device{});
  workers_ = std::vector<Worker>(worker_arenas_.size());
  rollouts_ = std::max<std::int64_t>(count, (kRowsPerIteration + rollout_rows() - 1) / rollout_rows());
}

void AsyncTrainer::build() {
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    const auto first = static_cast<std::uint32_t>(w) * static_cast<std::uint32_t>(shape_.environments);
    workers_[w].env = entry_.make(env_parameters_, shape_.environments, seed_, first, worker_arenas_[w]);
    workers_[w].ring = std::make_unique<TrajectoryRing>(shape_, worker_arenas_[w]);
  }
  build_agent();
  evaluator_ = std::make_unique<Evaluator>(entry_, env_parameters_, eval_episodes_, eval_arena_);
}

void AsyncTrainer::measure() {
  build();
  std::size_t of_workers = 0;
  for (const Arena& arena : worker_arenas_) of_workers += arena.bytes();
  budget_ = {{"workers", of_workers}, {"agent", agent_arena_.bytes()}, {"evaluation", eval_arena_.bytes()}};
  check_memory_budget(stream_.device(), budget_);
}

void AsyncTrainer::initialize() {
  for (Arena& arena : worker_arenas_) arena.allocate("a worker");
  agent_arena_.allocate("the agent");
  eval_arena_.allocate("evaluation");
  build();
  for (Worker& worker : workers_) worker.env->reset(stream_, worker.ring->obs(0));
  initialize_agent();
  team_ = std::make_unique<WorkerTeam>(workers());
}

void AsyncTrainer::iterate() {
  rollouts_left_.store(rollouts_);
  team_->run([this](int worker) {
    const Stream stream = stream_.serial();
    while (rollouts_left_.fetch_sub(1, std::memory_order_relaxed) > 0) run_rollout(stream, worker);
  });
}

// Mnih et al. 2016, the loop of algorithms 1, S2 and S3: t_max steps with the parameters of the worker's snapshot, then
// one update of the shared ones.
void AsyncTrainer::run_rollout(const Stream& stream, int index) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  TrajectoryRing& ring = *worker.ring;
  ring.begin_rollout(stream);
  begin_rollout(index, rows());
  for (int t = 0; t < shape_.rows; ++t) {
    const int slot = ring.slot(ring.head());
    act(stream, index, ring);
    worker.env->step(stream, 0, shape_.environments,
                     {ring.records(slot), ring.obs(slot + 1), static_cast<std::uint64_t>(ring.head())});
    ring.advance();
  }
  const std::int64_t begin = rows_.fetch_add(rollout_rows(), std::memory_order_relaxed);
  learn(stream, index, ring, begin, begin + rollout_rows());
}

void AsyncTrainer::drain_episodes() {
  const auto added = static_cast<std::ptrdiff_t>(pending_.size());
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    std::int64_t finished = 0;
    for (Episode& episode : workers_[w].env->episodes().drain(stream_, &finished)) {
      episode.environment += static_cast<std::int32_t>(w) * shape_.environments;
      pending_.push_back(episode);
    }
    pending_finished_ += finished;
    finished_ += finished;
  }
  std::sort(pending_.begin() + added, pending_.end(), [](const Episode& a, const Episode& b) {
    return std::tie(a.row, a.environment) < std::tie(b.row, b.environment);
  });
}

std::int64_t AsyncTrainer::env_steps() {
  drain_episodes();
  return rows() - finished_;
}

TrainerMetrics AsyncTrainer::take_metrics() {
  drain_episodes();
  TrainerMetrics metrics;
  metrics.episodes = std::move(pending_);
  metrics.finished_episodes = pending_finished_;
  metrics.rows = rows();
  metrics.env_steps = metrics.rows - finished_;
  pending_.clear();
  pending_finished_ = 0;
  metrics.failed = shared().failed();
  read_agent_metrics(metrics);
  return metrics;
}

int AsyncTrainer::evaluation_rows() const { return std::min(env_block_size(stream_, eval_episodes_), eval_episodes_); }

EvaluationResult AsyncTrainer::evaluate(std::uint64_t seed, EvaluationMode mode) {
  begin_evaluation();
  return evaluator_->run(stream_, seed,
                         [&](const Stream& stream, const EvaluationActs& acts) { evaluate_acts(stream, acts, mode); });
}

std::string AsyncTrainer::worker_name(int worker, const char* name) {
  return "worker." + std::to_string(worker) + "." + name;
}

std::vector<StateBlock> AsyncTrainer::state_blocks(bool /*with_replay*/) {
  drain_episodes();
  const NetworkSpec* const spec = &shared().spec();
  std::vector<StateBlock> blocks;
  const auto add_parameters = [&](const char* name, View<float> view) {
    blocks.push_back({name, StateBlock::Type::kF32, {view.size()}, view.data, spec});
  };
  add_parameters("network.parameters", shared().parameters());
  add_parameters("network.second_moment", shared().squares());
  for (int w = 0; w < workers(); ++w) {
    Worker& worker = workers_[static_cast<std::size_t>(w)];
    const View<std::byte> env = worker.env->checkpoint_bytes(), obs = worker.ring->obs_bytes();
    const std::size_t slot = obs.size() / static_cast<std::size_t>(shape_.rows + 1);
    void* const head = worker.ring->obs(worker.ring->slot(worker.ring->head()));
    blocks.push_back({worker_name(w, "environments"), StateBlock::Type::kU8, {env.size()}, env.data});
    blocks.push_back({worker_name(w, "head_obs"), StateBlock::Type::kU8, {slot}, head});
  }
  add_agent_blocks(blocks);
  return blocks;
}

StateCounters AsyncTrainer::state_counters() {
  saved_rows_ = rows();
  saved_updates_ = updates();
  StateCounters counters{{"rows", &saved_rows_}, {"updates", &saved_updates_}, {"finished_episodes", &finished_}};
  for (int w = 0; w < workers(); ++w) {
    Worker& worker = workers_[static_cast<std::size_t>(w)];
    worker.head = worker.ring->head();
    counters.emplace_back(worker_name(w, "rows"), &worker.head);
  }
  return counters;
}

void AsyncTrainer::restored(bool /*with_replay*/) {
  rows_ = saved_rows_;
  shared().restore(saved_updates_);
  // The head's observation was put into slot 0 and nothing lies behind it.
  for (Worker& worker : workers_) worker.ring->restore(worker.head, worker.head);
  agent_restored(saved_rows_ > 0);
}

}  // namespace stampede
