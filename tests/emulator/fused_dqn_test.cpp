// SPDX-License-Identifier: Apache-2.0
// The fused kernels of deep Q-learning under the emulator against the stepwise learner on the CPU.
#include "tests/emulator/fused_launch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "agents/dqn.h"
#include "agents/networks/mlp_network.h"
#include "kernels/error.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::Schedule;

struct DqnCase {
  std::string name;
  DqnConfig config;
  int width = 64;
  int actions = 2;
  int inputs = 4;
  int blocks = kMostBlocks;
};

// Two equal learners on one ring of made-up transitions; the second one learns by emulated launches.
class FusedDqnRig {
 public:
  explicit FusedDqnRig(const DqnCase& setup) : config_(setup.config), action_(Space::discrete(setup.actions)) {
    shape_ = {kEnvironments, kRows, setup.inputs, ObsType::kFloat32, RecordLayout::for_action_size(1), 0};
    config_.network.hidden = {setup.width, setup.width};
    make(setup);
    arena_.allocate("test");
    make(setup);
    for (Dqn* dqn : {&*stepwise_, &*learner_}) dqn->initialize(stream_);
    for (int t = 0; t < kRows + 5; ++t) {  // the ring wraps
      write_row(t);
      ring_->advance();
      for (Dqn* dqn : {&*stepwise_, &*learner_}) dqn->store(stream_, *ring_);
    }
  }

  // The target network moves in every second update.
  static bool moves_target(std::uint64_t update) { return update % 2 == 1; }
  void learn_stepwise(std::uint64_t update) {
    stepwise_->learn(stream_, *ring_, {update, kRate, kTemperature, kBeta, moves_target(update)});
  }
  int learn_fused(std::uint64_t update, const Schedule& schedule) {
    const RandomKey key{kSeed, update, Purpose::kReplaySample};
    PrioritizedSampler* const prioritized = learner_->prioritized();
    if (prioritized) {
      prioritized->sample(stream_, key, kBeta, config_.batch_size, indices_.data(), importance_.data());
    }
    int launches = 0;
    fused_->launch_update(EmulatedLaunch{schedule, &launches},
                          {.sampler = {ring_->view(), sample_window(*ring_), key, config_.n_step},
                           .indices = prioritized ? indices_.data() : nullptr,
                           .importance = prioritized ? importance_.data() : nullptr,
                           .priorities = prioritized ? priorities_.data() : nullptr,
                           .temperature = config_.soft ? kTemperature : 0.0f,
                           .target_tau = moves_target(update) ? config_.target_tau : 0.0f},
                          kRate);
    if (prioritized) prioritized->update(stream_, indices_.data(), priorities_.data(), config_.batch_size);
    return launches;
  }
  // Actions of all environments by both.
  std::vector<std::uint32_t> act_stepwise(const Exploration& exploration) {
    std::vector<std::uint32_t> records(kEnvironments * 4, 77);
    stepwise_->act(stream_, {ring_->obs(3), records.data(), 0, kEnvironments, 5, 0, exploration});
    return records;
  }
  std::vector<std::uint32_t> act_fused(const Exploration& exploration, const Schedule& schedule) {
    simt::GuardedArray<std::uint32_t> records(kEnvironments * 4, 77u);
    int launches = 0;
    fused_->launch_acts(EmulatedLaunch{schedule, &launches}, {.parameters = learner_->network().parameters(),
                                                              .obs = static_cast<const float*>(ring_->obs(3)),
                                                              .records = records.data(),
                                                              .record = shape_.record,
                                                              .begin = 0,
                                                              .rows = kEnvironments,
                                                              .key = {kSeed, 5, Purpose::kExploration},
                                                              .exploration = exploration});
    EXPECT_EQ(launches, 1);
    return records.values();
  }

  Dqn& stepwise() { return *stepwise_; }
  Dqn& fused() { return *learner_; }
  DqnMetrics stepwise_metrics() { return stepwise_->read_metrics(stream_); }
  View<double> fused_totals() const { return totals_; }
  TrajectoryRing& ring() { return *ring_; }

