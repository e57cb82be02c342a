// SPDX-License-Identifier: Apache-2.0
// The steps that learners are made of give the same bits on one CPU thread, on two, and on CUDA, given the same network
// outputs; whole trainers do so on any number of CPU threads (tests/unit/reproducibility_test.cpp).
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "agents/dqn_steps.h"
#include "agents/input_stage.h"
#include "agents/normalizer.h"
#include "agents/policy_gradient_steps.h"
#include "agents/policy_steps.h"
#include "agents/pqn_steps.h"
#include "agents/rollout_batch.h"
#include "agents/soft_returns.h"
#include "agents/state_noise.h"
#include "replay/prioritized_sampler.h"
#include "replay/returns.h"
#include "replay/uniform_sampler.h"
#include "tests/parity/device_array.h"
#include "tests/parity/random_ring.h"

namespace stampede {
namespace {

RingShape shape_of(int environments, int extra_size = 4) {
  return {environments, 19, 3, ObsType::kFloat32, RecordLayout::for_action_size(1), extra_size};
}

// Runs `compute(stream, environments)` on one CPU thread and on every other stream, and expects the same bits.
template <class Compute>
void expect_parity(const Compute& compute) {
  for (const int environments : {1, 31, 33, 257, 2050}) {
    const auto expected = compute(Stream::cpu(1), environments);
    for (const Stream& stream : streams_to_compare()) {
      EXPECT_TRUE(same_bits(compute(stream, environments), expected)) << device_name(stream.device()) << environments;
    }
  }
}

TEST(LearnerParity, GeneralisedAdvantages) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments));
    const DeviceArray<float> scale(stream, std::vector<float>{0.37f});
    compute_gae(stream, random.view(), 0.99f, 0.95f, scale.data());
    return random.extra();
  });
}

TEST(LearnerParity, VtraceTargets) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments));
    const auto rows = static_cast<std::size_t>(19 * environments);
    std::vector<float> host = noise_block(rows, 11);
    for (float& ratio : host) ratio = ratio * ratio;
    const DeviceArray<float> ratios(stream, host);
    compute_vtrace(stream, random.view(), {.lambda = 0.9f, .weighted = true, .temperature = 0.1f}, ratios.data(),
                   nullptr);
    return random.extra();
  });
}

TEST(LearnerParity, QLambdaReturns) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments, QRolloutExtra::kSize));
    compute_q_lambda(stream, random.view(), 0.99f, 0.65f);
    return random.extra();
  });
}

TEST(LearnerParity, EpisodeReturns) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments));
    const int rows = 19 * environments;
    const Space action = Space::discrete(2);
    Arena arena(stream.device());
    RolloutBatch::take_fields(action, rows, arena);
    arena.allocate("test");
    const RolloutBatch batch = RolloutBatch::take_fields(action, rows, arena);
    copy_rollout(stream, random.view(), action, batch);
    compute_episode_returns(stream, random.view(), 0.97f, nullptr, true, batch);
    std::vector<float> all = to_host(stream, View<float>{batch.advantage, {static_cast<std::size_t>(rows)}});
    for (const std::int32_t valid :
         to_host(stream, View<std::int32_t>{batch.valid, {static_cast<std::size_t>(rows)}})) {
      all.push_back(static_cast<float>(valid));
    }
    return all;
  });
}

