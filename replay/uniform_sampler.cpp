// SPDX-License-Identifier: Apache-2.0
#include "replay/uniform_sampler.h"

#include <string>

#include "kernels/error.h"

namespace stampede {

SampleWindow sample_window(const TrajectoryRing& ring) {
  const int rows = ring.stored_rows();
  return {ring.slot(ring.head() - rows), rows};
}

void check_n_step(const RingShape& shape, int n_step) {
  if (shape.rows >= n_step + 1) return;
  throw UsageError("a ring of " + std::to_string(static_cast<std::int64_t>(shape.rows) * shape.environments) +
                   " transitions for " + std::to_string(shape.environments) + " environments keeps " +
                   std::to_string(shape.rows) + " rows each, too few for n_step " + std::to_string(n_step) +
                   ": needs at least " + std::to_string(n_step + 1));
}

void check_batch(const RingShape& shape, int batch_size, int n_step) {
  const std::int64_t capacity = static_cast<std::int64_t>(shape.rows) * shape.environments;
  if (batch_size < 1 || batch_size > capacity) {
    throw UsageError("batch_size: a batch of " + std::to_string(batch_size) + " is larger than the ring of " +
                     std::to_string(capacity) + " transitions");
  }
  check_n_step(shape, n_step);
}

}  // namespace stampede
