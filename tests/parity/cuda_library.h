// SPDX-License-Identifier: Apache-2.0
// What tests of a library that computes on a GPU have in common: whether it is there, and runs with and without graphs.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/error.h"
#include "kernels/graph.h"
#include "tests/unit/small_run.h"

namespace stampede {

// Why tests of the library that load() loads cannot run here, or an empty string.
template <class Load>
std::string missing_on_cuda(const Load& load) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) return reason;
  try {
    load();
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "";
}

// The state after 30 iterations, between two of which an evaluation runs; none of them waits for the device.
inline StateBytes train_on_cuda(const std::string& algorithm, const Keys& keys, bool graphs) {
  const Stream stream = Stream::cuda();
  TrainingRun run = small_run(find_algorithm(algorithm), stream, keys);
  Graph graph(stream, graphs);
  for (int k = 0; k < 30; ++k) {
    const std::int64_t waits = stream.host_waits();
    graph.run([&] { run.iterate(1); });
    EXPECT_EQ(stream.host_waits(), waits);
    if (k == 11) run.trainer().evaluate(5, EvaluationMode::kGreedy);
  }
  EXPECT_EQ(graph.nodes() > 0, graphs);
  return run.state();
}

// Whether graphs leave the bits of a few methods alone.
inline void expect_graphs_change_no_bit(const Keys& keys) {
  for (const char* algorithm : {"ppo", "dqn", "sac"}) {
    EXPECT_EQ(differing_entries(train_on_cuda(algorithm, keys, false), train_on_cuda(algorithm, keys, true)),
              std::vector<std::string>{})
        << algorithm;
  }
}

}  // namespace stampede
