// SPDX-License-Identifier: Apache-2.0
// Learners on CUDA, whose updates are fused where that fits, follow those of a CPU to rounding. Without a GPU this
// compares numbers of threads; the kernels themselves run in tests/emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "agents/dqn.h"
#include "agents/networks/mlp_network.h"
#include "agents/ppo.h"
#include "kernels/device_limits.h"
#include "tests/parity/device_array.h"
#include "tests/parity/random_ring.h"

namespace stampede {
namespace {

constexpr int kEnvironments = 257, kRows = 19;

RingShape shape_of(int extra_size) {
  return {kEnvironments, kRows, 3, ObsType::kFloat32, RecordLayout::for_action_size(1), extra_size};
}

// The network of an agent that `make(arena)` builds, after `learn(agent)`.
template <class Agent, class Make, class Learn>
std::vector<float> parameters_after(const Stream& stream, const Make& make, const Learn& learn) {
  Arena arena(stream.device());
  make(arena);
  arena.allocate("test");
  const std::unique_ptr<Agent> agent = make(arena);
  agent->initialize(stream);
  return to_host(stream, learn(*agent));
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  double difference = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    difference = apart <= difference ? difference : apart;  // NaN counts as largest
  }
  EXPECT_LT(difference, 5e-4) << what;  // a wrong sign of one gradient would be 2e-3
}

template <class Compute>
void expect_agreement(const char* what, const Compute& compute) {
  const std::vector<float> expected = compute(Stream::cpu(1));
  for (const Stream& stream : streams_to_compare()) expect_near(compute(stream), expected, what);
}

// What fits() does not look at: GPUs of other kinds have less shared memory, and learn step by step.
TEST(FusedParity, BlocksFitTheGpu) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const DeviceLimits limits = device_limits({DeviceKind::kCuda, 0});
  const Space observation = Space::box<3>({-2, -2, -2}, {2, 2, 2}), action = Space::discrete(2);
  for (const int width : {64, 128}) {
    ActorCriticConfig config;
    config.network.hidden = {width, width};
    const NetworkSpec spec = ActorCritic::network_spec(config, observation, action);
    for (const std::size_t bytes :
         {FusedPolicyUpdate::block_bytes(spec, Precision::kFp32),
          FusedPolicyUpdate::block_bytes(spec, Precision::kBf16), FusedDqn::block_bytes(spec)}) {
      EXPECT_GT(bytes, 48u * 1024);
      EXPECT_TRUE(limits.holds_block(bytes)) << width;
    }
  }
}

// A policy's learner for each device, on three observations.
class PpoOnDevices {
 public:
  PpoOnDevices(const PpoConfig& config, const Space& action)
      : config_(config),
        action_(action),
        network_(std::make_shared<MlpNetwork>(
            ActorCritic::network_spec(config.actor_critic, Space::box<3>({-2, -2, -2}, {2, 2, 2}), action))),
        shape_(shape_of(RolloutExtra::size(!action.is_discrete(), action.size))) {}

  // The block that learn(ppo, ring) returns.
  template <class Learn>
  std::vector<float> after(const Stream& stream, const Learn& learn) const {
    const RandomRing random(stream, shape_);
    return parameters_after<Ppo>(
        stream,
        [&](Arena& arena) {
          return std::make_unique<Ppo>(config_, action_, network_, shape_, stream.threads(), kEnvironments, 9, stream,
                                       arena);
        },
        [&](Ppo& ppo) { return learn(ppo, random.ring()); });
  }

 private:
  PpoConfig config_;
  Space action_;
  std::shared_ptr<const MlpNetwork> network_;
  RingShape shape_;
};

void compare_ppo(const char* what, int width, bool shared_torso, const Space& action) {
  PpoConfig config;
  config.epochs = 2;
  config.actor_critic.network.hidden = {width, width};
  config.actor_critic.shared_torso = shared_torso;
  config.actor_critic.normalize_observations = true;
  const PpoOnDevices learners(config, action);
  expect_agreement(what, [&](const Stream& stream) {
    return learners.after(stream, [&](Ppo& ppo, const TrajectoryRing& ring) {
      EXPECT_EQ(ppo.actor_critic().fused() != nullptr, stream.is_cuda());
      for (std::uint64_t k = 0; k < 2; ++k) ppo.learn(stream, ring, {1e-3f, 0.2f, 0.01f, k});
      return ppo.actor_critic().network().parameter_block();
    });
  });
}

TEST(FusedParity, PpoLearnsAsOnACpu) {
  compare_ppo("two towers", 64, false, Space::discrete(2));
  compare_ppo("shared torso", 64, true, Space::discrete(2));
  compare_ppo("128", 128, false, Space::discrete(2));
  compare_ppo("Gaussian", 64, false, Space::box<1>({-2}, {2}));
}

// The gradient of a whole rollout: updates on tensor cores are fused, so on a CPU both are fp32.
TEST(FusedParity, PpoInBf16HasTheGradientOfACpu) {
  for (const int width : {64, 128}) {
    PpoConfig config;
    config.epochs = config.minibatches = 1;
    config.actor_critic.network.hidden = {width, width};
    config.actor_critic.precision = Precision::kBf16;
    const PpoOnDevices learners(config, Space::discrete(2));
    const auto gradient = [&](const Stream& stream) {
      return learners.after(stream, [&](Ppo& ppo, const TrajectoryRing& ring) {
        EXPECT_EQ(ppo.actor_critic().learning_precision() == Precision::kBf16, stream.is_cuda());
        ppo.learn(stream, ring, {1e-3f, 0.2f, 0.01f, 0});
        return ppo.actor_critic().network().gradient_block(1);
      });
    };
    const std::vector<float> expected = gradient(Stream::cpu(1));
    for (const Stream& stream : streams_to_compare()) {
      const std::vector<float> got = gradient(stream);
      double error = 0.0, norm = 0.0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double e = static_cast<double>(expected[i]), apart = static_cast<double>(got[i]) - e;
        error += apart * apart;
        norm += e * e;
      }
      EXPECT_LT(std::sqrt(error / norm), 0.03) << width;  // as under the emulator
    }
  }
}

void compare_dqn(const char* what, DqnConfig config) {
  config.batch_size = 300;
  config.optimizer.epsilon = 1e-5f;  // steps of gradients that are nothing but rounding stay small
  config.network.hidden = {64, 64};
  const Space observation = Space::box<3>({-2, -2, -2}, {2, 2, 2}), action = Space::discrete(2);
  const auto network = std::make_shared<MlpNetwork>(Dqn::network_spec(config, observation, action));
  const RingShape shape = shape_of(0);
  expect_agreement(what, [&](const Stream& stream) {
    const RandomRing random(stream, shape);
    return parameters_after<Dqn>(
        stream,
        [&](Arena& arena) {
          return std::make_unique<Dqn>(config, action, network, shape, stream.threads(), kEnvironments, 9, stream,
                                       arena);
        },
        [&](Dqn& dqn) {
          dqn.store(stream, random.ring());
          for (std::uint64_t k = 0; k < 3; ++k) dqn.learn(stream, random.ring(), {k, 1e-3f, 0.1f, 0.5f});
          return dqn.network().parameter_block();
        });
  });
}

TEST(FusedParity, DqnLearnsAsOnACpu) {
  compare_dqn("plain", {});
  compare_dqn("double, dueling", {.n_step = 3, .double_q = true, .dueling = true});
  compare_dqn("prioritised", {.prioritized = true});
}

}  // namespace
}  // namespace stampede
