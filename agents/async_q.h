// SPDX-License-Identifier: Apache-2.0
// Asynchronous Q-learning and Sarsa: Mnih et al. 2016 (arXiv:1602.01783), algorithms 1 and S2, on CPU threads.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "agents/epsilon_greedy.h"
#include "agents/input_stage.h"
#include "agents/losses/bootstrap.h"
#include "agents/losses/dqn_loss.h"
#include "agents/networks/network_spec.h"
#include "agents/shared_network.h"
#include "kernels/space.h"
#include "replay/trajectory_ring.h"

namespace stampede {

struct AsyncQConfig {
  float gamma = 0.99f;
  int n_step = 1;  // steps folded into a target (algorithm 1); 0 = to the end of the rollout (algorithm S2)
  BootstrapKind bootstrap = BootstrapKind::kMax;  // or kSarsa: from the action executed next
  TdLoss loss = TdLoss::kSquared;
  NetworkShape network{};
  RmsPropConfig optimizer{};
};

// Means over rows, and over updates for the norm.
struct AsyncQMetrics {
  double loss, mean_q, mean_absolute_error, mean_target, gradient_norm;
};

// Every worker has N environments and a ring of the T rows of one rollout (an on-policy ring, begun by the caller).
// Methods that name a worker may run at the same time for different workers; a call belongs to one thread. A worker
// acts on its snapshot of the parameters, taken when it last updated them.
class AsyncQ {
 public:
  static NetworkSpec network_spec(const AsyncQConfig& config, const Space& observation, const Space& action);

  // shape: of one worker's ring. worker_arenas: one per worker, so that no two share a cache line.
  AsyncQ(const AsyncQConfig& config, const Space& action, std::shared_ptr<const Network> network,
         const RingShape& shape, int evaluation_workers, int evaluation_rows, std::uint64_t seed, const Stream& stream,
         Arena& arena, std::span<Arena> worker_arenas);

  // Fresh parameters; target network and snapshots are copies of them.
  void initialize(const Stream& stream);
  // After parameters were restored from a checkpoint: everything that follows from them. `begun`: rollouts were
  // collected before, so that Sarsa's next actions are chosen already.
  void restored(const Stream& stream, bool begun);

  // Actions of all the worker's environments at the ring's head; into its records. epsilon: its final values, if any,
  // are those of the worker's environments.
  void act(const Stream& stream, int worker, const TrajectoryRing& ring, const Epsilon& epsilon);
  // Adds the gradient of the rollout in the ring to the shared parameters.
  void learn(const Stream& stream, int worker, const TrajectoryRing& ring, const Epsilon& epsilon, float learning_rate);
  // The shared target network becomes a copy of the parameters; workers notice at their next rollout's end.
  void update_target();

  // The first half of learn(): the gradient of the rollout's valid rows, summed, in the first groups() blocks of the
  // worker's network.
  void accumulate(const Stream& stream, int worker, const TrajectoryRing& ring);
  int groups() const { return groups_; }
  const TrainableNetwork& worker_network(int worker) const {
    return workers_[static_cast<std::size_t>(worker)]->network;
  }

  // Actions of environments [begin, end) from the shared parameters, for evaluations.
  struct EvaluationRequest {
    const void* obs;         // [M, D]
    std::uint32_t* records;  // [M, record words]
    int begin, end;
    std::uint64_t row;
    int worker;  // of the evaluation, in [0, evaluation_workers)
    float epsilon;
    std::uint64_t seed;
  };
  void evaluate(const Stream& stream, const EvaluationRequest& request) const;

  // Sums of all workers since the last call. Not while workers run.
  AsyncQMetrics read_metrics();

  SharedNetwork& shared() { return shared_; }
  const SharedNetwork& shared() const { return shared_; }
  View<float> target_parameters() const { return target_; }
  // Actions chosen for the next rollout's first row [N]; Sarsa only.
  View<std::int32_t> chosen_actions(int worker) const { return workers_[static_cast<std::size_t>(worker)]->chosen; }

 private:
  // One rollout's transitions in the order of the ring: row = slot * N + environment.
  struct TdRows {
    std::int32_t* actions;       // [T * N], -1 on invalid rows
    std::int32_t* bootstraps;    // [T * N], row of target_outputs
    std::int32_t* next_actions;  // [T * N], executed there
    float* rewards;              // [T * N], folded
    float* discounts;            // [T * N], gamma^k or 0
  };
  struct alignas(128) Worker {
    Worker(std::shared_ptr<const Network> network_of_all, int groups, Arena& arena)
        : network(std::move(network_of_all), {}, groups, arena) {}
    TrainableNetwork network;
    std::uint64_t seed = 0;
    View<float> target;  // [P], snapshot of the shared target network
    std::int64_t target_version = -1;
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr, *target_outputs = nullptr, *d_outputs = nullptr, *metrics = nullptr;
    TdRows rows{};
    View<std::int32_t> chosen;  // [N]
    bool chosen_ahead = false;
    View<double> sums;  // [DqnRowMetrics::kSize]
    double norms = 0.0;
    std::int64_t updates = 0;
  };
  struct EvaluationScratch {
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr;
  };
  std::unique_ptr<Worker> make_worker(int index, Arena& arena);
  void choose(const Stream& stream, Worker& worker, const TrajectoryRing& ring, const Epsilon& epsilon) const;
  void choose_ahead(const Stream& stream, Worker& worker, const TrajectoryRing& ring, const Epsilon& epsilon) const;
  int fold_targets(const Worker& worker, const RingView& ring) const;
  void evaluate_target(const Stream& stream, Worker& worker, const RingView& ring, int begin) const;
  void accumulate_tile(const Stream& stream, Worker& worker, const RingView& ring, int begin, int rows,
                       int group) const;
  void tile_loss(const Worker& worker, int begin, int rows) const;

  AsyncQConfig config_;
  Space action_;
  RingShape shape_;
  std::uint64_t seed_;
  std::shared_ptr<const Network> network_;
  int groups_, tile_rows_;
  SharedNetwork shared_;
  ObservationNormalizer identity_;  // observations are taken as they are
  View<float> target_;              // [P], shared
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<EvaluationScratch> evaluation_scratch_;
  alignas(64) std::atomic<std::int64_t> target_version_{0};
};

}  // namespace stampede