TEST(LearnerParity, QActionsBootstrapsAndLosses) {
  for (const BootstrapKind kind : {BootstrapKind::kMax, BootstrapKind::kSarsa, BootstrapKind::kExpectedSarsa}) {
    expect_parity([kind](const Stream& stream, int environments) {
      const auto n = static_cast<std::size_t>(environments);
      const DeviceArray<float> outputs(stream, noise_block(n * 16, 9)), other(stream, noise_block(n * 16, 10));
      const DeviceArray<float> ends(stream, noise_block(n, 11)), extra(stream, n * 2), d(stream, n * 16);
      const DeviceArray<float> metrics(stream, n * DqnRowMetrics::kSize);
      const DeviceArray<std::uint32_t> records(stream, n * 4);
      choose_with_bootstrap(stream,
                            {outputs.data(), other.data(), 16, 5, records.data(), extra.data(),
                             RecordLayout::for_action_size(1), 0, environments},
                            kind, {0.0f, ends.data(), 1.0f, 0.7f}, {1, 2, Purpose::kExploration});
      const DeviceArray<std::int32_t> actions(stream, std::vector<std::int32_t>(n, 3));
      const DeviceArray<std::int32_t> valid(stream, std::vector<std::int32_t>{environments});
      const DeviceArray<std::uint8_t> flags(stream, std::vector<std::uint8_t>(n, kValid));
      const QBatch batch{nullptr, actions.data(), ends.data(), flags.data()};
      q_tile_loss(stream, TdLoss::kHuber, batch,
                  {outputs.data(), 16, valid.data(), d.data(), metrics.data(), 0, environments});
      std::vector<float> all = extra.values();
      for (const std::uint32_t word : records.values()) all.push_back(bits_float(word));
      for (const DeviceArray<float>* more : {&d, &metrics}) {
        for (const float value : more->values()) all.push_back(value);
      }
      return all;
    });
  }
}

TEST(LearnerParity, RunningStatistics) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments));
    Arena arena(stream.device());
    ObservationNormalizer(true, random.ring().shape(), arena);
    RewardScaler(true, environments, arena);
    arena.allocate("test");
    ObservationNormalizer observations(true, random.ring().shape(), arena);
    RewardScaler rewards(true, environments, arena);
    observations.initialize(stream);
    rewards.initialize(stream);
    for (int k = 0; k < 2; ++k) {
      observations.update(stream, random.view());
      rewards.update(stream, random.view(), 0.99f);
    }
    std::vector<double> all;
    for (const View<RunningMoments>& view : {observations.moments(), rewards.moments()}) {
      for (const RunningMoments& m : to_host(stream, view)) all.insert(all.end(), {m.count, m.mean, m.squares});
    }
    for (const float r : to_host(stream, rewards.running_returns())) all.push_back(static_cast<double>(r));
    return all;
  });
}

TEST(LearnerParity, SampledTransitions) {
  expect_parity([](const Stream& stream, int environments) {
    constexpr int kBatch = 333;
    const RandomRing random(stream, shape_of(environments, 0));
    const DeviceArray<std::int32_t> index(stream, kBatch), next(stream, kBatch), action(stream, kBatch);
    const DeviceArray<float> reward(stream, kBatch), discount(stream, kBatch);
    const UniformSampler sampler{random.view(), sample_window(random.ring()), {5, 6, Purpose::kReplaySample}, 3};
    sample_transitions(stream, sampler, 0.97f, 0, kBatch, {index.data(), next.data(), reward.data(), discount.data()});
    gather_actions(stream, random.view(), index.data(), kBatch, action.data());
    std::vector<float> all = reward.values();
    for (const float d : discount.values()) all.push_back(d);
    for (const DeviceArray<std::int32_t>* numbers : {&index, &next, &action}) {
      for (const std::int32_t n : numbers->values()) all.push_back(static_cast<float>(n));
    }
    return all;
  });
}

TEST(LearnerParity, SoftReturns) {
  expect_parity([](const Stream& stream, int environments) {
    constexpr int kBatch = 333;
    const RandomRing random(stream, shape_of(environments));
    const DeviceArray<std::int32_t> index(stream, kBatch), next(stream, kBatch);
    const DeviceArray<float> reward(stream, kBatch), discount(stream, kBatch), entropies(stream, kBatch);
    const DeviceArray<float> q(stream, noise_block(kBatch * 16, 3));
    const UniformSampler sampler{random.view(), sample_window(random.ring()), {5, 6, Purpose::kReplaySample}, 3};
    const Transitions transitions{index.data(), next.data(), reward.data(), discount.data()};
    sample_transitions(stream, sampler, 0.97f, 0, kBatch, transitions);
    add_entropies(stream, random.view(), 3, 0.97f, {0.4f}, kBatch, transitions);
    measure_entropies(stream, q.data(), 16, 5, 0.4f, 0, kBatch, entropies.data());
    std::vector<float> all = reward.values();
    for (const float h : entropies.values()) all.push_back(h);
    return all;
  });
}

