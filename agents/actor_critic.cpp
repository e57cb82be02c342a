// SPDX-License-Identifier: Apache-2.0
#include "agents/actor_critic.h"

#include <cmath>
#include <utility>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/device_limits.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace stampede {
namespace {

constexpr std::int64_t kMonitorRows = 1024;
constexpr int kFewRows = 32;  // of a product that costs more than its share of a large one
constexpr float kValueGain = 1.0f;
constexpr float kPolicyGain = 0.01f;  // small, so that the first policy is close to uniform

int policy_outputs(const ActorCriticConfig& config, const Space& action) {
  if (action.is_discrete()) return action.count;
  if (config.continuous == ContinuousPolicy::kGaussian) return action.size;
  return action.size * (config.continuous == ContinuousPolicy::kMultiCategorical ? config.action_bins : 2);
}

int tower_of(const NetworkSpec& spec, const char* head) {
  return spec.layers()[static_cast<std::size_t>(spec.head(head).layer)].tower;
}

}  // namespace

NetworkSpec ActorCritic::network_spec(const ActorCriticConfig& config, const Space& observation, const Space& action) {
  const HeadSpec policy{"policy", policy_outputs(config, action), kPolicyGain};
  const HeadSpec value{"value", 1, kValueGain};
  std::vector<TowerSpec> towers;
  if (config.shared_torso) {
    towers = {config.network.tower("torso", {policy, value})};
  } else {
    towers = {config.network.tower("actor", {policy}), config.network.tower("critic", {value})};
  }
  towers[0].features = config.state_noise.enabled;
  std::vector<VectorSpec> vectors;
  if (config.state_noise.enabled) {
    vectors = {StateNoise::parameters(config.network, action, config.initial_log_sigma)};
  } else if (!action.is_discrete() && config.continuous == ContinuousPolicy::kGaussian) {
    vectors = {{"log_sigma", action.size, config.initial_log_sigma}};
  }
  const bool one_hot = observation.is_discrete();
  return NetworkSpec(one_hot ? observation.count : observation.size, one_hot, std::move(towers), std::move(vectors),
                     config.network.initialization);
}

void ActorCritic::check(const ActorCriticConfig& config, const Space& action) {
  if (config.continuous == ContinuousPolicy::kGaussian) return;
  if (config.state_noise.enabled) {
    throw UsageError("sde: its noise is gaussian and not squashed; leave distribution at gaussian");
  }
  if (action.is_discrete())
    throw UsageError("distribution: discrete actions are always categorical; leave it at gaussian");
  if (config.continuous == ContinuousPolicy::kStateGaussian) return;
  for (int k = 0; k < action.size; ++k) {
    if (std::isfinite(action.low[k]) && std::isfinite(action.high[k])) continue;
    throw UsageError("distribution: only gaussian and state_gaussian fit actions without bounds");
  }
}

ActorCritic::ActorCritic(const ActorCriticConfig& config, const Space& action, std::shared_ptr<const Network> network,
                         const ActorCriticShape& shape, std::uint64_t seed, const Stream& stream, Arena& arena)
    : action_(action),
      ring_(shape.ring),
      seed_(seed),
      max_groups_(gradient_groups(stream, *network, shape.batch_rows)),
      tile_rows_(tile_rows(stream, *network, shape.batch_rows)),
      network_(std::move(network), config.optimizer, max_groups_, arena),
      policy_tower_(tower_of(network_.spec(), "policy")),
      value_tower_(tower_of(network_.spec(), "value")),
      observations_(config.normalize_observations, shape.ring, arena),
      rewards_(config.normalize_rewards, shape.ring.environments, arena) {
  const NetworkSpec& spec = network_.spec();
  layout_ = {action,  spec.output_stride(), spec.head("policy").column, spec.head("value").column,
             nullptr, config.continuous,    config.initial_log_sigma,   config.action_bins};
  if (layout_.has_log_sigma_vector()) layout_.log_sigma = network_.parameters() + spec.vector_offset("log_sigma");
  if (config.state_noise.enabled) state_noise_.emplace(config.state_noise, spec, action.size);
  for (int w = 0; w < shape.workers; ++w) {
    act_scratch_.push_back(take_scratch(shape.act_rows, false, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, true, arena));
  }
  monitor_ratios_ = arena.take<float>(
      static_cast<std::size_t>(std::min<std::int64_t>(kMonitorRows, std::int64_t{ring_.rows} * ring_.environments)));
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(max_groups_ * PolicyRowMetrics::kSize));
  metric_totals_ = arena.take<double>(PolicyRowMetrics::kSize);
  make_fused(config, shape.updates, stream, arena);
}

