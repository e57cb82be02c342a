// SPDX-License-Identifier: Apache-2.0
// Every registered environment: the same actions give the same bits on one CPU thread, on two, and on CUDA.
#include <gtest/gtest.h>

#include "kernels/arena.h"
#include "kernels/philox.h"
#include "sim/registry.h"
#include "tests/parity/device_array.h"

namespace stampede {
namespace {

constexpr int kRows = 300;

struct Trajectory {
  std::vector<std::uint32_t> records;       // [rows, N, words]
  std::vector<std::uint32_t> observations;  // [rows + 1, N, D]
};

std::vector<std::uint32_t> random_actions(const VectorEnv& env) {
  const Space& space = env.spec().action;
  const auto words = static_cast<std::size_t>(env.record_layout().words);
  std::vector<std::uint32_t> records(std::size_t{kRows} * static_cast<std::size_t>(env.size()) * words);
  for (std::size_t at = 0; at < records.size(); at += words) {
    Rng rng(RandomKey{7, at, Purpose::kAction}, 0);
    for (int k = 0; k < space.size; ++k) {
      const auto place = at + static_cast<std::size_t>(k);
      if (space.is_discrete()) records[place] = rng.below(static_cast<std::uint32_t>(space.count));
      if (!space.is_discrete()) records[place] = float_bits(rng.uniform(space.low[k], space.high[k]));
    }
  }
  return records;
}

Trajectory play(const EnvEntry& entry, const Stream& stream, int size) {
  Arena arena(stream.device());
  entry.make({}, size, 5, 11, arena);
  arena.allocate("environment");
  const std::unique_ptr<VectorEnv> env = entry.make({}, size, 5, 11, arena);
  const auto batch = static_cast<std::size_t>(size);
  const auto record_words = batch * static_cast<std::size_t>(env->record_layout().words);
  const auto obs_words = batch * static_cast<std::size_t>(env->obs_size());
  const DeviceArray<std::uint32_t> records(stream, random_actions(*env));
  const DeviceArray<std::uint32_t> obs(stream, obs_words * (kRows + 1));
  env->reset(stream, obs.data());
  for (std::size_t row = 0; row < kRows; ++row) {
    env->step(stream, 0, size, StepRow{records.data() + row * record_words, obs.data() + (row + 1) * obs_words, row});
  }
  return {records.values(), obs.values()};
}

TEST(EnvironmentParity, SameBitsOnEveryStream) {
  const EnvRegistry registry = builtin_environments();
  for (const EnvEntry& entry : registry.entries()) {
    for (const int size : {1, 33, 257}) {
      const Trajectory expected = play(entry, Stream::cpu(1), size);
      for (const Stream& stream : streams_to_compare()) {
        const Trajectory result = play(entry, stream, size);
        EXPECT_TRUE(same_bits(result.records, expected.records)) << entry.spec.id << device_name(stream.device());
        EXPECT_TRUE(same_bits(result.observations, expected.observations))
            << entry.spec.id << device_name(stream.device());
      }
    }
  }
}

}  // namespace
}  // namespace stampede
