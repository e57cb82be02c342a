// SPDX-License-Identifier: Apache-2.0
// The trajectory ring's slots, wrap-around and limits.
#include <gtest/gtest.h>

#include "kernels/error.h"
#include "replay/uniform_sampler.h"
#include "tests/unit/ring_rows.h"

namespace stampede {
namespace {

RingShape shape_of(int environments, int rows, int obs_size = 2) {
  return {environments, rows, obs_size, ObsType::kFloat32, RecordLayout::for_action_size(1), 4};
}

TEST(TrajectoryRing, SlotsComeRoundAfterOneMoreThanItsRows) {
  HandRing hand(shape_of(3, 5));
  TrajectoryRing& ring = hand.ring();
  for (int row = 0; row < 20; ++row) {
    EXPECT_EQ(ring.slot(row), row % 6);
    EXPECT_EQ(ring.head(), row);
    EXPECT_EQ(ring.stored_rows(), row < 5 ? row : 5);
    const SampleWindow window = sample_window(ring);
    EXPECT_EQ(window.rows, ring.stored_rows());
    EXPECT_EQ(window.oldest_slot, (row - window.rows) % 6);
    ring.advance();
  }
}

TEST(TrajectoryRing, SlotsAreDisjointForEveryObservationType) {
  for (const ObsType type : {ObsType::kFloat32, ObsType::kInt32, ObsType::kUint8}) {
    RingShape shape = shape_of(31, 3, 33);
    shape.obs_type = type;
    HandRing hand(shape);
    const auto slot_bytes = static_cast<std::ptrdiff_t>(31 * 33 * obs_type_size(type));
    for (int slot = 0; slot < 3; ++slot) {
      const auto* now = static_cast<std::byte*>(hand.ring().obs(slot));
      EXPECT_EQ(static_cast<std::byte*>(hand.ring().obs(slot + 1)) - now, slot_bytes);
      EXPECT_EQ(hand.ring().records(slot + 1) - hand.ring().records(slot), 31 * 4);
      EXPECT_EQ(hand.ring().extra(slot + 1) - hand.ring().extra(slot), 31 * 4);
    }
    EXPECT_EQ(hand.ring().obs_bytes().size(), static_cast<std::size_t>(4 * slot_bytes));
  }
}

TEST(TrajectoryRing, ARolloutBeginsWithTheLastHead) {
  HandRing hand(shape_of(3, 4));
  TrajectoryRing& ring = hand.ring();
  const Stream stream = Stream::cpu();
  ring.begin_rollout(stream);
  ring.advance(4);
  auto* const head = static_cast<float*>(ring.obs(ring.slot(ring.head())));
  for (int k = 0; k < 6; ++k) head[k] = static_cast<float>(k + 1);
  ring.begin_rollout(stream);
  EXPECT_EQ(ring.slot(ring.head()), 0);
  for (int k = 0; k < 6; ++k) EXPECT_EQ(static_cast<float*>(ring.obs(0))[k], static_cast<float>(k + 1));
  EXPECT_EQ(ring.base(), 4);
  EXPECT_EQ(ring.stored_rows(), 0);
}

TEST(TrajectoryRing, StartsARolloutInPlace) {
  HandRing hand(shape_of(3, 4));
  TrajectoryRing& ring = hand.ring();
  EXPECT_EQ(ring.start_rollout(), ring.obs(0));
  ring.advance(4);
  EXPECT_EQ(ring.start_rollout(), ring.obs(4));
  EXPECT_EQ(ring.slot(ring.head()), 0);
  EXPECT_EQ(ring.base(), 4);
}

TEST(TrajectoryRing, WideActionsGetLargerRecords) {
  EXPECT_EQ(RecordLayout::for_action_size(1).words, 4);
  EXPECT_EQ(RecordLayout::for_action_size(2).words, 4);
  EXPECT_EQ(RecordLayout::for_action_size(3).words, 8);
  EXPECT_EQ(RecordLayout::for_action_size(6).words, 8);
  EXPECT_EQ(RecordLayout::for_action_size(7).words, 16);
}

TEST(TrajectoryRing, RefusesShapesItCannotHold) {
  Arena arena{Device{}};
  EXPECT_THROW(TrajectoryRing(shape_of(0, 5), arena), UsageError);
  EXPECT_THROW(TrajectoryRing(shape_of(5, 0), arena), UsageError);
  EXPECT_THROW(TrajectoryRing(shape_of(1 << 20, 2047), arena), UsageError);
  EXPECT_NO_THROW(TrajectoryRing(shape_of(1 << 20, 2046), arena));
  EXPECT_NO_THROW(TrajectoryRing(shape_of(1, 1), arena));
}

TEST(TrajectoryRing, NeedsOneRowMoreThanAnNStepTransition) {
  EXPECT_NO_THROW(check_n_step(shape_of(3, 4), 3));
  try {
    check_n_step(shape_of(3, 3), 3);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("needs at least 4"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stampede
