// SPDX-License-Identifier: Apache-2.0
// Configuration keys that the asynchronous methods share, and what they are read into.
#pragma once

#include "kernels/hogwild.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList async_keys();       // workers, rollout_steps, gamma
KeyList shared_rms_keys();  // those of optimizer_keys() that an RMSProp shared by workers has

// Threads that share num_envs environments equally. Throws UsageError when they cannot.
int async_workers(const Config& config);
RmsPropConfig rms_prop_config(const Config& config);
// Rows of one update: one worker's rollout.
std::int64_t async_batch_rows(const Config& config);

}  // namespace stampede