void ActorCritic::make_fused(const ActorCriticConfig& config, int updates, const Stream& stream, Arena& arena) {
  if (updates == 0) return;
  const DeviceLimits limits = device_limits(stream.device());
  const auto fits = [&](Precision precision) {
    return stream.is_cuda() && FusedPolicyUpdate::fits(network_.spec(), layout_, precision) &&
           limits.holds_block(FusedPolicyUpdate::block_bytes(network_.spec(), precision));
  };
  const bool low = config.precision == Precision::kBf16 && fits(Precision::kBf16);
  const bool possible = low || fits(Precision::kFp32);
  if (config.fused == FusedUse::kAlways && !possible) {
    throw UsageError(
        "fused: needs device=cuda, hidden layers of 64,64 or 128,128 without layer_norm, at most 8 observations and "
        "outputs, discrete or gaussian actions without sde, and a GPU with the shared memory; leave it at auto");
  }
  if (config.fused == FusedUse::kNever || !possible) return;
  fused_.emplace(network_, layout_, observations_, metric_totals_, updates, low ? Precision::kBf16 : Precision::kFp32,
                 arena);
}

ActorCritic::Scratch ActorCritic::take_scratch(int rows, bool gradient, Arena& arena) const {
  const NetworkSpec& spec = network_.spec();
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t outputs = n * static_cast<std::size_t>(spec.output_stride());
  Scratch scratch;
  scratch.inputs = InputRows::take(spec, rows, arena);
  scratch.workspace = arena.take<float>(network_.network().workspace_size(rows, gradient)).data;
  scratch.outputs = arena.take<float>(outputs).data;
  if (state_noise_ && !gradient) scratch.state_noise = state_noise_->take_acting(rows, arena);
  if (!gradient) return scratch;
  scratch.d_outputs = arena.take<float>(outputs).data;
  if (state_noise_) {
    scratch.state_noise = state_noise_->take_learning(rows, arena);
    scratch.d_log_sigma = scratch.state_noise.d_log_sigma;
  } else if (layout_.has_log_sigma_vector()) {
    scratch.d_log_sigma = arena.take<float>(n * 16).data;
  }
  scratch.metrics = arena.take<float>(n * PolicyRowMetrics::kSize).data;
  return scratch;
}

void ActorCritic::initialize(const Stream& stream) {
  network_.initialize(stream, seed_);
  observations_.initialize(stream);
  rewards_.initialize(stream);
}

void ActorCritic::refresh(const Stream& stream) {
  network_.refresh(stream);
  observations_.refresh(stream);
  rewards_.refresh(stream);
}

LogSigmas ActorCritic::log_sigmas(const Scratch& scratch) const {
  return state_noise_ ? scratch.state_noise.log_sigmas() : LogSigmas{layout_.log_sigma, 0};
}

PolicyRows ActorCritic::policy_rows(const ActRequest& request, const Scratch& scratch) const {
  return {
      scratch.outputs, log_sigmas(scratch), request.mode == ActionMode::kSample ? scratch.state_noise.noise : nullptr,
      request.records, request.extra,       ring_.extra_size,
      ring_.record,    request.begin,       request.end - request.begin};
}

void ActorCritic::infer(const Stream& stream, const ActRequest& request, std::optional<int> tower,
                        const Scratch& scratch) const {
  const int rows = request.end - request.begin;
  const Network& network = network_.network();
  prepare_inputs(stream, network_.spec(), observations_, request.obs, request.begin, rows, scratch.inputs);
  if (tower) {
    network.forward_tower(stream, network_.parameters(), scratch.inputs.input(), rows, *tower, scratch.workspace,
                          scratch.outputs);
  } else {
    network.forward(stream, network_.parameters(), scratch.inputs.input(), rows, false, scratch.workspace,
                    scratch.outputs);
  }
}

