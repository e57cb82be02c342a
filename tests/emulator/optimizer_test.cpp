// SPDX-License-Identifier: Apache-2.0
// The CUDA optimiser update under the emulator: the bits of the CPU update, and the textbook formulas to rounding.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/optimizer.h"
#include "kernels/optimizer_step_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

std::vector<float> noise(std::size_t count, float size, std::uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f) * size;
  }
  return values;
}

struct Update {
  OptimizerConfig config;
  int groups = 1;
  float learning_rate = 0.01f;
  float scale = 0.5f;
};

// Everything that an update reads or writes.
struct Learner {
  explicit Learner(std::size_t count)
      : parameters(noise(count, 0.5f, 1)),
        gradients(noise(count * kMaxGradientGroups, 0.1f, 2)),
        first(noise(count, 0.01f, 3)),
        second(count, 0.0f),
        scratch(optimizer_scratch_size(count), NAN),
        size(count) {
    for (std::size_t i = 0; i < count; ++i) second.data()[i] = 0.001f * static_cast<float>(i % 7);
    *update_arrivals(blocks()) = 0;
  }

  OptimizerBlocks blocks() {
    return {parameters.data(), gradients.data(), first.data(), second.data(), scratch.data(), size};
  }
  void refill(std::uint32_t seed) {
    const std::vector<float> fresh = noise(size * kMaxGradientGroups, 0.1f, seed);
    std::copy(fresh.begin(), fresh.end(), gradients.data());
  }

  GuardedArray<float> parameters, gradients, first, second, scratch;
  std::size_t size;
  LearnerState state;
};

struct EmulatedUpdate {
  Schedule schedule;
  int* launches;

  template <class Kernel>
  void blocks(unsigned grid, const Kernel& kernel) const {
    ++*launches;
    simt::run(grid, kOptimizerThreads, 0, schedule, kernel);
  }
  template <class Functor>
  void each(int count, const Functor& functor) const {
    ++*launches;
    for (int i = 0; i < count; ++i) functor(i);
  }
};

// The launches of optimizer_cuda.cu. Returns how many there were.
int emulated_step(Learner& learner, const Update& update, const Schedule& schedule) {
  int launches = 0;
  launch_optimizer_step(EmulatedUpdate{schedule, &launches}, update.config, learner.blocks(), update.groups,
                        update.learning_rate, update.scale, &learner.state);
  return launches;
}

void cpu_step(Learner& learner, const Update& update) {
  optimizer_step(Stream::cpu(), update.config, learner.blocks(), update.groups, update.learning_rate, update.scale,
                 &learner.state);
}

void expect_same(Learner& a, Learner& b, const std::string& where) {
  EXPECT_TRUE(same_bits(a.parameters.values(), b.parameters.values())) << where;
  EXPECT_TRUE(same_bits(a.first.values(), b.first.values())) << where;
  EXPECT_TRUE(same_bits(a.second.values(), b.second.values())) << where;
  EXPECT_EQ(float_bits(a.state.gradient_norm), float_bits(b.state.gradient_norm)) << where;
  EXPECT_EQ(a.state.step, b.state.step) << where;
  EXPECT_EQ(a.state.failed, b.state.failed) << where;
}

std::vector<Update> all_updates() {
  std::vector<Update> updates;
  for (const OptimizerKind kind : {OptimizerKind::kAdam, OptimizerKind::kAdamW, OptimizerKind::kRmsProp,
                                   OptimizerKind::kSgd, OptimizerKind::kRAdam}) {
    for (const bool inside : {false, true}) {
      if (inside && kind != OptimizerKind::kRmsProp) continue;
      Update update;
      update.config.kind = kind;
      update.config.epsilon = 1e-5f;
      update.config.epsilon_inside_root = inside;
      update.groups = 1 + static_cast<int>(updates.size()) * 3;  // 1, 4, 7, 10, 13
      updates.push_back(update);
      update.config.weight_decay = 0.02f;
      update.config.max_norm = 0.3f;
      update.config.max_value = 0.004f;
      update.groups = kMaxGradientGroups;
      updates.push_back(update);
    }
  }
  for (Update& update : updates) update.groups = std::min(update.groups, kMaxGradientGroups);
  return updates;
}

TEST(OptimizerBlocks, SameBitsAsTheCpuUpdate) {
  for (const std::size_t count : {16ul, 48ul, 1024ul, 1040ul, 4112ul}) {
    for (const Update& update : all_updates()) {
      for (const Schedule& schedule : simt::all_schedules()) {
        Learner cpu(count), cuda(count);
        for (std::uint32_t step = 0; step < 3; ++step) {
          cpu_step(cpu, update);
          EXPECT_EQ(emulated_step(cuda, update, schedule), count <= kOptimizerChunk ? 1 : 2);
          EXPECT_EQ(*update_arrivals(cuda.blocks()), 0u);
          expect_same(cpu, cuda, schedule.name());
          cpu.refill(step + 10);
          cuda.refill(step + 10);
        }
        cuda.scratch.values();
        if (count > 2000) break;
      }
    }
  }
}