 private:
  static constexpr int kEnvironments = 140, kRows = 8;
  static constexpr std::uint64_t kSeed = 9;
  static constexpr float kRate = 0.01f, kTemperature = 0.3f, kBeta = 0.6f;

  void make(const DqnCase& setup) {
    Space observation = Space::box<1>({-10}, {10});
    observation.size = setup.inputs;
    const auto network = std::make_shared<MlpNetwork>(Dqn::network_spec(config_, observation, action_));
    ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
    for (auto* dqn : {&stepwise_, &learner_}) {
      dqn->emplace(config_, action_, network, shape_, 1, kEnvironments, kSeed, stream_, arena_);
    }
    totals_ = arena_.take<double>(PriorityRowMetrics::kSize);
    ValueHeads heads{setup.actions};
    heads.support.atoms = 1;
    heads.dueling = config_.dueling;
    fused_.emplace(learner_->network(), heads, learner_->target_parameters().data,
                   FusedDqn::Options{config_.loss, config_.double_q, config_.gamma, config_.batch_size, setup.blocks},
                   totals_, arena_);
    const auto batch = static_cast<std::size_t>(config_.batch_size);
    indices_.resize(batch);
    importance_.resize(batch);
    priorities_.resize(batch);
  }

  // Every fourth row of an environment ends an episode, the next one is its invalid reset.
  void write_row(int t) {
    auto* const next_obs = static_cast<float*>(ring_->obs(ring_->slot(t + 1)));
    for (int i = 0; i < kEnvironments; ++i) {
      Rng rng({11, static_cast<std::uint64_t>(t), Purpose::kEnvironmentStep}, static_cast<std::uint32_t>(i));
      for (int k = 0; k < shape_.obs_size; ++k) next_obs[i * shape_.obs_size + k] = rng.uniform(-2.0f, 2.0f);
      std::uint32_t* const record = ring_->records(ring_->slot(t)) + i * 4;
      record[0] = rng.below(static_cast<std::uint32_t>(action_.count));
      record[1] = float_bits(rng.uniform(-2.0f, 2.0f));
      const int phase = (t + i) % 5;
      record[2] = phase == 4 ? 0 : kValid | (phase == 3 ? (i % 2 ? kTerminated : kTruncated) : 0);
    }
  }

  DqnConfig config_;
  Space action_;
  RingShape shape_;
  Stream stream_ = Stream::cpu();
  Arena arena_{Device{}};
  std::unique_ptr<TrajectoryRing> ring_;
  std::optional<Dqn> stepwise_, learner_;
  std::optional<FusedDqn> fused_;
  View<double> totals_;
  std::vector<std::int32_t> indices_;
  std::vector<float> importance_, priorities_;
};

std::vector<DqnCase> all_cases() {
  const auto with = [](const std::string& name, DqnConfig config, int width, int actions, int inputs,
                       int blocks = kMostBlocks) {
    config.optimizer.max_norm = 0.5f;
    return DqnCase{name, config, width, actions, inputs, blocks};
  };
  return {with("plain", {.batch_size = 33}, 64, 2, 4),
          with("double, squared, 3 steps", {.batch_size = 257, .n_step = 3, .loss = TdLoss::kSquared, .double_q = true},
               64, 6, 3, 2),
          with("dueling", {.batch_size = 31, .target_tau = 0.3f, .dueling = true}, 64, 3, 8),
          with("soft, dueling, double", {.batch_size = 33, .double_q = true, .dueling = true, .soft = true}, 64, 3, 2),
          with("prioritised", {.batch_size = 129, .prioritized = true}, 64, 2, 4),
          with("one row", {.batch_size = 1}, 128, 2, 1), with("128", {.batch_size = 65, .double_q = true}, 128, 3, 6),
          // Blocks so few that tiles are whole.
          with("dueling, double, whole tiles", {.batch_size = 129, .double_q = true, .dueling = true}, 64, 3, 8, 1),
          with("prioritised, one whole tile", {.batch_size = 31, .prioritized = true}, 64, 2, 4, 1),
          with("128, whole tiles", {.batch_size = 65, .double_q = true}, 128, 3, 6, 1)};
}

