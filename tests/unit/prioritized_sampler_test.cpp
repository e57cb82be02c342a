// SPDX-License-Identifier: Apache-2.0
// Prioritised replay: published values, and the ring's rules against a model that knows every row.
#include "replay/prioritized_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/error.h"
#include "tests/unit/ring_rows.h"

namespace stampede {
namespace {

RingShape shape_of(int environments, int rows) {
  return {environments, rows, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 0};
}

// A ring that a test writes row by row, and its sampler.
class ReplayRig {
 public:
  ReplayRig(const PriorityConfig& config, int environments, int rows, int n_step, int max_batch = 512, int threads = 1)
      : ring_(shape_of(environments, rows)), stream_(Stream::cpu(threads)), arena_(Device{}) {
    PrioritizedSampler measured(config, ring_.ring().shape(), n_step, max_batch, arena_);
    arena_.allocate("test sampler");
    sampler_ = std::make_unique<PrioritizedSampler>(config, ring_.ring().shape(), n_step, max_batch, arena_);
    sampler_->initialize(stream_);
  }

  // flags [environments] of the next row
  void append(const std::vector<std::uint32_t>& flags) {
    for (std::size_t i = 0; i < flags.size(); ++i) {
      ring_.write(ring_.ring().slot(ring_.ring().head()), static_cast<int>(i), {0.0f, flags[i]});
    }
    ring_.ring().advance();
  }
  void advance() { sampler_->advance(stream_, ring_.ring()); }
  void sample(std::uint64_t update, float beta, int batch) {
    indices.resize(static_cast<std::size_t>(batch));
    weights.resize(static_cast<std::size_t>(batch));
    sampler_->sample(stream_, {3, update, Purpose::kReplaySample}, beta, batch, indices.data(), weights.data());
  }
  void update(const std::vector<std::int32_t>& rows, const std::vector<float>& errors) {
    sampler_->update(stream_, rows.data(), errors.data(), static_cast<int>(rows.size()));
  }
  float priority(std::size_t index) const { return sampler_->priorities()[index]; }

  TrajectoryRing& ring() { return ring_.ring(); }
  PrioritizedSampler& sampler() { return *sampler_; }
  const Stream& stream() const { return stream_; }

  std::vector<std::int32_t> indices;
  std::vector<float> weights;

