// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/machine.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/schedule.h"

namespace stampede::soft_gpu {
namespace {

void check(bool holds, const Launch& launch, const std::string& reason) {
  if (!holds) throw Fault(Fault::Kind::kBadLaunch, launch.kernel->name + ": " + reason);
}

void check_launch(const Launch& launch) {
  const Kernel& kernel = *launch.kernel;
  check(launch.grid > 0 && launch.block > 0, launch, "an empty grid or block");
  check(launch.block <= kernel.max_threads, launch,
        std::to_string(launch.block) + " threads per block, at most " + std::to_string(kernel.max_threads));
  check(
      launch.parameters.size() == kernel.parameter_bytes, launch,
      std::to_string(launch.parameters.size()) + " bytes of parameters, not " + std::to_string(kernel.parameter_bytes));
}

// Blocks on several threads of the host; the first fault is thrown.
Statistics run_blocks(const Launch& launch, DeviceMemory& memory, const Schedule& schedule,
                      const std::vector<unsigned>& order, int host_threads) {
  const bool has_atomics = launch.kernel->code->has_atomics;
  LaunchHistory history(has_atomics ? launch.grid : 0, memory.next_interval());
  std::exception_ptr failure;
  Statistics sum;
#pragma omp parallel num_threads(host_threads) if (host_threads > 1)
  {
    Block block(launch, memory, history, schedule);
#pragma omp for schedule(dynamic, 1)
    for (std::size_t i = 0; i < order.size(); ++i) {
      try {
        block.run(order[i]);
      } catch (...) {
#pragma omp critical(stampede_soft_gpu)
        if (failure == nullptr) failure = std::current_exception();
      }
    }
#pragma omp critical(stampede_soft_gpu)
    {
      sum.instructions += block.statistics().instructions;
      sum.lane_instructions += block.statistics().lane_instructions;
    }
  }
  if (failure != nullptr) std::rethrow_exception(failure);
  return sum;
}

// One where it costs more to start others than they would save.
int useful_threads(const Launch& launch, const Schedule& schedule) {
  constexpr std::size_t kManyOps = 4000;
  const Code& code = *launch.kernel->code;
  if (code.has_atomics || code.ops.size() * launch.grid < kManyOps) return 1;
  return static_cast<int>(std::max(1u, std::min(schedule.host_threads, launch.grid)));
}

}  // namespace

Statistics run(const Launch& launch, DeviceMemory& memory, const Schedule& schedule) {
  check_launch(launch);
  std::vector<unsigned> order(launch.grid);
  schedule_order(schedule, std::uint64_t{1} << 63, order);
  return run_blocks(launch, memory, schedule, order, useful_threads(launch, schedule));
}

}  // namespace stampede::soft_gpu
