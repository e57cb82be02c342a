// SPDX-License-Identifier: Apache-2.0
// Sampling from rings that an environment has filled: whole transitions only, each as likely as the next.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "replay/transitions.h"
#include "replay/uniform_sampler.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/toy_environments.h"

namespace stampede {
namespace {

// A ring that `EpisodeClock` environments have written `rows` rows into.
class ClockRing {
 public:
  ClockRing(int environments, int ring_rows, int rows) : arena_(Device{}) {
    make(environments, ring_rows);
    arena_.allocate("test");
    make(environments, ring_rows);
    const Stream stream = Stream::cpu();
    env_->reset(stream, ring_->obs(0));
    for (int row = 0; row < rows; ++row) {
      const int slot = ring_->slot(row), next = ring_->slot(row + 1);
      env_->step(stream, 0, environments, {ring_->records(slot), ring_->obs(next), static_cast<std::uint64_t>(row)});
      ring_->advance();
    }
  }

  const TrajectoryRing& ring() const { return *ring_; }
  UniformSampler sampler(int n_step, std::uint64_t update) const {
    return {ring_->view(), sample_window(*ring_), {3, update, Purpose::kReplaySample}, n_step};
  }
  struct Clock {
    int id, t;
  };
  Clock clock(int slot, int environment) const {
    const auto* obs = static_cast<const float*>(ring_->obs(slot)) + 2 * environment;
    return {static_cast<int>(obs[0]), static_cast<int>(obs[1])};
  }

 private:
  void make(int environments, int ring_rows) {
    const EnvEntry entry = make_entry<EpisodeClock>(EpisodeClock::specs[0]);
    env_ = entry.make({}, environments, 17, 0, arena_);
    ring_ = std::make_unique<TrajectoryRing>(
        RingShape{environments, ring_rows, 2, ObsType::kFloat32, RecordLayout::for_action_size(1), 0}, arena_);
  }