 private:
  HandRing ring_;
  Stream stream_;
  Arena arena_;
  std::unique_ptr<PrioritizedSampler> sampler_;
};

// Four rows with errors 1, 2, 3, 4 in one environment, alpha 0.6 and (almost) no epsilon.
ReplayRig four_rows(DrawKind draw) {
  ReplayRig rig({.alpha = 0.6f, .epsilon = 1e-12f, .draw = draw}, 1, 7, 1);
  for (int row = 0; row < 4; ++row) rig.append({kValid});
  rig.advance();
  rig.update({0, 1, 2, 3}, {1.0f, -2.0f, 3.0f, -4.0f});
  return rig;
}

TEST(PrioritizedSampler, ProbabilitiesAndWeightsOfTheProportionalVariant) {
  const double probability[] = {0.14823, 0.224674, 0.286555, 0.340542};
  const double weight[] = {1.0, 0.846745, 0.768229, 0.716978};
  for (const DrawKind draw : {DrawKind::kStratified, DrawKind::kIndependent}) {
    ReplayRig rig = four_rows(draw);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(rig.priority(i) / *rig.sampler().total(), probability[i], 1e-6);
    }
    int counts[4] = {};
    for (std::uint64_t update = 0; update < 500; ++update) {
      rig.sample(update, 0.4f, 100);
      ASSERT_EQ(std::count(rig.indices.begin(), rig.indices.end(), 0) > 0, true);
      for (std::size_t k = 0; k < 100; ++k) {
        ASSERT_NEAR(rig.weights[k], weight[rig.indices[k]], 1e-5);
        ++counts[rig.indices[k]];
      }
    }
    double chi2 = 0.0;
    for (std::size_t i = 0; i < 4; ++i) {
      const double expected = 50'000 * probability[i];
      chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi2, 16.3);  // 3 degrees of freedom, p = 0.001
  }
}

// Without the rarest row in the batch, the largest weight of the batch is still 1.
TEST(PrioritizedSampler, WeightsAreDividedByTheLargestOfTheBatch) {
  ReplayRig rig = four_rows(DrawKind::kIndependent);
  int without_rarest = 0;
  for (std::uint64_t update = 0; update < 200; ++update) {
    rig.sample(update, 1.0f, 3);
    EXPECT_EQ(*std::max_element(rig.weights.begin(), rig.weights.end()), 1.0f);
    const auto rarest = *std::min_element(rig.indices.begin(), rig.indices.end());
    for (std::size_t k = 0; k < 3; ++k) {
      const double expected = std::pow((rarest + 1.0) / (rig.indices[k] + 1.0), 0.6);
      ASSERT_NEAR(rig.weights[k], expected, 1e-5);
    }
    without_rarest += rarest > 0;
  }
  EXPECT_GT(without_rarest, 50);
}

TEST(PrioritizedSampler, BetaZeroWeighsAllAlikeAndAlphaZeroSamplesUniformly) {
  ReplayRig rig = four_rows(DrawKind::kStratified);
  rig.sample(0, 0.0f, 31);
  for (const float weight : rig.weights) EXPECT_EQ(weight, 1.0f);
  ReplayRig uniform({.alpha = 0.0f}, 1, 7, 1);
  for (int row = 0; row < 4; ++row) uniform.append({kValid});
  uniform.advance();
  uniform.update({0, 1, 2, 3}, {1.0f, 0.0f, 3000.0f, 1e-9f});
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(uniform.priority(i), 1.0f);
}

TEST(PrioritizedSampler, NewRowsHaveTheLargestPriorityEverGiven) {
  ReplayRig rig({.alpha = 1.0f, .epsilon = 1e-6f}, 1, 4, 1);
  rig.append({kValid});
  rig.advance();
  EXPECT_EQ(rig.priority(0), 1.0f);
  rig.update({0}, {0.25f});
  rig.append({kValid});
  rig.advance();
  EXPECT_EQ(rig.priority(1), 1.0f) << "smaller errors do not lower the maximum";
  rig.update({1}, {-7.0f});
  rig.append({kValid});
  rig.advance();
  EXPECT_NEAR(rig.priority(2), 7.0f, 1e-5f);
  EXPECT_NEAR(rig.priority(0), 0.25f, 1e-5f);
  for (int row = 0; row < 6; ++row) rig.append({kValid}), rig.advance();
  EXPECT_NEAR(rig.priority(1), 7.0f, 1e-5f) << "the maximum outlives its row";
}

TEST(PrioritizedSampler, RepeatedRowsGetTheLargestOfTheirErrors) {
  ReplayRig rig({.alpha = 1.0f, .epsilon = 1e-6f}, 1, 7, 1);
  for (int row = 0; row < 4; ++row) rig.append({kValid});
  rig.advance();
  rig.update({2, 1, 2, 2, 1, 2}, {0.5f, 0.1f, -0.75f, 0.25f, 0.05f, 0.0f});
  EXPECT_NEAR(rig.priority(2), 0.75f, 1e-5f);
  EXPECT_NEAR(rig.priority(1), 0.1f, 1e-5f);
  EXPECT_EQ(rig.priority(0), 1.0f);
  EXPECT_NEAR(*rig.sampler().total(), 2.85, 1e-5);
}

TEST(PrioritizedSampler, NoErrorMakesARowUnreachableOrInfinite) {
  ReplayRig rig({}, 1, 7, 1);
  for (int row = 0; row < 4; ++row) rig.append({kValid});
  rig.advance();
  rig.update({0, 1, 2, 3}, {0.0f, NAN, INFINITY, 3e38f});
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_GT(rig.priority(i), 0.0f);
    EXPECT_TRUE(std::isfinite(rig.priority(i)));
  }
  EXPECT_EQ(rig.priority(1), rig.priority(0));
  EXPECT_TRUE(std::isfinite(*rig.sampler().total()));
}

// What each stored row is worth, from the rules alone: every row is looked at anew after every step.
class RowModel {
 public:
  RowModel(int environments, int ring_rows, int n_step)
      : environments_(environments), ring_rows_(ring_rows), n_step_(n_step) {}

  void append(const std::vector<std::uint32_t>& flags, float maximum) {
    flags_.push_back(flags);
    priorities_.emplace_back(flags.size(), 0.0f);
    for (int row = oldest(); row < head(); ++row) {
      for (int i = 0; i < environments_; ++i) {
        if (at(row, i) == 0.0f && sampleable(row, i)) at(row, i) = maximum;
      }
    }
  }
  bool sampleable(int row, int i) const {
    if (!(flags(row, i) & kValid)) return false;
    for (int r = row; r < row + n_step_ && r < head(); ++r) {
      if (r == row + n_step_ - 1 || (flags(r, i) & kEpisodeEnd)) return true;
    }
    return false;
  }
  float& at(int row, int i) { return priorities_[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)]; }
  int head() const { return static_cast<int>(flags_.size()); }
  int oldest() const { return std::max(0, head() - ring_rows_); }
  std::uint32_t flags(int row, int i) const {
    return flags_[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)];
  }

 private:
  int environments_, ring_rows_, n_step_;
  std::vector<std::vector<std::uint32_t>> flags_;
  std::vector<std::vector<float>> priorities_;
};

