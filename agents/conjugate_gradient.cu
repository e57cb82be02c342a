// SPDX-License-Identifier: Apache-2.0
#include "agents/conjugate_gradient.h"

#include "kernels/buffer.h"
#include "kernels/launch.h"
#include "kernels/math.h"
#include "kernels/reduce.h"

namespace stampede {
namespace {

struct StartOp {
  ConjugateGradientState* state;
  HD void operator()(int) const {
    const float squared = state->next_residual;
    *state = {0.0f, squared, squared, squared, 0.0f, 0.0f, squared > 0.0f ? 0 : 1, 0};
  }
};

// Decides alpha; a direction without positive curvature (or a NaN) ends the solution.
struct BeginStepOp {
  ConjugateGradientState* state;
  HD void operator()(int) const {
    if (!(state->curvature > 0.0f)) state->done = 1;
    state->alpha = state->done ? 0.0f : state->residual / state->curvature;
  }
};

struct MoveOp {
  const ConjugateGradientState* state;
  const float *direction, *product;
  float *solution, *residual;
  HD void operator()(int i) const {
    if (state->done) return;
    solution[i] = fused(state->alpha, direction[i], solution[i]);
    residual[i] = fused(-state->alpha, product[i], residual[i]);
  }
};

struct EndStepOp {
  ConjugateGradientState* state;
  float tolerance;
  HD void operator()(int) const {
    if (state->done) return;
    state->beta = state->next_residual / state->residual;
    state->residual = state->next_residual;
    state->steps += 1;
    if (!(state->residual > tolerance * state->first_residual)) state->done = 1;
  }
};

struct TurnOp {
  const ConjugateGradientState* state;
  const float* residual;
  float* direction;
  HD void operator()(int i) const { direction[i] = fused(state->beta, direction[i], residual[i]); }
};

}  // namespace

ConjugateGradient::ConjugateGradient(std::size_t count, Arena& arena)
    : solution_(arena.take<float>(count)),
      residual_(arena.take<float>(count)),
      direction_(arena.take<float>(count)),
      product_(arena.take<float>(count)),
      scratch_(arena.take<float>(reduce_scratch_size(count))),
      state_(arena.take<ConjugateGradientState>(1)) {}

void ConjugateGradient::start(const Stream& stream, const float* b) {
  const std::size_t bytes = solution_.size() * sizeof(float);
  fill_zero(stream, solution_.data, bytes);
  copy_on_device(stream, residual_.data, b, bytes);
  copy_on_device(stream, direction_.data, b, bytes);
  reduce_dot(stream, b, b, residual_.size(), scratch_.data, &state_.data->next_residual);
  for_each_index(stream, 1, StartOp{state_.data});
}

void ConjugateGradient::step(const Stream& stream, float tolerance) {
  const std::size_t size = solution_.size();
  const auto count = static_cast<int>(size);
  ConjugateGradientState* const state = state_.data;
  reduce_dot(stream, direction_.data, product_.data, size, scratch_.data, &state->curvature);
  for_each_index(stream, 1, BeginStepOp{state});
  for_each_index(stream, count, MoveOp{state, direction_.data, product_.data, solution_.data, residual_.data});
  reduce_dot(stream, residual_.data, residual_.data, size, scratch_.data, &state->next_residual);
  for_each_index(stream, 1, EndStepOp{state, tolerance});
  for_each_index(stream, count, TurnOp{state, residual_.data, direction_.data});
}

}  // namespace stampede