void expect_same(FusedDqnRig& expected, FusedDqnRig& rig, const std::string& where) {
  const TrainableNetwork &a = expected.stepwise().network(), &b = rig.fused().network();
  EXPECT_EQ(b.state()->step, a.state()->step) << where;
  EXPECT_NEAR(b.state()->gradient_norm, a.state()->gradient_norm, 1e-4f * a.state()->gradient_norm) << where;
  EXPECT_LT(distance(a.gradient_block(1), b.gradient_block(1)), 5e-5) << where;
  EXPECT_LT(distance(a.parameter_block(), b.parameter_block()), 5e-5) << where;
  EXPECT_LT(distance(expected.stepwise().target_parameters(), rig.fused().target_parameters()), 5e-5) << where;
  if (!expected.stepwise().prioritized()) return;
  EXPECT_LT(distance(expected.stepwise().prioritized()->priorities(), rig.fused().prioritized()->priorities()), 1e-5);
}

void expect_same_metrics(const DqnMetrics& expected, FusedDqnRig& rig, const std::string& where) {
  const auto mean = [&](std::size_t k) { return rig.fused_totals()[k] / rig.fused_totals()[DqnRowMetrics::kCount]; };
  EXPECT_NEAR(mean(DqnRowMetrics::kLoss), expected.loss, 1e-5 * expected.loss + 1e-6) << where;
  EXPECT_NEAR(mean(DqnRowMetrics::kQ), expected.mean_q, 1e-5) << where;
  EXPECT_NEAR(mean(DqnRowMetrics::kAbsoluteError), expected.mean_absolute_error, 1e-5) << where;
  EXPECT_NEAR(mean(DqnRowMetrics::kTarget), expected.mean_target, 1e-5) << where;
  EXPECT_NEAR(mean(PriorityRowMetrics::kImportance), expected.mean_importance, 1e-5) << where;
  EXPECT_NEAR(mean(PriorityRowMetrics::kPriority), expected.mean_priority, 1e-5) << where;
}

// Target and online networks differ in the second update, at whose end the target moves.
TEST(FusedDqn, IsTheStepwiseUpdate) {
  for (const DqnCase& setup : all_cases()) {
    FusedDqnRig expected(setup);
    for (std::uint64_t update = 0; update < 3; ++update) expected.learn_stepwise(update);
    const DqnMetrics metrics = expected.stepwise_metrics();
    std::vector<float> first;
    for (const Schedule& schedule : some_schedules()) {
      FusedDqnRig rig(setup);
      for (std::uint64_t update = 0; update < 3; ++update) EXPECT_EQ(rig.learn_fused(update, schedule), 3);
      const std::string where = setup.name + ", " + schedule.name();
      expect_same(expected, rig, where);
      expect_same_metrics(metrics, rig, where);
      if (first.empty()) first = learner_bits(rig.fused().network());
      EXPECT_TRUE(simt::same_bits(first, learner_bits(rig.fused().network()))) << where;
    }
  }
}

TEST(FusedDqn, ActsAsStepwise) {
  for (const DqnCase& setup : all_cases()) {
    for (const Exploration& exploration :
         {Exploration{}, Exploration{.epsilon = {0.4f}}, Exploration{.epsilon = {0.1f}, .temperature = 0.5f}}) {
      FusedDqnRig rig(setup);
      const std::vector<std::uint32_t> expected = rig.act_stepwise(exploration);
      for (const Schedule& schedule : some_schedules()) {
        EXPECT_EQ(rig.act_fused(exploration, schedule), expected) << setup.name << ", " << schedule.name();
      }
    }
  }
}

// The target moves towards parameters that a stopped learner keeps, as by update_target() after the update.
TEST(FusedDqn, AFailedLearnersTargetStillFollows) {
  FusedDqnRig rig({.name = "", .config = {.batch_size = 65, .target_tau = 0.5f}});
  rig.learn_fused(0, {});
  const float online = rig.fused().network().parameters()[0], before = rig.fused().target_parameters()[0];
  ASSERT_NE(online, before);
  rig.fused().network().state()->failed = 1;
  rig.learn_fused(1, {});
  EXPECT_EQ(rig.fused().network().parameters()[0], online);
  EXPECT_EQ(rig.fused().target_parameters()[0], std::fmaf(0.5f, online - before, before));
}