// Elements without gradients: their moments decay below the normal numbers, which both devices take for zero.
TEST(OptimizerBlocks, VanishingMomentsHaveTheSameBitsToo) {
  for (const Update& update : all_updates()) {
    Learner cpu(16), cuda(16);
    for (Learner* const learner : {&cpu, &cuda}) {
      std::fill_n(learner->gradients.data(), 16 * kMaxGradientGroups, 0.0f);
      for (int i = 0; i < 16; ++i) {
        learner->parameters.data()[i] = 0.0f;
        learner->first.data()[i] = (i % 2 == 0 ? 1.0f : -1.0f) * (1.0f + 0.1f * static_cast<float>(i)) * 0x1p-126f;
        learner->second.data()[i] = (1.0f + 0.0005f * static_cast<float>(i)) * 0x1p-126f;
      }
    }
    for (int step = 0; step < 12; ++step) {
      cpu_step(cpu, update);
      emulated_step(cuda, update, {});
      expect_same(cpu, cuda, "step " + std::to_string(step));
    }
    for (const float moment : cuda.first.values()) EXPECT_NE(std::fpclassify(moment), FP_SUBNORMAL);
  }
}

// Chunk sums beyond what the block holds at once, in ascending order: the largest comes last but one.
TEST(OptimizerBlocks, NormOfManyChunks) {
  for (const std::size_t chunks : {1ul, 31ul, 128ul, 129ul, 257ul}) {
    std::vector<float> squares = noise(chunks, 1.0f, 4);
    for (float& square : squares) square = 1.0f + square;
    if (chunks > 1) squares[chunks - 2] = 1e12f;
    double total = 0.0;
    for (const float square : squares) total += static_cast<double>(square);
    for (const Schedule& schedule : simt::all_schedules()) {
      GuardedArray<float> sums(squares);
      LearnerState state;
      state.step = 6;
      UpdateScalars scalars{}, expected = {};
      simt::run(1, DecideUpdate::kThreads, 0, schedule,
                DecideUpdate{{}, sums.data(), static_cast<unsigned>(chunks), 0.01f, &state, &scalars});
      LearnerState same;
      same.step = 6;
      decide_update({}, 0.01f, static_cast<float>(std::sqrt(total)), &same, &expected);
      EXPECT_EQ(state.gradient_norm, same.gradient_norm) << chunks;
      EXPECT_EQ(state.step, 7);
      EXPECT_EQ(std::memcmp(&scalars, &expected, sizeof scalars), 0) << chunks;
    }
  }
}

// Adam of Kingma & Ba 2015, in double, without clipping.
TEST(OptimizerBlocks, AdamFollowsThePaper) {
  const std::size_t count = 1040;
  Learner learner(count);
  Update update;
  update.groups = 3;
  std::vector<double> theta, m, v;
  for (std::size_t i = 0; i < count; ++i) {
    theta.push_back(learner.parameters.data()[i]);
    m.push_back(learner.first.data()[i]);
    v.push_back(learner.second.data()[i]);
  }
  for (int t = 1; t <= 4; ++t) {
    learner.refill(static_cast<std::uint32_t>(t));
    for (std::size_t i = 0; i < count; ++i) {
      const float* gradient = learner.gradients.data() + i;
      const double g = 0.5 * (double{gradient[0]} + double{gradient[count]} + double{gradient[2 * count]});
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      theta[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
    emulated_step(learner, update, simt::Schedule{simt::Order::kReverse, 0});
  }
  for (std::size_t i = 0; i < count; ++i) ASSERT_NEAR(learner.parameters.data()[i], theta[i], 2e-5) << i;
  EXPECT_EQ(learner.state.step, 4);
}

TEST(OptimizerBlocks, StoppedOrFailedLearnerIsLeftAlone) {
  for (const auto& [failed, count] : {std::pair{false, 1040ul}, {true, 1040ul}, {false, 48ul}, {true, 48ul}}) {
    Learner learner(count), untouched(count);
    (failed ? learner.state.failed : learner.state.stop) = 1;
    emulated_step(learner, {}, {});
    EXPECT_TRUE(same_bits(learner.parameters.values(), untouched.parameters.values()));
    EXPECT_TRUE(same_bits(learner.gradients.values(), untouched.gradients.values()));
    EXPECT_TRUE(same_bits(learner.first.values(), untouched.first.values()));
    EXPECT_TRUE(same_bits(learner.second.values(), untouched.second.values()));
    EXPECT_EQ(learner.state.step, 0);
    EXPECT_EQ(learner.state.failed, failed ? 1 : 0) << "what nobody measured is no failure";
    EXPECT_EQ(learner.state.gradient_norm, 0.0f);
  }
}

TEST(OptimizerBlocks, NonFiniteGradientFailsWithoutAStep) {
  for (const float bad : {NAN, INFINITY, 3e38f}) {
    Learner learner(1040), untouched(1040);
    learner.gradients.data()[1033] = bad;
    emulated_step(learner, {}, {});
    EXPECT_EQ(learner.state.failed, 1);
    EXPECT_EQ(learner.state.step, 0);
    EXPECT_TRUE(same_bits(learner.parameters.values(), untouched.parameters.values()));
    EXPECT_TRUE(same_bits(learner.second.values(), untouched.second.values()));
  }
}

TEST(OptimizerBlocks, PolyakMovesTowardsTheOnlineParameters) {
  const std::size_t count = 272;
  for (const float tau : {0.005f, 0.5f, 1.0f}) {
    GuardedArray<float> online(noise(count, 1.0f, 5)), target(noise(count, 1.0f, 6)), cpu(noise(count, 1.0f, 6));
    const std::vector<float> before = target.values();
    const PolyakElement element{online.data(), target.data(), tau};
    for (int i = 0; i < static_cast<int>(count); ++i) element(i);
    polyak_update(Stream::cpu(), online.data(), cpu.data(), count, tau);
    EXPECT_TRUE(same_bits(target.values(), cpu.values()));
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_NEAR(target.data()[i], (1.0 - tau) * before[i] + double{tau} * online.data()[i], 1e-6);
    }
  }
}

}  // namespace
}  // namespace stampede
