// SPDX-License-Identifier: Apache-2.0
// What an off-policy agent is asked when environments need actions, and what it writes.
#pragma once

#include <cstdint>
#include <optional>

#include "agents/action_code.h"
#include "agents/distributions/squashed_gaussian.h"
#include "agents/exploration_noise.h"
#include "kernels/philox.h"
#include "kernels/record.h"

namespace stampede {

enum class ActMode {
  kRandom,      // uniform, before learning starts
  kExplore,     // as in training: a sample of the policy, with noise where there is any
  kStochastic,  // a sample of the policy
  kGreedy,      // its mode
};

// Actions for environments [begin, end) at one row.
struct ActRequest {
  const void* obs;                // [N, D]
  std::uint32_t* records;         // [N, record words]
  const std::uint32_t* previous;  // [N, record words] of the row before; null when there is none
  int begin, end;
  std::uint64_t row;
  int worker;
  ActMode mode;
  // Draws of an evaluation come from its own seed, those of training from the agent's.
  std::optional<std::uint64_t> seed = {};
  // Where the ring keeps, for soft returns of several steps, the entropy of what acted or its estimate [N]; null when
  // they are not wanted.
  float* entropies = nullptr;
};

// The rows of a request as a kernel sees them.
struct ActRows {
  ActionCode code;
  RecordLayout record;
  std::uint32_t* records;
  const std::uint32_t* previous;
  int begin, rows;
  std::uint64_t seed, row;
  ActMode mode;
  float* entropies;

  HD std::uint32_t* record_of(int i) const {
    return records + static_cast<std::size_t>(i) * static_cast<std::size_t>(record.words);
  }
  HD bool ended_before(int i) const {
    if (previous == nullptr) return false;
    const std::uint32_t* const words = previous + static_cast<std::size_t>(i) * static_cast<std::size_t>(record.words);
    return (words[record.action_size + 1] & kEpisodeEnd) != 0;
  }
  HD void write_entropy(int i, float entropy) const {
    if (entropies != nullptr) entropies[i] = entropy;
  }
  // A uniform action of environment i. Entropies of continuous ones are per unit of coded action.
  HD void write_random(int i) const {
    Rng rng({seed, row, Purpose::kExploration}, static_cast<std::uint32_t>(i));
    std::uint32_t* const words = record_of(i);
    write_entropy(i, code.discrete ? log_of(static_cast<float>(code.size)) : kLogTwo * static_cast<float>(code.size));
    if (code.discrete) {
      words[0] = rng.below(static_cast<std::uint32_t>(code.size));
      return;
    }
    for (int j = 0; j < code.size; ++j) code.write_dimension(j, rng.uniform(-1.0f, 1.0f), words);
  }
};

inline ActRows act_rows(const ActRequest& request, const ActionCode& code, const RecordLayout& record,
                        std::uint64_t seed) {
  return {code,
          record,
          request.records,
          request.previous,
          request.begin,
          request.end - request.begin,
          request.seed.value_or(seed),
          request.row,
          request.mode,
          request.entropies};
}

}  // namespace stampede
