// SPDX-License-Identifier: Apache-2.0
// The order in which a device takes blocks and warps changes no bit of a training.
#include <string>
#include <vector>

#include "tests/soft_gpu/runtime/runtime_rig.h"
#include "tests/unit/small_run.h"

namespace stampede::soft_gpu {
namespace {

using SoftSchedules = SoftRuntimeTest;
using Order = Schedule::Order;

StateBytes trained(const char* algorithm, const char* fused, Order order) {
  set_schedule({.order = order, .seed = 5});
  const Keys keys{{"num_envs", "33"}, {"hidden", "64,64"}, {"fused", fused}};
  TrainingRun run = small_run(find_algorithm(algorithm), Stream::cuda(), keys);
  run.iterate(4);
  return run.state();
}

TEST_F(SoftSchedules, ChangeNoBit) {
  for (const char* algorithm : {"ppo", "per_dqn", "pqn", "sac", "trpo"}) {
    for (const char* fused : {"auto", "false"}) {
      const StateBytes expected = trained(algorithm, fused, Order::kForward);
      for (const Order order : {Order::kBackward, Order::kShuffled}) {
        EXPECT_EQ(differing_entries(expected, trained(algorithm, fused, order)), std::vector<std::string>{})
            << algorithm << ", fused=" << fused;
      }
    }
  }
  EXPECT_EQ(last_fault(), "");
}

}  // namespace
}  // namespace stampede::soft_gpu