TEST(FusedDqn, NonFiniteGradientFailsWithoutAStep) {
  FusedDqnRig rig({.name = "", .config = {.batch_size = 65}});
  for (int slot = 0; slot < 9; ++slot) rig.ring().records(slot)[1] = float_bits(NAN);
  for (int i = 0; i < 140; ++i) rig.ring().records(2)[i * 4 + 1] = float_bits(NAN);
  const std::vector<float> before = learner_bits(rig.fused().network());
  for (std::uint64_t update = 0; update < 2; ++update) rig.learn_fused(update, {});
  EXPECT_EQ(rig.fused().network().state()->failed, 1);
  EXPECT_EQ(rig.fused().network().state()->step, 0);
  EXPECT_TRUE(simt::same_bits(before, learner_bits(rig.fused().network())));
}

TEST(FusedDqn, DeclinesWhatItCannotHold) {
  const auto fits = [](DqnConfig config, int inputs, int actions) {
    Space observation = Space::box<1>({-10}, {10});
    observation.size = inputs;
    const NetworkSpec spec = Dqn::network_spec(config, observation, Space::discrete(actions));
    return FusedDqn::fits(spec, {.actions = actions, .distribution = config.distribution, .dueling = config.dueling});
  };
  DqnConfig config;
  config.network.hidden = {64, 64};
  EXPECT_TRUE(fits(config, 8, 8));
  EXPECT_FALSE(fits(config, 9, 2));
  config.dueling = true;
  EXPECT_TRUE(fits(config, 8, 7));
  EXPECT_FALSE(fits(config, 8, 8));
  config.distribution = ValueDistribution::kQuantile;
  EXPECT_FALSE(fits(config, 4, 2));
}

// So many that every block has a half tile of its own, up to half as many whole tiles as multiprocessors.
TEST(FusedDqn, HalvesTilesOfSmallBatches) {
  EXPECT_TRUE(wants_half_tiles<64>(1, kMostBlocks));
  EXPECT_TRUE(wants_half_tiles<64>(66 * 128, kMostBlocks));
  EXPECT_FALSE(wants_half_tiles<64>(66 * 128 + 1, kMostBlocks));
  EXPECT_TRUE(wants_half_tiles<128>(66 * 64, fused_blocks(128)));
  EXPECT_FALSE(wants_half_tiles<128>(66 * 64 + 1, fused_blocks(128)));
}

// Two tiles in one block, seven outputs, networks that differ in the second update, a clipped norm: every barrier has
// something to separate.
TEST(RemovedBarriers, OfFusedDqn) {
  const auto launch = [](const Schedule& schedule) {
    FusedDqnRig rig(
        {"", {.batch_size = 129, .double_q = true, .dueling = true, .optimizer = {.max_norm = 0.1f}}, 64, 6, 4, 1});
    for (std::uint64_t update = 0; update < 2; ++update) rig.learn_fused(update, schedule);
    return learner_bits(rig.fused().network());
  };
  EXPECT_GT(simt::expect_barriers_are_needed(launch, "last_block.h"), 10u);
}

TEST(FusedDqn, IsRefusedOnACpu) {
  DqnConfig config{.batch_size = 4};
  config.network.hidden = {64, 64};
  config.fused = FusedUse::kAlways;
  const Space action = Space::discrete(2);
  const RingShape shape{2, 8, 3, ObsType::kFloat32, RecordLayout::for_action_size(1), 0};
  Arena arena{Device{}};
  const auto network =
      std::make_shared<MlpNetwork>(Dqn::network_spec(config, Space::box<3>({-1, -1, -1}, {1, 1, 1}), action));
  EXPECT_THROW(Dqn(config, action, network, shape, 1, 2, 1, Stream::cpu(), arena), UsageError);
}

}  // namespace
}  // namespace stampede
