// SPDX-License-Identifier: Apache-2.0
// Prioritised experience replay: Schaul et al. 2016 (arXiv:1511.05952), algorithm 1, proportional and rank-based.
#pragma once

#include <cstdint>

#include "kernels/arena.h"
#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/sum_tree.h"
#include "replay/trajectory_ring.h"

namespace stampede {

struct NewPriorities;

enum class PriorityKind : std::uint8_t {
  kProportional,  // p = (|delta| + epsilon)^alpha
  kRank,          // p = rank^-alpha, rank 1 for the largest |delta|
};

struct PriorityConfig {
  PriorityKind kind = PriorityKind::kProportional;
  float alpha = 0.6f;     // [0, 1]; 0 samples uniformly
  float epsilon = 1e-6f;  // [1e-30, 1e30], added to |delta| before the power, so that no priority is 0
  DrawKind draw = DrawKind::kStratified;
  int rank_interval = 1024;  // kRank: updates between two counts of all ranks
};

// Draws rows with P(i) = p_i / sum p and gives them importance weights (N P(i))^-beta divided by the largest weight of
// the *batch*, that is (min over the batch p / p_i)^beta in (0, 1].
//
// Priorities follow the ring's rules. A row's leaf is 0, so it is never drawn, while it is invalid, at or beyond the
// head, overwritten, or still open: with n-step returns a row counts once n rows follow its first or its episode ended.
// It then enters with the largest priority ever given (1 at first). A batch that holds a row more than once gives it
// the largest of its new priorities. An error that is not finite counts as 0.
//
// Ranks are counted over all rows every rank_interval updates, to 0.4 % of |delta|; ties share their mean rank. In
// between, a new error gets the rank it would have had at the last count, and a new row rank 1.
class PrioritizedSampler {
 public:
  // Throws UsageError, naming the key, unless alpha is in [0, 1], epsilon in
  // [1e-30, 1e30] and rank_interval >= 1.
  static void check(const PriorityConfig& config);

  PrioritizedSampler(const PriorityConfig& config, const RingShape& shape, int n_step, int max_batch, Arena& arena);

  // Before the first call of anything else. Stream-ordered.
  void initialize(const Stream& stream);

  // Call after ring.advance(): takes in the rows written since the last call. Touches only their leaves and those of
  // the n_step rows before. Stream-ordered.
  void advance(const Stream& stream, const TrajectoryRing& ring);

  // Flat ring indices (slot * N + environment) and weights of one batch, for the update that key.row counts. Needs at
  // least n_step + 1 stored rows. Stream-ordered.
  void sample(const Stream& stream, const RandomKey& key, float beta, int batch, std::int32_t* indices,  // [batch]
              float* weights);                                                                           // [batch]

  // New priorities from the temporal-difference errors (signed or not, before weighting) of sampled rows. Rows that can
  // no longer be sampled stay at 0. Call before advance() reaches the sampled slots again. Stream-ordered.
  void update(const Stream& stream, const std::int32_t* indices, const float* errors, int batch);

  // State of a checkpoint: save these, and after restoring them and the ring call restored(). Without a stored ring
  // nothing is sampleable. Stream-ordered.
  View<float> priorities() const { return tree_.leaves(); }  // [(T + 1) N]
  View<float> maximum() const { return maximum_; }           // [1], the priority of new rows
  View<float> errors() const { return errors_; }             // [(T + 1) N] |delta| for kRank, else empty
  View<float> rank_table() const { return rank_table_; }     // [65536] priority by |delta| for kRank, else empty
  void restored(const Stream& stream, const TrajectoryRing& ring);

  const double* total() const { return tree_.total(); }  // [1] sum of all priorities, on the device
  const SumTree& tree() const { return tree_; }

 private:
  void clear(const Stream& stream);
  void renew(const Stream& stream, const NewPriorities& fresh, int batch);
  void count_ranks(const Stream& stream);
  void refresh_slots(const Stream& stream, std::int64_t first_row, std::int64_t end_row, const TrajectoryRing& ring);

  PriorityConfig config_;
  int n_step_;
  std::int64_t head_ = 0;  // rows taken in
  SumTree tree_;
  View<float> maximum_;         // [1]
  View<float> batch_;           // [max_batch] priorities of a batch
  View<float> reduce_scratch_;  // for reductions over a batch, and their result
  View<unsigned> arrived_;      // [1], of the blocks of a launch
  View<float> errors_;          // [(T + 1) N]
  View<float> rank_table_;      // [65536]
  View<std::int32_t> counts_;   // [2, 65536] rows by |delta|, and their prefix sums
  View<std::int32_t> scan_scratch_;
};

}  // namespace stampede
