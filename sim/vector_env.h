// SPDX-License-Identifier: Apache-2.0
// A batch of equal environments behind one virtual call per batch, whatever their type.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/arena.h"
#include "kernels/record.h"
#include "kernels/stream.h"
#include "sim/environment.h"
#include "sim/episode_recorder.h"

namespace stampede {

// Autoreset is NEXT_STEP: the row after an episode's end ignores the action, stores the reset observation, reward 0 and
// no kValid flag. Environment i draws from Philox counters (first + i, row), so results depend on neither batch size,
// block nor thread count.
class VectorEnv {
 public:
  virtual ~VectorEnv() = default;

  const EnvSpec& spec() const { return spec_; }
  int size() const { return size_; }
  ObsType obs_type() const { return spec_.observation.is_discrete() ? ObsType::kInt32 : ObsType::kFloat32; }
  int obs_size() const { return spec_.observation.is_discrete() ? 1 : spec_.observation.size; }
  RecordLayout record_layout() const { return RecordLayout::for_action_size(spec_.action.size); }

  // The seed of everything the batch draws from now on; the constructor's until then.
  virtual void set_seed(std::uint64_t seed) = 0;
  // Starts every environment anew and writes the observations of row 0: obs [N, D]. Stream-ordered.
  virtual void reset(const Stream& stream, void* obs) = 0;
  // Steps environments [begin, end), begin a multiple of kEpisodeSegment. Pointers in `row` are those of environment 0.
  // Safe to call for disjoint ranges from several threads. Stream-ordered.
  virtual void step(const Stream& stream, int begin, int end, const StepRow& row) = 0;

  // One environment's state variables in the order of its state fields, and the steps its episode has taken.
  virtual std::vector<double> state(const Stream& stream, int index) const = 0;
  virtual int elapsed(const Stream& stream, int index) const = 0;
  // Injects a state and writes its observation [D]. Throws UsageError for a wrong count, a non-finite or out-of-range
  // value, or elapsed outside [0, time limit).
  virtual void set_state(const Stream& stream, int index, std::span<const double> values, int elapsed, void* obs) = 0;

  // Everything a checkpoint must keep to continue bit for bit.
  virtual View<std::byte> checkpoint_bytes() const = 0;
  EpisodeRecorder& episodes() { return episodes_; }

 protected:
  VectorEnv(const EnvSpec& spec, int size, Arena& arena) : spec_(spec), size_(size), episodes_(size, arena) {}

 private:
  EnvSpec spec_;
  int size_;
  EpisodeRecorder episodes_;
};

}  // namespace stampede
