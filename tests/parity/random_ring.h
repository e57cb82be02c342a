// SPDX-License-Identifier: Apache-2.0
// Made-up transitions on the device of a stream.
#pragma once

#include <memory>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/philox.h"
#include "replay/trajectory_ring.h"

namespace stampede {

inline float noise(std::size_t i, std::uint32_t salt) {
  return uniform_float(RandomKey{salt, i, Purpose::kAction}.lane_word(0)) * 4.0f - 2.0f;
}

inline std::vector<float> noise_block(std::size_t count, std::uint32_t salt) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = noise(i, salt);
  return values;
}

// A ring on a stream's device, full of random steps, episode ends and reset rows.
class RandomRing {
 public:
  RandomRing(const Stream& stream, const RingShape& shape) : stream_(stream), arena_(stream.device()) {
    TrajectoryRing measured(shape, arena_);
    arena_.allocate("test ring");
    ring_ = std::make_unique<TrajectoryRing>(shape, arena_);
    fill();
    ring_->advance(shape.rows);
  }

  const TrajectoryRing& ring() const { return *ring_; }
  const RingView& view() const { return ring_->view(); }
  std::vector<float> extra() const { return to_host(stream_, ring_->extra_values()); }

 private:
  void fill() {
    const RingShape& shape = ring_->shape();
    const auto rows = static_cast<std::size_t>(shape.rows + 1) * static_cast<std::size_t>(shape.environments);
    const auto words = static_cast<std::size_t>(shape.record.words);
    std::vector<std::uint32_t> records(rows * words);
    std::vector<bool> ended(static_cast<std::size_t>(shape.environments));
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t environment = row % ended.size();
      const std::uint32_t draw = RandomKey{3, row, Purpose::kEnvironmentStep}.lane_word(0) % 8;
      const std::uint32_t end = draw < 2 ? draw + 1 : 0;
      std::uint32_t* const record = records.data() + row * words;
      for (int a = 0; a < shape.record.action_size; ++a) record[a] = draw & 1;
      record[shape.record.action_size] = ended[environment] ? 0u : float_bits(noise(row, 1));
      record[shape.record.action_size + 1] = ended[environment] ? 0u : end | kValid;
      ended[environment] = !ended[environment] && end != 0;
    }
    copy_to_device(stream_, ring_->record_words().data, records.data(), records.size() * sizeof(records[0]));
    const auto obs = noise_block(rows * static_cast<std::size_t>(shape.obs_size), 2);
    copy_to_device(stream_, ring_->obs_bytes().data, obs.data(), obs.size() * sizeof(float));
    const auto extra = noise_block(ring_->extra_values().size(), 4);
    copy_to_device(stream_, ring_->extra_values().data, extra.data(), extra.size() * sizeof(float));
  }

  Stream stream_;
  Arena arena_;
  std::unique_ptr<TrajectoryRing> ring_;
};

}  // namespace stampede
