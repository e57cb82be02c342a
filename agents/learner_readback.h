// SPDX-License-Identifier: Apache-2.0
// What most learners' metrics are made of, on its way to the host: sums over the updates since the last request, and
// the learner's state.
#pragma once

#include "kernels/buffer.h"
#include "kernels/optimizer.h"
#include "kernels/readback.h"

namespace stampede {

class LearnerReadback {
 public:
  // Asks for both; the sums are cleared behind their copy. Stream-ordered; waits for nothing.
  void request(const Stream& stream, View<double> sums, View<LearnerState> state) {
    sums_.request(stream, sums);
    state_.request(stream, state);
    fill_zero(stream, sums.data, sums.size() * sizeof(double));
  }
  // Of the latest request; they wait for its copies alone.
  std::span<const double> sums(const Stream& stream) const { return sums_.wait(stream); }
  LearnerState state(const Stream& stream) const { return state_.wait(stream)[0]; }

 private:
  Readback<double> sums_;
  Readback<LearnerState> state_;
};

}  // namespace stampede