// Every leaf of the ring equals the model's row, and is 0 where no row is.
void expect_leaves(ReplayRig& rig, RowModel& model, int environments) {
  const int slots = rig.ring().view().slots();
  std::vector<float> expected(static_cast<std::size_t>(slots * environments), 0.0f);
  for (int row = model.oldest(); row < model.head(); ++row) {
    for (int i = 0; i < environments; ++i) {
      expected[static_cast<std::size_t>(row % slots * environments + i)] = model.at(row, i);
    }
  }
  double total = 0.0;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    ASSERT_EQ(rig.priority(k), expected[k]) << "slot " << static_cast<int>(k) / environments << " environment "
                                            << static_cast<int>(k) % environments << " head " << model.head();
    total += expected[k];
  }
  ASSERT_NEAR(*rig.sampler().total(), total, 1e-9 * total);
}

// Episodes of random length that end in a termination, a truncation or both, each followed by a reset row.
std::vector<std::uint32_t> next_flags(std::vector<bool>& ended, std::uint64_t row) {
  std::vector<std::uint32_t> flags(ended.size());
  for (std::size_t i = 0; i < ended.size(); ++i) {
    const std::uint32_t word = RandomKey{9, row, Purpose::kEnvironmentStep}.lane_word(static_cast<std::uint32_t>(i));
    const std::uint32_t end = word % 5 == 0 ? 1 + word / 5 % 3 : 0;
    flags[i] = ended[i] ? 0 : kValid | end;
    ended[i] = !ended[i] && end != 0;
  }
  return flags;
}

struct PropertyCase {
  int environments, ring_rows, n_step, rows_per_advance;
};

void run_against_model(const PropertyCase& c, int threads) {
  constexpr float kAlpha = 0.7f, kEpsilon = 0.01f;
  ReplayRig rig({.alpha = kAlpha, .epsilon = kEpsilon}, c.environments, c.ring_rows, c.n_step, 512, threads);
  RowModel model(c.environments, c.ring_rows, c.n_step);
  std::vector<bool> ended(static_cast<std::size_t>(c.environments));
  const int slots = c.ring_rows + 1;
  for (int row = 0; row < 5 * slots + 3; ++row) {
    const std::vector<std::uint32_t> flags = next_flags(ended, static_cast<std::uint64_t>(row));
    rig.append(flags);
    model.append(flags, rig.sampler().maximum()[0]);
    if ((row + 1) % c.rows_per_advance != 0) continue;
    rig.advance();
    expect_leaves(rig, model, c.environments);
    if (testing::Test::HasFatalFailure()) return;
    if (rig.ring().stored_rows() < c.n_step + 1) continue;
    rig.sample(static_cast<std::uint64_t>(row), 0.5f, 33);
    std::vector<float> errors;
    for (std::size_t k = 0; k < 33; ++k) {
      const int slot = rig.indices[k] / c.environments, i = rig.indices[k] % c.environments;
      const int age = (model.head() % slots - slot + slots - 1) % slots;
      const int sampled = model.head() - 1 - age;
      ASSERT_GE(sampled, model.oldest());
      ASSERT_TRUE(model.sampleable(sampled, i)) << "row " << sampled << " of head " << model.head();
      errors.push_back(std::sin(static_cast<float>(sampled * 31 + i)) * 3.0f);
    }
    rig.update(rig.indices, errors);
    for (const std::int32_t index : rig.indices) {
      const int age = (model.head() % slots - index / c.environments + slots - 1) % slots;
      model.at(model.head() - 1 - age, index % c.environments) = rig.priority(static_cast<std::size_t>(index));
      const float error = std::sin(static_cast<float>((model.head() - 1 - age) * 31 + index % c.environments)) * 3.0f;
      ASSERT_NEAR(rig.priority(static_cast<std::size_t>(index)), std::pow(std::abs(error) + kEpsilon, kAlpha), 1e-5);
    }
  }
}