TEST(LearnerParity, PrioritisedReplay) {
  for (const PriorityKind kind : {PriorityKind::kProportional, PriorityKind::kRank}) {
    expect_parity([kind](const Stream& stream, int environments) {
      constexpr int kBatch = 333;
      const PriorityConfig config{.kind = kind, .rank_interval = 2};
      const RandomRing random(stream, shape_of(environments, 0));
      Arena arena(stream.device());
      PrioritizedSampler(config, random.ring().shape(), 3, kBatch, arena);
      arena.allocate("test");
      PrioritizedSampler sampler(config, random.ring().shape(), 3, kBatch, arena);
      sampler.initialize(stream);
      sampler.advance(stream, random.ring());
      const DeviceArray<std::int32_t> indices(stream, kBatch);
      const DeviceArray<float> weights(stream, kBatch), errors(stream, noise_block(kBatch, 12));
      for (std::uint64_t update = 0; update < 4; ++update) {
        sampler.sample(stream, {5, update, Purpose::kReplaySample}, 0.4f, kBatch, indices.data(), weights.data());
        sampler.update(stream, indices.data(), errors.data(), kBatch);
      }
      std::vector<float> all = weights.values();
      for (const std::int32_t index : indices.values()) all.push_back(static_cast<float>(index));
      for (const float priority : to_host(stream, sampler.priorities())) all.push_back(priority);
      all.push_back(to_host(stream, sampler.maximum())[0]);
      return all;
    });
  }
}

TEST(LearnerParity, MinibatchesAndTheirMoments) {
  expect_parity([](const Stream& stream, int environments) {
    const RandomRing random(stream, shape_of(environments));
    const int rows = 19 * environments, size = (rows + 1) / 2;
    const Space action = Space::discrete(2);
    Arena arena(stream.device());
    RolloutBatch::take(random.ring().shape(), action, rows, arena);
    arena.allocate("test");
    const RolloutBatch batch = RolloutBatch::take(random.ring().shape(), action, rows, arena);
    const Permutation permutation({1, 2, Purpose::kPermutation}, static_cast<std::uint32_t>(rows));
    gather_minibatch(stream, random.view(), action, {permutation, rows - size, size}, batch);
    const Buffer<MomentPart> parts(stream.device(), kMomentParts);
    const Buffer<MinibatchMoments> moments(stream.device(), 1);
    measure_minibatch(stream, batch, size, AdvantageScaling::kNormalize, parts.data(), moments.data());
    std::vector<float> all = to_host(stream, View<float>{batch.advantage, {static_cast<std::size_t>(size)}});
    const MinibatchMoments m = to_host(stream, moments.view())[0];
    all.insert(all.end(), {m.advantage_mean, m.advantage_inverse, m.divisor});
    return all;
  });
}

TEST(LearnerParity, ChosenActions) {
  for (const bool continuous : {false, true}) {
    expect_parity([continuous](const Stream& stream, int environments) {
      const auto n = static_cast<std::size_t>(environments);
      const DeviceArray<float> outputs(stream, noise_block(n * 16, 7)), sigma(stream, noise_block(16, 8));
      const DeviceArray<float> extra(stream, n * 8);
      const DeviceArray<std::uint32_t> records(stream, n * 4);
      const Space space = continuous ? Space::box<2>({-1.0f, -2.0f}, {1.0f, 2.0f}) : Space::discrete(5);
      choose_actions(stream, {space, 16, 0, 6, continuous ? sigma.data() : nullptr},
                     {outputs.data(),
                      {sigma.data(), 0},
                      nullptr,
                      records.data(),
                      extra.data(),
                      8,
                      RecordLayout::for_action_size(space.size),
                      0,
                      environments},
                     {1, 2, Purpose::kAction}, ActionMode::kSample);
      std::vector<float> all = extra.values();
      for (const std::uint32_t word : records.values()) all.push_back(bits_float(word));
      return all;
    });
  }
}

