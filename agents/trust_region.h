// SPDX-License-Identifier: Apache-2.0
// One step of a policy inside a trust region: Schulman et al. 2015 (arXiv:1502.05477), section 6 and appendix C.
#pragma once

#include <memory>
#include <vector>

#include "agents/conjugate_gradient.h"
#include "agents/input_stage.h"
#include "agents/line_search.h"
#include "agents/networks/network.h"
#include "agents/row_metrics.h"
#include "agents/trainable_network.h"
#include "agents/trust_region_steps.h"

namespace stampede {

struct TrustRegionConfig {
  int iterations = 15;           // of conjugate gradients
  float tolerance = 1e-10f;      // of their squared residual, relative to the squared gradient
  float damping = 0.1f;          // times the identity, added to the Fisher matrix
  float backtrack_ratio = 0.8f;  // of successive steps of the line search
  int backtrack_steps = 10;      // candidates before the search gives up
};

// Maximises the surrogate sum_r ratio_r advantage_r / n, plus entropy_weight times the mean entropy, subject to a mean
// KL(old || new) of at most max_kl. Directions are solutions of F x = g, with F the Fisher matrix of the policy in its
// exact Gauss-Newton form J^T M J / n: a tangent pass, each distribution's own Fisher matrix, a backward pass.
class TrustRegion {
 public:
  // policy: a network of one tower whose columns [0, actions) are logits or means, with a vector "log_sigma" when
  // continuous. batch_rows: of every update. Throws UsageError for values out of range.
  TrustRegion(const TrustRegionConfig& config, const Space& action, std::shared_ptr<const Network> policy,
              int batch_rows, const Stream& stream, Arena& arena);

  static void check(const TrustRegionConfig& config);

  // theta: [policy parameter_count], what improve() moves.
  View<float> parameters() const { return parameters_; }
  const Network& policy() const { return *policy_; }

  // Takes the batch in: activations and distributions of the policy `parameters()`, which collected it, and the
  // gradient of its surrogate. The batch and its moments must stay as they are until improve() is done.
  // obs: [M, D], as in the ring; batch.obs is not read.
  void begin(const Stream& stream, const ObservationNormalizer& observations, const void* obs,
             const RolloutBatch& batch, const MinibatchMoments* moments, float entropy_weight);
  // Moves `parameters()` by a conjugate-gradient direction and a backtracking line search. Where no candidate improves
  // the surrogate inside the region they keep their bits. A gradient that is not finite sets learner->failed.
  void improve(const Stream& stream, float max_kl, LearnerState* learner);

  // product = (F + damping) v, both [parameter_count]. After begin().
  void fisher_product(const Stream& stream, const float* v, float* product) const;
  const float* gradient() const { return gradient_.data; }  // of the surrogate, after begin()
  // In device memory; of the last improve().
  const LineSearchState* state() const { return state_.data; }
  View<TrustRegionTotals> totals() const { return totals_; }

 private:
  // Rows [rows.begin, ...) with the memory they work in.
  struct Tile {
    TrustRegionTile rows;
    float* kept;  // activations, of this tile alone
    float* workspace;
    NetworkInput input;
    float* outputs;
    int group;
    bool first_of_group;
  };
  struct Scratch {
    float *workspace = nullptr, *d_outputs = nullptr, *d_log_sigma = nullptr, *metrics = nullptr;
  };

  template <class Work>
  void for_each_tile(const Stream& stream, const Work& work) const;
  Tile tile(int group, int index, int begin, int rows, int worker) const;
  float* group_gradient(int group) const { return groups_.data + static_cast<std::size_t>(group) * parameters_.size(); }
  void backward(const Stream& stream, const Tile& tile) const;
  void add_metrics(const Stream& stream, const Tile& tile) const;
  void measure(const Stream& stream) const;
  // For what is too short to be worth waking threads.
  Stream for_vectors(const Stream& stream) const;
  int count() const { return static_cast<int>(parameters_.size()); }
  LineSearchMetrics metrics() const { return {group_metrics_.data, group_count_, entropy_weight_}; }

  TrustRegionConfig config_;
  std::shared_ptr<const Network> policy_;
  int batch_rows_, group_count_, tile_rows_, tiles_per_group_;
  int log_sigma_begin_ = 0, log_sigma_end_ = 0;
  float entropy_weight_ = 0.0f;
  TrustRegionRows rows_;
  InputRows inputs_;                               // [M]
  View<float> parameters_, candidate_, gradient_;  // [P]
  View<float> groups_;                             // [groups, P]
  View<float> prepared_, kept_, dot_scratch_;
  std::vector<Scratch> scratch_;  // per worker
  View<double> group_metrics_;    // [groups, PolicyRowMetrics::kSize]
  ConjugateGradient solver_;
  View<LineSearchState> state_;     // [1]
  View<TrustRegionTotals> totals_;  // [1]
};

}  // namespace stampede
