// SPDX-License-Identifier: Apache-2.0
// Parallelised Q-learning without replay, PQN: Gallici et al. 2024, arXiv:2407.04811, algorithm 1 and section 3.3's
// Q(lambda) returns. With other bootstraps deep SARSA and Expected SARSA; with a target network, one epoch and one
// minibatch the synchronous form of the asynchronous methods of Mnih et al. 2016 (arXiv:1602.01783), algorithms 1
// and 2.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/input_stage.h"
#include "agents/learner_readback.h"
#include "agents/pqn_steps.h"
#include "agents/trainable_network.h"
#include "kernels/space.h"

namespace stampede {

struct PqnConfig {
  float gamma = 0.99f;
  float lambda = 0.65f;
  int epochs = 2;
  int minibatches = 4;
  BootstrapKind bootstrap = BootstrapKind::kMax;
  TdLoss loss = TdLoss::kSquared;
  int target_interval = 0;                  // updates between target network updates; 0: the online network bootstraps
  float target_tau = 1.0f;                  // 1 copies the network; below 1 averages (Polyak)
  std::vector<double> epsilon_ends = {};    // final epsilons that environments draw; empty: all share one
  std::vector<double> epsilon_shares = {};  // how often each is drawn; empty: equally
  NetworkShape network{.activation = Activation::kRelu, .layer_norm = true};
  OptimizerConfig optimizer{.max_norm = 10.0f};
};

struct PqnMetrics {
  double loss, mean_q, mean_absolute_error, mean_target, gradient_norm;
  std::int64_t optimizer_steps;
  bool failed;
};

class Pqn {
 public:
  static NetworkSpec network_spec(const PqnConfig& config, const Space& observation, const Space& action);
  // Throws UsageError for more minibatches than rows, or final epsilons that do not fit their shares.
  static void check(const PqnConfig& config, std::int64_t rollout_rows);

  // ring: T = rollout rows, extra_size = QRolloutExtra::kSize. workers: threads that act at the same time. act_rows:
  // most rows of one act() call.
  Pqn(const PqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
      int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);

  // Epsilon-greedy actions for environments [begin, end) at one row and, unless extra is null, what the row is worth to
  // the one before it. Acting on the head slot as well gives a cut rollout its bootstrap.
  struct ActRequest {
    const void* obs;         // [N, D]
    std::uint32_t* records;  // [N, record words]
    float* extra;            // [N, QRolloutExtra::kSize]
    int begin, end;
    std::uint64_t row;
    int worker;
    Epsilon epsilon;
    // Draws of an evaluation come from its own seed, those of training from the agent's.
    std::optional<std::uint64_t> seed = {};
  };
  void act(const Stream& stream, const ActRequest& request) const;

  // Returns, then epochs of minibatch updates on the ring's T rows. `update` counts updates before this call: it keys
  // the permutations and times the target network. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float learning_rate);

  // Asks for the sums since the last request, which are cleared; waits for nothing.
  void request_metrics(const Stream& stream);
  // What the latest request asked for; waits for its copies alone.
  PqnMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  PqnMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  View<float> target_parameters() const { return target_; }  // empty without a target network
  std::uint64_t seed() const { return seed_; }
  FinalEpsilons& final_epsilons() { return final_epsilons_; }

 private:
  struct Scratch {
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr, *target_outputs = nullptr, *d_outputs = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, bool gradient, Arena& arena) const;
  void update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch, float learning_rate);
  void accumulate_tile(const Stream& stream, int begin, int rows, int group, const Scratch& scratch);
  void update_target(const Stream& stream, std::uint64_t updates);

  PqnConfig config_;
  Space action_;
  RingShape shape_;
  std::uint64_t seed_;
  int max_groups_, tile_rows_;
  TrainableNetwork network_;
  ObservationNormalizer identity_;  // observations are taken as they are
  FinalEpsilons final_epsilons_;
  View<float> target_;                                // [P]
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  QBatch batch_;
  View<std::int32_t> valid_rows_, count_scratch_;
  View<double> group_metrics_;  // [groups, DqnRowMetrics::kSize]
  View<double> metric_totals_;  // [DqnRowMetrics::kSize]
  LearnerReadback readback_;
};

}  // namespace stampede
