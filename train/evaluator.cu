// SPDX-License-Identifier: Apache-2.0
#include "train/evaluator.h"

#include <algorithm>
#include <cmath>

#include "kernels/buffer.h"
#include "kernels/launch.h"
#include "train/env_blocks.h"

namespace stampede {
namespace {

// Steps between two looks at how many episodes still run.
constexpr int kCheckInterval = 16;

struct AccumulateOp {
  const std::uint32_t* records;
  RecordLayout record;
  float* returns;
  std::int32_t* lengths;
  std::int32_t* running;
  int begin;

  HD void operator()(int k) const {
    const int i = begin + k;
    if (!running[i]) return;
    const std::uint32_t* const r = records + static_cast<std::size_t>(i) * static_cast<std::size_t>(record.words);
    returns[i] += bits_float(r[record.action_size]);
    lengths[i] += 1;
    running[i] = (r[record.action_size + 1] & kEpisodeEnd) == 0;
  }
};

struct StartOp {
  float* returns;
  std::int32_t* lengths;
  std::int32_t* running;
  HD void operator()(int i) const {
    returns[i] = 0.0f;
    lengths[i] = 0;
    running[i] = 1;
  }
};

}  // namespace

Evaluator::Evaluator(const EnvEntry& entry, const EnvParameters& parameters, int episodes, Arena& arena)
    : env_(entry.make(parameters, episodes, 0, 0, arena)) {
  const auto m = static_cast<std::size_t>(episodes);
  obs_ = arena.take<std::uint32_t>(2 * m * static_cast<std::size_t>(env_->obs_size()));
  records_ = arena.take<std::uint32_t>(m * static_cast<std::size_t>(env_->record_layout().words));
  returns_ = arena.take<float>(m);
  lengths_ = arena.take<std::int32_t>(m);
  running_ = arena.take<std::int32_t>(m);
}

int Evaluator::play(const Stream& stream, int begin, int end, int worker, std::uint64_t seed,
                    const EvaluationPolicy& policy) {
  const int limit = evaluation_horizon(env_->spec());
  const auto half = static_cast<std::size_t>(env_->size()) * static_cast<std::size_t>(env_->obs_size());
  std::vector<std::int32_t> running(static_cast<std::size_t>(end - begin));
  int step = 0;
  for (; step < limit; ++step) {
    std::uint32_t* const now = obs_.data + static_cast<std::size_t>(step & 1) * half;
    std::uint32_t* const next = obs_.data + static_cast<std::size_t>((step + 1) & 1) * half;
    const auto row = static_cast<std::uint64_t>(step);
    policy(stream, {now, records_.data, begin, end, row, worker, seed});
    env_->step(stream, begin, end, {records_.data, next, row});
    for_each_index(
        stream, end - begin,
        AccumulateOp{records_.data, env_->record_layout(), returns_.data, lengths_.data, running_.data, begin});
    if (step % kCheckInterval != kCheckInterval - 1) continue;
    copy_to_host(stream, running.data(), running_.data + begin, running.size() * sizeof(std::int32_t));
    if (std::find(running.begin(), running.end(), 1) == running.end()) break;
  }
  return step;
}

EvaluationResult Evaluator::run(const Stream& stream, std::uint64_t seed, const EvaluationPolicy& policy) {
  env_->set_seed(seed);
  env_->reset(stream, obs_.data);
  for_each_index(stream, env_->size(), StartOp{returns_.data, lengths_.data, running_.data});
  for_each_env_block(stream, env_->size(), [&](int begin, int end, int worker, const Stream& serial) {
    play(serial, begin, end, worker, seed, policy);
  });
  const std::vector<float> returns = to_host(stream, returns_);
  const std::vector<std::int32_t> lengths = to_host(stream, lengths_);
  env_->episodes().request(stream);  // forgets them: nobody takes them
  EvaluationResult result;
  result.episodes = env_->size();
  double squares = 0.0;
  for (std::size_t i = 0; i < returns.size(); ++i) {
    result.return_mean += static_cast<double>(returns[i]);
    squares += static_cast<double>(returns[i]) * static_cast<double>(returns[i]);
    result.length_mean += lengths[i];
  }
  const double n = result.episodes;
  result.return_mean /= n;
  result.length_mean /= n;
  result.return_std = std::sqrt(std::max(0.0, squares / n - result.return_mean * result.return_mean));
  return result;
}

}  // namespace stampede