TEST(PrioritizedSampler, KeepsTheRulesOfTheRing) {
  for (const int environments : {1, 3, 31, 33, 257}) {
    for (const int n_step : {1, 2, 3, 7}) {
      for (const int ring_rows : {n_step + 1, 12, 33}) {
        if (ring_rows < n_step + 1) continue;
        for (const int rows_per_advance : {1, 4}) {
          run_against_model({environments, ring_rows, n_step, rows_per_advance}, environments == 257 ? 2 : 1);
          if (HasFatalFailure()) {
            FAIL() << environments << " environments, " << ring_rows << " rows, n = " << n_step << ", advance every "
                   << rows_per_advance;
          }
        }
      }
    }
  }
}

TEST(PrioritizedSampler, TakesInMoreRowsThanTheRingHolds) {
  RowModel model(3, 5, 2);
  ReplayRig rig({}, 3, 5, 2);
  std::vector<bool> ended(3);
  for (std::uint64_t row = 0; row < 29; ++row) {
    const std::vector<std::uint32_t> flags = next_flags(ended, row);
    rig.append(flags);
    model.append(flags, 1.0f);
    if (row == 2 || row == 28) rig.advance();
  }
  expect_leaves(rig, model, 3);
}

TEST(PrioritizedSampler, AnUpdateCannotReviveAnOverwrittenRow) {
  ReplayRig rig({}, 1, 3, 1);
  for (int row = 0; row < 3; ++row) rig.append({kValid}), rig.advance();
  rig.append({kValid});  // writes slot 3; slot 0 is the head now
  rig.advance();
  rig.update({0}, {5.0f});
  EXPECT_EQ(rig.priority(0), 0.0f);
  EXPECT_EQ(*rig.sampler().total(), 3.0);
}

TEST(PrioritizedSampler, SameBitsOnAnyNumberOfThreads) {
  for (const PriorityKind kind : {PriorityKind::kProportional, PriorityKind::kRank}) {
    std::vector<std::vector<std::int32_t>> indices;
    std::vector<std::vector<float>> leaves;
    for (const int threads : {1, 3}) {
      ReplayRig rig({.kind = kind, .rank_interval = 4}, 257, 40, 3, 4000, threads);
      std::vector<bool> ended(257);
      for (std::uint64_t row = 0; row < 90; ++row) {
        rig.append(next_flags(ended, row));
        rig.advance();
        if (row < 10) continue;
        rig.sample(row, 0.5f, 3999);
        std::vector<float> errors(rig.weights);
        for (std::size_t k = 0; k < errors.size(); ++k) errors[k] *= static_cast<float>(k % 13) - 6.0f;
        rig.update(rig.indices, errors);
      }
      indices.push_back(rig.indices);
      const View<float> view = rig.sampler().priorities();
      leaves.emplace_back(view.data, view.data + view.size());
    }
    EXPECT_EQ(indices[0], indices[1]);
    EXPECT_EQ(leaves[0], leaves[1]);
  }
}

// Saved and restored into another sampler, the next draws and priorities are the same bits.
TEST(PrioritizedSampler, ContinuesFromItsSavedState) {
  for (const PriorityKind kind : {PriorityKind::kProportional, PriorityKind::kRank}) {
    const PriorityConfig config{.kind = kind, .rank_interval = 5};
    ReplayRig a(config, 3, 20, 3), b(config, 3, 20, 3);
    std::vector<bool> ended(3);
    const auto step = [&](ReplayRig& rig, std::uint64_t row, const std::vector<std::uint32_t>& flags) {
      rig.append(flags);
      rig.advance();
      if (row < 5) return;
      rig.sample(row, 0.4f, 31);
      std::vector<float> errors(rig.weights);
      for (std::size_t k = 0; k < errors.size(); ++k) errors[k] += static_cast<float>(rig.indices[k] % 7);
      rig.update(rig.indices, errors);
    };
    std::vector<std::vector<std::uint32_t>> rows;
    for (std::uint64_t row = 0; row < 80; ++row) rows.push_back(next_flags(ended, row));
    for (std::uint64_t row = 0; row < 43; ++row) step(a, row, rows[row]);
    for (std::uint64_t row = 0; row < 43; ++row) b.append(rows[row]);
    const auto copy = [](View<float> from, View<float> to) { std::copy_n(from.data, from.size(), to.data); };
    copy(a.sampler().priorities(), b.sampler().priorities());
    copy(a.sampler().maximum(), b.sampler().maximum());
    copy(a.sampler().errors(), b.sampler().errors());
    copy(a.sampler().rank_table(), b.sampler().rank_table());
    b.sampler().restored(b.stream(), b.ring());
    for (std::uint64_t row = 43; row < 80; ++row) {
      step(a, row, rows[row]);
      step(b, row, rows[row]);
      ASSERT_EQ(a.indices, b.indices) << row;
      ASSERT_EQ(a.weights, b.weights) << row;
    }
  }
}

