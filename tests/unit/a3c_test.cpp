// SPDX-License-Identifier: Apache-2.0
// Asynchronous advantage actor-critic: gradients of workers, returns of the table of hand-computed values.
#include "agents/a3c.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "tests/unit/ring_rows.h"

namespace stampede {
namespace {

constexpr int kRows = 5, kActions = 3;

// Observations of two floats; rings that a test fills by hand.
class A3cRig {
 public:
  A3cRig(A2cConfig config, int workers, int environments, int rows = kRows)
      : config_(std::move(config)),
        shape_{environments, rows, 2, ObsType::kFloat32, RecordLayout::for_action_size(1), RolloutExtra::kAction},
        arena_(Device{}) {
    config_.actor_critic.network.hidden = {16};
    for (int w = 0; w < workers; ++w) {
      arenas_.emplace_back(Device{});
      rings_.push_back(std::make_unique<HandRing>(shape_));
    }
    make();
    arena_.allocate("test");
    for (Arena& arena : arenas_) arena.allocate("test");
    make();
    a3c_->initialize(stream_);
  }
  // Step t of environment e of all, in a batch of any division: always the same.
  void write(int worker, int t, int local, int e) {
    HandRing& ring = *rings_[static_cast<std::size_t>(worker)];
    const RandomKey key{5, static_cast<std::uint64_t>(t), Purpose::kPermutation};
    const auto random = [&](int k) { return uniform_float(key.lane_word(static_cast<std::uint32_t>(4 * e + k))); };
    auto* const obs = static_cast<float*>(ring.ring().obs(t)) + 2 * local;
    obs[0] = random(0);
    obs[1] = random(1);
    ring.write(t, local, {random(2), (t + e) % 4 == 2 ? kValid | kTerminated : kValid, random(3)});
    ring.ring().records(t)[local * 4] = static_cast<std::uint32_t>((t + e) % kActions);
    ring.extra(t, local)[RolloutExtra::kLogProb] = -1.0f;
  }
  std::vector<float> gradient(int worker) {
    HandRing& ring = *rings_[static_cast<std::size_t>(worker)];
    ring.ring().restore(shape_.rows, 0);
    const int groups = a3c_->accumulate(stream_, worker, ring.ring(), 0.01f);
    const TrainableNetwork& network = a3c_->agent(worker).network();
    network.combine_gradients(stream_, groups, 1.0f);
    return {network.gradients(0), network.gradients(0) + network.spec().parameter_count()};
  }
  A3c& a3c() { return *a3c_; }
  HandRing& ring(int worker) { return *rings_[static_cast<std::size_t>(worker)]; }
  const Stream& stream() const { return stream_; }

 private:
  void make() {
    const Space observation = Space::box<2>({0.0f, 0.0f}, {1.0f, 1.0f}), action = Space::discrete(kActions);
    const NetworkSpec spec = ActorCritic::network_spec(config_.actor_critic, observation, action);
    a3c_ = std::make_unique<A3c>(config_, RmsPropConfig{}, action, std::make_shared<MlpNetwork>(spec), shape_, 1, 1, 9,
                                 stream_, arena_, arenas_);
  }

  A2cConfig config_;
  RingShape shape_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::vector<Arena> arenas_;
  std::vector<std::unique_ptr<HandRing>> rings_;
  std::unique_ptr<A3c> a3c_;
};

// Means over equal parts average to the mean over all.
TEST(A3c, GradientsOfWorkersAverageToThatOfOneWithAllData) {
  constexpr int kEnvironments = 6;
  A3cRig one({}, 1, kEnvironments);
  for (int t = 0; t <= kRows; ++t) {
    for (int e = 0; e < kEnvironments; ++e) one.write(0, t, e, e);
  }
  const std::vector<float> expected = one.gradient(0);
  for (const int workers : {2, 3, 6}) {
    const int share = kEnvironments / workers;
    A3cRig many({}, workers, share);
    std::vector<float> mean(expected.size(), 0.0f);
    for (int w = 0; w < workers; ++w) {
      for (int t = 0; t <= kRows; ++t) {
        for (int e = 0; e < share; ++e) many.write(w, t, e, w * share + e);
      }
      const std::vector<float> part = many.gradient(w);
      for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += part[k] / static_cast<float>(workers);
    }
    for (std::size_t k = 0; k < mean.size(); ++k) ASSERT_NEAR(mean[k], expected[k], 1e-6f) << workers << ' ' << k;
  }
}

// Rewards 1 ... 5, terminated after the second, truncated after the fourth (true next value .7), cut after the fifth.
// The head's value is the network's own here, so the last return holds it.
TEST(A3c, ReturnsHaveFiveStepsAtMostAndNeverCrossAnEpisode) {
  A2cConfig config;
  config.gamma = 0.9f;
  A3cRig rig(config, 1, 1, 7);
  const HandRow rows[] = {{1, kValid, 0.5f},
                          {2, kValid | kTerminated, 0.4f},
                          {0, 0, 9.9f},
                          {3, kValid, 0.3f},
                          {4, kValid | kTruncated, 0.2f},
                          {0, 0, 0.7f},
                          {5, kValid, 0.1f},
                          {0, 0, 0.6f}};
  HandRing& ring = rig.ring(0);
  for (int t = 0; t < 8; ++t) ring.write(t, 0, rows[t]);
  rig.gradient(0);
  const float head = ring.extra(7, 0)[RolloutExtra::kValue];
  EXPECT_NE(head, 0.6f) << "not what the ring held before";
  const std::vector<double> expected{2.8, 2, 0, 7.167, 4.63, 0, 5 + 0.9 * static_cast<double>(head)};
  for (int t = 0; t < 7; ++t) {
    EXPECT_NEAR(ring.extra(t, 0)[RolloutExtra::kReturn], expected[static_cast<std::size_t>(t)], 2e-6) << t;
  }
}

TEST(A3c, AWorkerActsOnItsSnapshotUntilItsOwnUpdate) {
  A3cRig rig({}, 2, 1);
  for (const int w : {0, 1}) {
    for (int t = 0; t <= kRows; ++t) rig.write(w, t, 0, w);
    rig.ring(w).ring().restore(kRows, 0);
  }
  const auto parameters = [&](int w) {
    const TrainableNetwork& network = rig.a3c().agent(w).network();
    return std::vector<float>(network.parameters(), network.parameters() + network.spec().parameter_count());
  };
  const std::vector<float> before = parameters(1);
  EXPECT_EQ(parameters(0), before);
  rig.a3c().learn(rig.stream(), 0, rig.ring(0).ring(), {0.01f, 0.0f});
  EXPECT_NE(parameters(0), before);
  EXPECT_EQ(parameters(1), before);
  rig.a3c().synchronize(rig.stream());
  const View<float> shared = rig.a3c().shared().parameters();
  EXPECT_EQ(parameters(0), std::vector<float>(shared.data, shared.data + shared.size()));
  EXPECT_EQ(rig.a3c().read_metrics(rig.stream()).optimizer_steps, 1);
}

}  // namespace
}  // namespace stampede
