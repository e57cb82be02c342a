// SPDX-License-Identifier: Apache-2.0
// The groups of benchmarks that main() registers.
#pragma once

#include <algorithm>
#include <thread>

namespace stampede {

// Of this machine: what benchmarks on all cores use.
inline int core_count() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

void register_peak_benchmarks();
void register_env_benchmarks();
void register_mlp_benchmarks();
void register_replay_benchmarks();
void register_train_benchmarks();
void register_tabular_benchmarks();
void register_async_benchmarks();
void register_process_benchmarks();
void register_sac_benchmarks();
void register_gpu_facts();
void register_cuda_training_benchmarks();
void register_cuda_mlp_benchmarks();

}  // namespace stampede