  Arena arena_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
};

// What a transition of n steps must be, from the observation alone.
void expect_transition(const ClockRing& clock, const SampledRow& sampled, int n_step) {
  constexpr float kGamma = 0.5f;
  const RingView& view = clock.ring().view();
  ASSERT_TRUE(view.flags(view.index(sampled.slot, sampled.environment)) & kValid);
  const auto now = clock.clock(sampled.slot, sampled.environment);
  const int left = EpisodeClock::length(now.id) - now.t;
  const int steps = std::min(n_step, left);
  ASSERT_GT(steps, 0) << "a final observation was sampled as a state";
  const NStepTarget target = fold_n_step(view, sampled.slot, sampled.environment, n_step, kGamma);
  const auto next = clock.clock(target.bootstrap_slot, sampled.environment);
  ASSERT_EQ(next.id, now.id) << "mixes two episodes";
  ASSERT_EQ(next.t, now.t + steps);
  ASSERT_EQ(target.steps, steps);
  float reward = 0.0f;
  for (int k = 0; k < steps; ++k) reward += std::pow(kGamma, static_cast<float>(k)) * static_cast<float>(now.t + k + 1);
  ASSERT_NEAR(target.reward, reward, 1e-4f);
  const bool terminal = steps == left && EpisodeClock::terminates(now.id);
  ASSERT_EQ(target.discount, terminal ? 0.0f : std::pow(kGamma, static_cast<float>(steps)));
}

TEST(UniformSampler, EverySampleIsOneTransitionOfOneEpisode) {
  for (const int environments : {1, 3, 31, 257}) {
    for (const int n_step : {1, 2, 3, 7}) {
      for (const int rows : {8, 9, 12, 13, 14, 25, 100}) {
        const ClockRing clock(environments, 12, rows);
        for (std::uint64_t update = 0; update < 3; ++update) {
          const UniformSampler sampler = clock.sampler(n_step, update);
          for (int sample = 0; sample < 257; ++sample) {
            expect_transition(clock, sampler(sample), n_step);
            if (HasFatalFailure()) FAIL() << environments << " environments, n = " << n_step << ", rows " << rows;
          }
        }
      }
    }
  }
}

// The smallest rings, where the rejected draws run out and the last resort decides.
TEST(UniformSampler, TheLastResortIsATransitionToo) {
  for (const int n_step : {1, 3}) {
    for (int rows = n_step + 1; rows < 40; ++rows) {
      const ClockRing clock(1, n_step + 1, rows);
      for (int sample = 0; sample < 33; ++sample) {
        expect_transition(clock, clock.sampler(n_step, 0)(sample), n_step);
        if (HasFatalFailure()) FAIL() << "n = " << n_step << ", rows " << rows;
      }
    }
  }
}

// Two of 65 rows have n rows behind them, so that most samples run out of draws.
TEST(UniformSampler, TheLastResortMovesBackUntilNRowsFollow) {
  constexpr int kNStep = 64, kRows = kNStep + 1;
  for (const int reset_row : {-1, 0, 1}) {
    HandRing hand({1, kRows, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 0});
    for (int row = 0; row < kRows; ++row) {
      const std::uint32_t end = row == reset_row - 1 ? kTerminated : 0;
      hand.write(row, 0, {0.0f, row == reset_row ? 0 : kValid | end});
    }
    hand.ring().advance(kRows);
    const UniformSampler sampler{hand.view(), sample_window(hand.ring()), {3, 7, Purpose::kReplaySample}, kNStep};
    for (int sample = 0; sample < 257; ++sample) {
      const int slot = sampler(sample).slot;
      ASSERT_TRUE(slot < 2 && slot != reset_row) << "row " << slot << " with a reset in row " << reset_row;
    }
  }
}

// Whole batches and parts of them, in which rejected draws are repeated later than the others are made.
TEST(Transitions, AreTheSamplersOwnInAnyPieces) {
  constexpr int kBatch = 1100;
  constexpr float kGamma = 0.9f;
  const ClockRing clock(3, 12, 40);
  const UniformSampler sampler = clock.sampler(3, 5);
  Arena arena{Device{}};
  Transitions::take(kBatch, arena);
  Transitions::take(kBatch, arena);
  arena.allocate("test");
  const Transitions whole = Transitions::take(kBatch, arena), pieces = Transitions::take(kBatch, arena);
  sample_transitions(Stream::cpu(2), sampler, kGamma, 0, kBatch, whole);
  for (int begin = 0; begin < kBatch; begin += 100) {
    sample_transitions(Stream::cpu(), sampler, kGamma, begin, 100, pieces.from(begin));
  }
  for (int k = 0; k < kBatch; ++k) {
    const SampledRow row = sampler(k);
    const NStepTarget target = fold_n_step(clock.ring().view(), row.slot, row.environment, 3, kGamma);
    for (const Transitions* const transitions : {&whole, &pieces}) {
      ASSERT_EQ(transitions->indices[k], row.slot * 3 + row.environment) << k;
      ASSERT_EQ(transitions->next_indices[k], target.bootstrap_slot * 3 + row.environment) << k;
      ASSERT_EQ(transitions->rewards[k], target.reward) << k;
      ASSERT_EQ(transitions->discounts[k], target.discount) << k;
    }
  }
  std::fill_n(pieces.rewards, kBatch, -1.0f);
  fold_transitions(Stream::cpu(2), clock.ring().view(), 3, kGamma, kBatch, pieces);
  for (int k = 0; k < kBatch; ++k) ASSERT_EQ(pieces.rewards[k], whole.rewards[k]) << k;
}

TEST(UniformSampler, NeverReachesBeyondTheHead) {
  const ClockRing clock(3, 12, 30);
  const int head = clock.ring().slot(clock.ring().head());
  for (int sample = 0; sample < 5000; ++sample) {
    const SampledRow sampled = clock.sampler(3, 1)(sample);
    ASSERT_NE(sampled.slot, head);
    const NStepTarget target = fold_n_step(clock.ring().view(), sampled.slot, sampled.environment, 3, 0.9f);
    int slot = sampled.slot;
    for (int k = 0; k < target.steps; ++k) {
      ASSERT_NE(slot, head) << "folds the row that is being written";
      slot = slot + 1 == clock.ring().view().slots() ? 0 : slot + 1;
    }
  }
}

TEST(UniformSampler, IsUniformOverWhatCanBeSampled) {
  constexpr int kSamples = 200'000, kEnvironments = 5;
  for (const int n_step : {1, 3}) {
    const ClockRing clock(kEnvironments, 20, 51);
    const UniformSampler sampler = clock.sampler(n_step, 9);
    std::map<std::pair<int, int>, int> counts;
    for (int row = 0; row < sampler.window.rows; ++row) {
      for (int i = 0; i < kEnvironments; ++i) {
        if (sampler.sampleable(row, i)) counts[{sampler.slot_of(row), i}] = 0;
      }
    }
    ASSERT_GT(counts.size(), 60u);
    for (int sample = 0; sample < kSamples; ++sample) {
      const SampledRow sampled = sampler(sample);
      const auto found = counts.find({sampled.slot, sampled.environment});
      ASSERT_NE(found, counts.end());
      ++found->second;
    }
    const double expected = static_cast<double>(kSamples) / static_cast<double>(counts.size());
    double chi2 = 0.0;
    for (const auto& [row, count] : counts) chi2 += (count - expected) * (count - expected) / expected;
    const auto freedom = static_cast<double>(counts.size() - 1);
    EXPECT_LT(chi2, freedom + 3.3 * std::sqrt(2 * freedom)) << n_step;
  }
}

TEST(UniformSampler, DrawsAnewForEveryUpdate) {
  const ClockRing clock(31, 20, 51);
  int equal = 0;
  for (int sample = 0; sample < 257; ++sample) {
    const SampledRow a = clock.sampler(1, 0)(sample), b = clock.sampler(1, 1)(sample);
    equal += a.slot == b.slot && a.environment == b.environment;
  }
  EXPECT_LT(equal, 10);
}

}  // namespace
}  // namespace stampede
