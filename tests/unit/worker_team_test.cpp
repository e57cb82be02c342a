// SPDX-License-Identifier: Apache-2.0
#include "train/worker_team.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

namespace stampede {
namespace {

TEST(WorkerTeam, EveryWorkerDoesEveryPieceOfWork) {
  for (const int size : {1, 2, 3, 31}) {
    WorkerTeam team(size);
    EXPECT_EQ(team.size(), size);
    std::vector<int> done(static_cast<std::size_t>(size), 0);
    for (int piece = 0; piece < 5; ++piece) {
      team.run([&](int worker) { ++done[static_cast<std::size_t>(worker)]; });
    }
    EXPECT_EQ(done, std::vector<int>(static_cast<std::size_t>(size), 5));
  }
}

TEST(WorkerTeam, WorkerZeroIsTheCallingThread) {
  WorkerTeam team(2);
  std::vector<std::thread::id> threads(2);
  team.run([&](int worker) { threads[static_cast<std::size_t>(worker)] = std::this_thread::get_id(); });
  EXPECT_EQ(threads[0], std::this_thread::get_id());
  EXPECT_NE(threads[1], std::this_thread::get_id());
}

TEST(WorkerTeam, RethrowsAndGoesOn) {
  for (const int thrower : {0, 1, 2}) {
    WorkerTeam team(3);
    EXPECT_THROW(team.run([&](int worker) {
      if (worker == thrower) throw std::runtime_error("broken");
    }),
                 std::runtime_error);
    int done = 0;
    team.run([&](int worker) {
      if (worker == 0) ++done;
    });
    EXPECT_EQ(done, 1);
  }
}

}  // namespace
}  // namespace stampede
