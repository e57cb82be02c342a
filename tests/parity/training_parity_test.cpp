// SPDX-License-Identifier: Apache-2.0
// Whole trainings on CUDA. Batches of at most 32 rows have one gradient group on every device, so that stepwise
// training of every algorithm must give the bits of a CPU; and a run may change its device in the middle.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/small_run.h"
#include "tests/unit/temporary_folder.h"
#include "train/checkpoint.h"

namespace stampede {
namespace {

constexpr int kIterations = 12;

TrainingRun stepwise_run(const AlgorithmEntry& algorithm, const Stream& stream, Keys keys = {}) {
  keys.emplace_back("fused", "false");
  return small_run(algorithm, stream, keys);
}

StateBytes trained(const AlgorithmEntry& algorithm, const Stream& stream, const Keys& keys = {}) {
  TrainingRun run = stepwise_run(algorithm, stream, keys);
  run.iterate(kIterations);
  return run.state();
}

TEST(TrainingParity, SmallBatchesGiveTheBitsOfACpu) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    if (!runs_on_cuda(algorithm)) continue;
    EXPECT_EQ(differing_entries(trained(algorithm, Stream::cpu(1)), trained(algorithm, Stream::cuda())),
              std::vector<std::string>{})
        << algorithm.id;
  }
}

TEST(TrainingParity, SoftReturnsOfSeveralStepsGiveTheBitsOfACpu) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const Keys steps{{"n_step", "3"}};
  for (const char* id : {"sac", "sac_v", "sac_discrete"}) {
    const AlgorithmEntry& algorithm = find_algorithm(id);
    EXPECT_EQ(differing_entries(trained(algorithm, Stream::cpu(1), steps), trained(algorithm, Stream::cuda(), steps)),
              std::vector<std::string>{})
        << id;
  }
}

// Half of the iterations on one device, the other half from its checkpoint on another.
StateBytes moved(const AlgorithmEntry& algorithm, const Stream& from, const Stream& to, const std::string& file) {
  TrainingRun first = stepwise_run(algorithm, from);
  first.iterate(kIterations / 2);
  save_checkpoint(file, first.trainer(), first.stream(),
                  {std::string(algorithm.id), "", first.config().to_toml(), true});
  TrainingRun second = stepwise_run(algorithm, to);
  load_checkpoint(file, second.trainer(), second.stream());
  second.iterate(kIterations / 2);
  return second.state();
}

TEST(TrainingParity, ARunMayChangeItsDevice) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  const TemporaryFolder folder;
  const Stream cpu = Stream::cpu(1), cuda = Stream::cuda();
  for (const char* id : {"ppo", "per_dqn", "sac", "trpo", "q_learning"}) {
    const AlgorithmEntry& algorithm = find_algorithm(id);
    const StateBytes expected = trained(algorithm, cpu);
    EXPECT_EQ(differing_entries(expected, moved(algorithm, cpu, cuda, folder / "up")), std::vector<std::string>{})
        << id;
    EXPECT_EQ(differing_entries(expected, moved(algorithm, cuda, cpu, folder / "down")), std::vector<std::string>{})
        << id;
  }
}

}  // namespace
}  // namespace stampede
