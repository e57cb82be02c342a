// SPDX-License-Identifier: Apache-2.0
// What trainers of asynchronous methods share: worker threads with environments and rings of their own, schedules by
// the rows of all workers, evaluation, metrics, state. CPU only.
#pragma once

#include <atomic>
#include <memory>

#include "agents/shared_network.h"
#include "replay/trajectory_ring.h"
#include "train/trainer.h"
#include "train/worker_team.h"

namespace stampede {

// One iterate() is a number of whole rollouts that workers take one after another until none is left, so a session can
// evaluate, log, save and stop between two of them. With one worker everything runs on the calling thread, bit by bit
// reproducible; with more, rollouts meet in an order that nobody determines.
class AsyncTrainer : public Trainer {
 public:
  std::vector<std::pair<std::string, std::size_t>> memory_budget() const override { return budget_; }
  void initialize() override;
  void iterate() override;
  std::int64_t rows() const override { return rows_.load(std::memory_order_relaxed); }
  std::int64_t rows_per_iteration() const override { return rollouts_ * rollout_rows(); }
  std::int64_t updates() const override { return shared().updates(); }
  std::int64_t env_steps() override;
  void request_metrics() override {}  // between iterations, everything is on the host
  TrainerMetrics take_metrics() override;
  EvaluationResult evaluate(std::uint64_t seed, EvaluationMode mode) override;
  std::vector<StateBlock> state_blocks(bool with_replay) override;
  StateCounters state_counters() override;
  void restored(bool with_replay) override;
  std::size_t replay_bytes() const override { return 0; }

 protected:
  // batched: the method's synchronous form by id, which a GPU runs. extra_size: floats beside each row.
  AsyncTrainer(const TrainerSetup& setup, const char* batched, int extra_size);

  // Makes the agent on agent_arena_ and worker_arenas_. Called after the workers' rings exist.
  virtual void build_agent() = 0;
  virtual SharedNetwork& shared() = 0;
  virtual const SharedNetwork& shared() const = 0;
  virtual void initialize_agent() = 0;
  // Between begin_rollout() and learn() of a worker, act() is called for each of its ring's rows. row: rows of all
  // workers, where schedules stand.
  virtual void begin_rollout(int worker, std::int64_t row) = 0;
  virtual void act(const Stream& stream, int worker, const TrajectoryRing& ring) = 0;
  // begin, end: rows of all workers before and after those that this rollout counts as.
  virtual void learn(const Stream& stream, int worker, const TrajectoryRing& ring, std::int64_t begin,
                     std::int64_t end) = 0;
  virtual void begin_evaluation() {}
  virtual void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const = 0;
  virtual void read_agent_metrics(TrainerMetrics& metrics) = 0;
  virtual void add_agent_blocks(std::vector<StateBlock>& blocks) = 0;
  // begun: rollouts were collected before the checkpoint.
  virtual void agent_restored(bool begun) = 0;

  // Measures the budget; the last line of a derived constructor.
  void measure();
  int workers() const { return static_cast<int>(worker_arenas_.size()); }
  std::int64_t rollout_rows() const { return static_cast<std::int64_t>(shape_.rows) * shape_.environments; }
  // What the worker collected last.
  const TrajectoryRing& ring(int worker) const { return *workers_[static_cast<std::size_t>(worker)].ring; }
  // Most rows of one evaluate_acts() call, from stream_.threads() threads.
  int evaluation_rows() const;
  // Of a name per worker: "worker.0.environments".
  static std::string worker_name(int worker, const char* name);

  Stream stream_;
  NetworkFactory network_factory_;
  std::uint64_t seed_;
  RingShape shape_;  // of one worker's ring: N of its environments, T = rollout_steps
  EnvSpec spec_;
  Arena agent_arena_;
  std::vector<Arena> worker_arenas_;  // environments, ring and agent of one worker: no two share a cache line

 private:
  struct alignas(128) Worker {
    std::unique_ptr<VectorEnv> env;
    std::unique_ptr<TrajectoryRing> ring;
    std::int64_t head = 0;  // of the ring, for checkpoints
  };
  void build();
  void run_rollout(const Stream& stream, int worker);
  void drain_episodes();

  const EnvEntry& entry_;
  EnvParameters env_parameters_;
  int eval_episodes_;
  std::int64_t rollouts_;  // of one iteration
  std::vector<Worker> workers_;
  std::unique_ptr<Evaluator> evaluator_;
  Arena eval_arena_;
  std::vector<std::pair<std::string, std::size_t>> budget_;
  std::vector<Episode> pending_;
  std::int64_t pending_finished_ = 0;
  std::int64_t finished_ = 0;  // reset rows: collected, but no transitions
  std::int64_t saved_rows_ = 0, saved_updates_ = 0;
  std::unique_ptr<WorkerTeam> team_;
  // Written by all workers, so on lines of their own.
  alignas(64) std::atomic<std::int64_t> rows_{0};
  alignas(64) std::atomic<std::int64_t> rollouts_left_{0};
};

}  // namespace stampede