void ActorCritic::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  const std::uint64_t seed = request.seed.value_or(seed_);
  const bool values = request.extra != nullptr && !request.values_follow;
  infer(stream, request, values ? std::nullopt : std::optional(policy_tower_), scratch);
  if (state_noise_) {
    const int rows = request.end - request.begin;
    state_noise_->measure(stream, network_.parameters(), scratch.outputs, rows, scratch.state_noise);
    if (request.mode == ActionMode::kSample) {
      state_noise_->draw(stream, scratch.outputs, request.begin, rows, seed, request.row, scratch.state_noise);
    }
  }
  choose_actions(stream, layout_, policy_rows(request, scratch), {seed, request.row, Purpose::kAction}, request.mode);
}

void ActorCritic::evaluate_head(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, value_tower_, scratch);
  store_values(stream, layout_, policy_rows(request, scratch));
}

bool ActorCritic::evaluates_later(const Stream& stream, int rows) const {
  const bool rows_apart = network_.network().preferred_rows(stream) > 0;
  return rows_apart && policy_tower_ != value_tower_ && rows < kFewRows && tile_rows_ > rows;
}

void ActorCritic::evaluate_rollout(const Stream& stream, const RingView& ring) const {
  const int rows = (ring.shape.rows + 1) * ring.shape.environments;
  const int groups = gradient_groups(stream, network_.network(), rows);
  for_each_group(stream, rows, groups, [&](int /*group*/, int begin, int end, int worker, const Stream& serial) {
    const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
    for (int first = begin; first < end; first += tile_rows_) {
      const int last = std::min(first + tile_rows_, end);
      const ActRequest tile{ring.obs, nullptr, ring.extra, first, last, 0, worker, ActionMode::kGreedy};
      infer(serial, tile, value_tower_, scratch);
      store_values(serial, layout_, policy_rows(tile, scratch));
    }
  });
}

void ActorCritic::begin_update(const Stream& stream, const RingView& ring, float gamma) {
  if (fused_) {
    fused_->begin();
  } else {
    fill_zero(stream, &network_.state()->stop, sizeof(LearnerState::stop));
  }
  rewards_.update(stream, ring, gamma);
}

void ActorCritic::reevaluate(const Stream& stream, const RingView& ring, float* ratios) const {
  reevaluate_all(stream, ring, ratios, ReevaluatedRows::Store::kValue);
}

void ActorCritic::restate(const Stream& stream, const RingView& ring) const {
  reevaluate_all(stream, ring, nullptr, ReevaluatedRows::Store::kLogProbAndValue);
}

void ActorCritic::reevaluate_all(const Stream& stream, const RingView& ring, float* ratios,
                                 ReevaluatedRows::Store store) const {
  const int rows = (ring.shape.rows + 1) * ring.shape.environments;
  const int groups = gradient_groups(stream, network_.network(), rows);
  for_each_group(stream, rows, groups, [&](int /*group*/, int begin, int end, int worker, const Stream& serial) {
    reevaluate_tiles(serial, ring, begin, end, worker, ratios, store);
  });
}

void ActorCritic::reevaluate_tiles(const Stream& stream, const RingView& ring, int begin, int end, int worker,
                                   float* ratios, ReevaluatedRows::Store store) const {
  for (int first = begin; first < end; first += tile_rows_) {
    const int count = std::min(tile_rows_, end - first);
    const PolicyTile tile = forward(stream, ring.obs, first, count, worker);
    reevaluate_rows(stream, layout_, {tile.outputs, tile.log_sigma, ring, ratios, first, count, store});
  }
}

void ActorCritic::request_drift(const Stream& stream, const RingView& ring) {
  const std::size_t rows = monitor_ratios_.size(), words = static_cast<std::size_t>(ring.shape.record.words);
  reevaluate_tiles(stream, ring, 0, static_cast<int>(rows), 0, monitor_ratios_.data, ReevaluatedRows::Store::kNothing);
  ratios_readback_.request(stream, monitor_ratios_);
  records_readback_.request(stream, View<const std::uint32_t>{ring.records, {rows * words}});
}