TEST(PrioritizedSampler, WithoutAStoredRingNothingIsSampleable) {
  ReplayRig rig({}, 2, 6, 1);
  for (int row = 0; row < 4; ++row) rig.append({kValid, kValid}), rig.advance();
  EXPECT_EQ(*rig.sampler().total(), 8.0);
  rig.ring().restore(4, 4);
  rig.sampler().restored(rig.stream(), rig.ring());
  EXPECT_EQ(*rig.sampler().total(), 0.0);
  rig.append({kValid, kValid});
  rig.advance();
  EXPECT_EQ(*rig.sampler().total(), 2.0);
}

TEST(RankBasedSampler, PrioritiesAreThePowersOfTheRanks) {
  ReplayRig rig({.kind = PriorityKind::kRank, .alpha = 0.7f, .rank_interval = 1}, 1, 9, 1);
  for (int row = 0; row < 6; ++row) rig.append({kValid});
  rig.advance();
  rig.update({0, 1, 2, 3, 4, 5}, {0.5f, -8.0f, 0.25f, 100.0f, 0.0f, -8.0f});
  rig.sample(0, 0.5f, 8);
  const double rank[] = {4, 2.5, 5, 1, 6, 2.5};  // two rows share ranks 2 and 3
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(rig.priority(i), std::pow(rank[i], -0.7), 1e-6) << i;
  // A row without an error of its own comes first.
  rig.append({kValid});
  rig.advance();
  rig.sample(1, 0.5f, 8);
  EXPECT_EQ(rig.priority(6), 1.0f);
  EXPECT_NEAR(rig.priority(3), std::pow(2.0, -0.7), 1e-6);
  EXPECT_NEAR(rig.priority(4), std::pow(7.0, -0.7), 1e-6);
}

TEST(RankBasedSampler, ErrorsBetweenCountsGetTheRankOfTheLastCount) {
  ReplayRig rig({.kind = PriorityKind::kRank, .alpha = 1.0f, .rank_interval = 100}, 1, 9, 1);
  for (int row = 0; row < 4; ++row) rig.append({kValid});
  rig.advance();
  rig.update({0, 1, 2, 3}, {4.0f, 3.0f, 2.0f, 1.0f});
  rig.sample(0, 0.5f, 8);
  rig.update({3}, {3.5f});
  rig.sample(1, 0.5f, 8);
  EXPECT_NEAR(rig.priority(3), 1.0 / 2.0, 1e-6) << "one row was above 3.5";
  EXPECT_NEAR(rig.priority(1), 1.0 / 2.0, 1e-6) << "the others wait for the next count";
  rig.sample(100, 0.5f, 8);
  const double rank[] = {1, 3, 4, 2};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(rig.priority(i), 1.0 / rank[i], 1e-6) << i;
}

TEST(RankBasedSampler, KeepsTheRulesOfTheRing) {
  ReplayRig rig({.kind = PriorityKind::kRank, .rank_interval = 3}, 3, 12, 3);
  RowModel model(3, 12, 3);
  std::vector<bool> ended(3);
  for (std::uint64_t row = 0; row < 100; ++row) {
    const std::vector<std::uint32_t> flags = next_flags(ended, row);
    rig.append(flags);
    model.append(flags, 1.0f);
    rig.advance();
    for (int slot = 0; slot < 13; ++slot) {
      const int age = (model.head() % 13 - slot + 12) % 13, stored = model.head() - 1 - age;
      for (int i = 0; i < 3; ++i) {
        const bool sampleable = age < 12 && stored >= 0 && model.sampleable(stored, i);
        ASSERT_EQ(rig.priority(static_cast<std::size_t>(slot * 3 + i)) > 0.0f, sampleable) << row;
      }
    }
    if (row < 4) continue;
    rig.sample(row, 0.5f, 31);
    rig.update(rig.indices, rig.weights);
  }
}

TEST(PrioritizedSampler, RefusesBadSettings) {
  EXPECT_THROW(PrioritizedSampler::check({.alpha = -0.1f}), UsageError);
  EXPECT_THROW(PrioritizedSampler::check({.alpha = 1.1f}), UsageError);
  EXPECT_THROW(PrioritizedSampler::check({.alpha = NAN}), UsageError);
  EXPECT_THROW(PrioritizedSampler::check({.epsilon = 0.0f}), UsageError);
  EXPECT_THROW(PrioritizedSampler::check({.rank_interval = 0}), UsageError);
  EXPECT_NO_THROW(PrioritizedSampler::check({}));
}

}  // namespace
}  // namespace stampede
