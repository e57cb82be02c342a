// SPDX-License-Identifier: Apache-2.0
// The complete state of a training run in one safetensors file.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/stream.h"
#include "train/trainer.h"

namespace stampede {

// What a checkpoint says of itself besides its tensors.
struct CheckpointInfo {
  std::string algorithm;
  std::string environment;
  std::string config;               // resolved configuration as TOML
  bool with_replay = false;         // replay memory is in the file
  std::int64_t rows = 0;            // host-counted steps at which it was written
  std::int64_t first_reached = -1;  // transitions at the last evaluation that reached the threshold, -1 = none
  std::int64_t solved_at = -1;      // at the first of two in a row, -1 = not yet
};

// Replaces `path` atomically. Weights are stored tensor by tensor in PyTorch's layout: [out, in], names
// "network.parameters.<tower>.<layer>.weight". Nothing of time, host or path is in the file. Throws RuntimeError.
void save_checkpoint(const std::string& path, Trainer& trainer, const Stream& stream, const CheckpointInfo& info);

// Reads only the description. Throws RuntimeError for a foreign, truncated or damaged file, with the reason.
CheckpointInfo read_checkpoint_info(const std::string& path);

// Puts the state into an initialised trainer of the same configuration. Throws RuntimeError with the reason when the
// file does not fit.
void load_checkpoint(const std::string& path, Trainer& trainer, const Stream& stream);

}  // namespace stampede
