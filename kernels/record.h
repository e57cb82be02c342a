// SPDX-License-Identifier: Apache-2.0
// The layout of one stored step that environments write and learners read: action, reward and flags side by side.
#pragma once

#include <cstdint>

#include "kernels/hd.h"
#include "kernels/math.h"

namespace stampede {

// Flags of a row. A row without kValid only reset its environment: its action was ignored, no learner may use it.
inline constexpr std::uint32_t kTerminated = 1;
inline constexpr std::uint32_t kTruncated = 2;
inline constexpr std::uint32_t kValid = 4;
inline constexpr std::uint32_t kEpisodeEnd = kTerminated | kTruncated;

// A record is a power of two of 32-bit words, so one random read touches one cache line:
// [action 0 ... action A-1, reward, flags, unused...].
struct RecordLayout {
  int action_size = 1;
  int words = 4;

  static constexpr RecordLayout for_action_size(int action_size) {
    RecordLayout layout{action_size, 4};
    while (layout.words < action_size + 2) layout.words *= 2;
    return layout;
  }
};

// Element type of an observation: 32-bit words, or bytes for images.
enum class ObsType : std::uint8_t { kFloat32, kInt32, kUint8 };

constexpr int obs_type_size(ObsType type) { return type == ObsType::kUint8 ? 1 : 4; }

// What a step reads and writes: the records of row t and the observations of row t + 1.
struct StepRow {
  std::uint32_t* records = nullptr;  // [N, record words]: the action is read, reward and flags are written
  void* next_obs = nullptr;          // [N, D] of the observation's type
  std::uint64_t row = 0;             // counts from 0 over the whole run, never restarts
};

}  // namespace stampede