PolicyDrift ActorCritic::take_drift(const Stream& stream) const {
  const std::span<const float> ratios = ratios_readback_.wait(stream);
  const std::span<const std::uint32_t> records = records_readback_.wait(stream);
  const auto words = static_cast<std::size_t>(ring_.record.words);
  const auto flags = static_cast<std::size_t>(ring_.record.action_size) + 1;
  PolicyDrift drift;
  for (std::size_t r = 0; r < ratios.size(); ++r) {
    if (!(records[r * words + flags] & kValid)) continue;
    drift.kl += static_cast<double>((ratios[r] - 1.0f) - log_of(ratios[r]));
    drift.clip_fraction += static_cast<double>(outside_interval(ratios[r], kReportedClip));
    drift.rows += 1.0;
  }
  drift.kl /= std::max(1.0, drift.rows);
  drift.clip_fraction /= std::max(1.0, drift.rows);
  return drift;
}

PolicyTile ActorCritic::forward(const Stream& stream, const void* obs, int begin, int rows, int worker) const {
  const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
  prepare_inputs(stream, network_.spec(), observations_, obs, begin, rows, scratch.inputs);
  network_.network().forward(stream, network_.parameters(), scratch.inputs.input(), rows, true, scratch.workspace,
                             scratch.outputs);
  if (state_noise_) {
    state_noise_->measure(stream, network_.parameters(), scratch.outputs, rows, scratch.state_noise);
  }
  return {scratch.outputs, log_sigmas(scratch), scratch.d_outputs, scratch.d_log_sigma, scratch.metrics, begin, rows};
}

void ActorCritic::backward(const Stream& stream, const PolicyTile& tile, int group, int worker) {
  const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
  float* const gradients = network_.gradients(group);
  if (state_noise_) {
    state_noise_->backward(stream, tile.outputs, tile.rows, scratch.state_noise, tile.d_outputs, gradients);
  }
  network_.network().backward(stream, network_.parameters(), network_.prepared(), scratch.inputs.input(), tile.rows,
                              tile.d_outputs, scratch.workspace, gradients, nullptr);
  if (layout_.has_log_sigma_vector() && !state_noise_) {
    // A free vector of parameters is a bias without inputs. What backward() has read of the tile is scratch now.
    linear_backward_weights(
        stream, {nullptr, 0, tile.d_log_sigma, 16, nullptr, gradients + network_.spec().vector_offset("log_sigma"),
                 tile.rows, 0, 16, 0, tile.d_outputs});
  }
  add_row_metrics(stream, tile.metrics, tile.rows, PolicyRowMetrics::kSize,
                  group_metrics_.data + group * PolicyRowMetrics::kSize);
}

void ActorCritic::collect_metrics(const Stream& stream, int groups, float target_kl) {
  last_groups_ = groups;
  finish_minibatch_metrics(stream, {group_metrics_.data, metric_totals_.data, groups}, target_kl, network_.state());
}

void ActorCritic::update(const Stream& stream, int groups, float target_kl, float learning_rate) {
  collect_metrics(stream, groups, target_kl);
  network_.update(stream, groups, learning_rate);
}

void ActorCritic::request_metrics(const Stream& stream) {
  readback_.request(stream, metric_totals_, network_.state_block());
  // An update leaves the sum over groups in the first one; a stopped update leaves the groups as they are. CUDA has
  // one.
  const bool summed = stream.is_cuda() || !(network_.state()->stop || network_.state()->failed);
  gradients_readback_.request(stream, network_.gradient_block(summed ? 1 : last_groups_));
}

PolicyMetrics ActorCritic::take_metrics(const Stream& stream) const {
  PolicyMetrics metrics = policy_metrics(readback_.sums(stream), readback_.state(stream));
  measure_gradient_parts(network_.spec(), gradients_readback_.wait(stream), metrics);
  return metrics;
}

}  // namespace stampede