TEST(LearnerParity, ActionsOfEveryContinuousDistribution) {
  using enum ContinuousPolicy;
  for (const ContinuousPolicy policy : {kStateGaussian, kSquashedGaussian, kBeta, kMultiCategorical}) {
    expect_parity([policy](const Stream& stream, int environments) {
      const auto n = static_cast<std::size_t>(environments);
      const DeviceArray<float> outputs(stream, noise_block(n * 16, 7));
      const DeviceArray<float> extra(stream, n * 8);
      const DeviceArray<std::uint32_t> records(stream, n * 4);
      const PolicyLayout layout{Space::box<2>({-1.0f, -2.0f}, {1.0f, 2.0f}), 16, 0, 15, nullptr, policy, -0.5f, 5};
      choose_actions(stream, layout,
                     {outputs.data(),
                      {},
                      nullptr,
                      records.data(),
                      extra.data(),
                      8,
                      RecordLayout::for_action_size(2),
                      0,
                      environments},
                     {1, 2, Purpose::kAction}, ActionMode::kSample);
      std::vector<float> all = extra.values();
      for (const std::uint32_t word : records.values()) all.push_back(bits_float(word));
      return all;
    });
  }
}

TEST(LearnerParity, StateDependentNoise) {
  expect_parity([](const Stream& stream, int environments) {
    constexpr int kFeatures = 33, kActions = 3;
    TowerSpec tower{"actor", {kFeatures}, Activation::kTanh, {{"policy", kActions, 1.0f}}};
    tower.features = true;
    const NetworkSpec spec(3, false, {tower}, {{StateNoise::kName, kFeatures, 0.0f, kActions}});
    const StateNoise noise({true, 5, false}, spec, kActions);
    const auto n = static_cast<std::size_t>(environments);
    std::vector<float> rows = noise_block(n * static_cast<std::size_t>(spec.output_stride()), 7);
    for (std::size_t i = 0; i < rows.size(); ++i) {  // padding of features
      const int column = static_cast<int>(i % static_cast<std::size_t>(spec.output_stride()));
      if (column >= spec.features().column + kFeatures) rows[i] = 0.0f;
    }
    const DeviceArray<float> outputs(stream, rows), network(stream, noise_block(spec.parameter_count(), 8));
    Arena arena(stream.device());
    noise.take_acting(environments, arena);
    arena.allocate("test");
    const StateNoise::Scratch scratch = noise.take_acting(environments, arena);
    noise.measure(stream, network.data(), outputs.data(), environments, scratch);
    noise.draw(stream, outputs.data(), 2, environments, 9, 12, scratch);
    std::vector<float> all = to_host(stream, View<float>{scratch.log_sigma, {n * 16}});
    for (std::size_t i = 0; i < n; ++i) {
      const std::vector<float> row = to_host(stream, View<float>{scratch.noise + i * 16, {kActions}});
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  });
}

TEST(LearnerParity, EpsilonGreedyActions) {
  expect_parity([](const Stream& stream, int environments) {
    const auto n = static_cast<std::size_t>(environments);
    const DeviceArray<float> outputs(stream, noise_block(n * 16, 9));
    const DeviceArray<std::uint32_t> records(stream, n * 4);
    choose_epsilon_greedy(stream,
                          {outputs.data(), 16, 5, records.data(), RecordLayout::for_action_size(1), 0, environments},
                          {1, 2, Purpose::kExploration}, 0.4f);
    return records.values();
  });
}

}  // namespace
}  // namespace stampede
