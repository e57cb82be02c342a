// SPDX-License-Identifier: Apache-2.0
// A trust region with a batch and a double-precision reference of its own.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "agents/trust_region.h"

namespace stampede {

// A batch of random observations, actions of the policy's own distribution and random advantages, for a trust region
// around a small network. Every fifth row is invalid.
class TrustRegionRig {
 public:
  TrustRegionRig(bool discrete, int rows, TrustRegionConfig config = {}, int threads = 1)
      : rows_(rows),
        stream_(Stream::cpu(threads)),
        arena_(Device{}),
        action_(discrete ? Space::discrete(3) : Space::box(kLow, kHigh)) {
    make(config);
    arena_.allocate("test");
    make(config);
    observations_->initialize(stream_);
    float* const theta = region_->parameters().data;
    spec().initialize(3, theta);
    for (const TensorLayout& t : spec().tensors()) {  // no zero biases, no tiny heads
      for_each_element(t, [&](std::size_t i) { theta[i] += 0.4f * random_value(11, i); });
    }
    fill_batch();
  }

  static float random_value(std::uint64_t seed, std::size_t i) {
    return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
  }
  const NetworkSpec& spec() const { return region_->policy().spec(); }
  TrustRegion& region() { return *region_; }
  const Stream& stream() const { return stream_; }
  std::vector<float> theta() const {
    return {region_->parameters().data, region_->parameters().data + region_->parameters().size()};
  }
  void begin(float entropy_weight = 0.0f) {
    measure_minibatch(stream_, batch_, rows_, AdvantageScaling::kNormalize, parts_.data, moments_.data);
    region_->begin(stream_, *observations_, batch_.obs, batch_, moments_.data, entropy_weight);
  }
  LineSearchState improve(float max_kl) {
    region_->improve(stream_, max_kl, &learner);
    return *region_->state();
  }

  template <class F>
  static void for_each_element(const TensorLayout& t, const F& f) {
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < std::max(t.columns, 1); ++c) {
        f(t.offset + static_cast<std::size_t>(r) * t.row_stride + static_cast<std::size_t>(c) * t.column_stride);
      }
    }
  }
  std::vector<double> random_direction(std::uint64_t seed) const {
    std::vector<double> v(spec().parameter_count());
    for (const TensorLayout& t : spec().tensors()) {
      for_each_element(t, [&](std::size_t i) { v[i] = static_cast<double>(random_value(seed, i)); });
    }
    return v;
  }

  // In double: the mean over valid rows of the surrogate's ratio times the normalised advantage, and of KL(old || new).
  struct Measured {
    double surrogate = 0.0, kl = 0.0;
  };
  Measured measure(const std::vector<double>& old_theta, const std::vector<double>& theta) const {
    Measured sum;
    double count = 0.0;
    const MinibatchMoments& m = *moments_.data;
    for (int r = 0; r < rows_; ++r) {
      if (!batch_.valid[r]) continue;
      const std::vector<double> p = outputs(old_theta, r), q = outputs(theta, r);
      const double advantage = static_cast<double>((batch_.advantage[r] - m.advantage_mean) * m.advantage_inverse);
      sum.kl += kl(old_theta, p, theta, q);
      sum.surrogate += advantage * std::exp(log_prob(theta, q, r) - static_cast<double>(batch_.old_log_prob[r]));
      count += 1.0;
    }
    return {sum.surrogate / count, sum.kl / count};
  }
  static std::vector<double> moved(const std::vector<double>& from, const std::vector<double>& v, double step) {
    std::vector<double> to = from;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += step * v[i];
    return to;
  }
  std::vector<double> theta_in_double() const {
    const std::vector<float> f = theta();
    return {f.begin(), f.end()};
  }

  LearnerState learner;
  RolloutBatch batch_;

 private:
  static constexpr float kLow[2] = {-1.0f, -1.0f}, kHigh[2] = {1.0f, 1.0f};

  void make(const TrustRegionConfig& config) {
    std::vector<VectorSpec> vectors;
    if (!action_.is_discrete()) vectors = {{"log_sigma", 2, -0.3f}};
    auto network = std::make_shared<MlpNetwork>(NetworkSpec(
        3, false, {{"actor", {8, 5}, Activation::kTanh, {{"policy", action_.is_discrete() ? 3 : 2, 1.0f}}}}, vectors));
    const RingShape shape{rows_, 1, 3, ObsType::kFloat32, RecordLayout::for_action_size(action_.size), 8};
    observations_ = std::make_unique<ObservationNormalizer>(false, shape, arena_);
    region_ = std::make_unique<TrustRegion>(config, action_, network, rows_, stream_, arena_);
    batch_ = RolloutBatch::take(shape, action_, rows_, arena_);
    parts_ = arena_.take<MomentPart>(kMomentParts);
    moments_ = arena_.take<MinibatchMoments>(1);
  }

  void fill_batch() {
    const std::vector<double> now = theta_in_double();
    for (int r = 0; r < rows_; ++r) {
      const auto i = static_cast<std::size_t>(r);
      for (std::size_t d = 0; d < 3; ++d) batch_.obs[i * 3 + d] = float_bits(2.0f * random_value(5, i * 3 + d));
      batch_.valid[r] = r % 5 != 4;
      batch_.advantage[r] = batch_.valid[r] ? random_value(7, i) + 0.2f : 1e6f;
      const std::vector<double> y = outputs(now, r);
      if (action_.is_discrete()) {
        batch_.action[r] = static_cast<std::int32_t>((r * 7) % 3);
      } else {
        for (int j = 0; j < 2; ++j) {
          batch_.raw_action[j * batch_.stride + r] =
              static_cast<float>(y[static_cast<std::size_t>(j)]) + random_value(9, i * 2 + static_cast<std::size_t>(j));
        }
      }
      batch_.old_log_prob[r] = static_cast<float>(log_prob(now, y, r));
    }
  }

  std::vector<double> outputs(const std::vector<double>& theta, int row) const {
    std::vector<double> x;
    for (std::size_t d = 0; d < 3; ++d) {
      x.push_back(static_cast<double>(bits_float(batch_.obs[static_cast<std::size_t>(row) * 3 + d])));
    }
    for (const LayerLayout& layer : spec().layers()) {
      std::vector<double> y(static_cast<std::size_t>(layer.out));
      for (std::size_t o = 0; o < y.size(); ++o) {
        y[o] = theta[layer.bias + o];
        for (std::size_t k = 0; k < x.size(); ++k) {
          y[o] += x[k] * theta[layer.weight + k * static_cast<std::size_t>(layer.out_stride) + o];
        }
        if (layer.activation == Activation::kTanh) y[o] = std::tanh(y[o]);
      }
      x = y;
    }
    return x;
  }
  static std::vector<double> log_softmax(std::vector<double> x) {
    double sum = 0.0;
    for (const double value : x) sum += std::exp(value);
    for (double& value : x) value -= std::log(sum);
    return x;
  }
  double log_sigma(const std::vector<double>& theta, std::size_t j) const {
    return theta[spec().vector_offset("log_sigma") + j];
  }
  double log_prob(const std::vector<double>& theta, const std::vector<double>& y, int row) const {
    if (action_.is_discrete()) return log_softmax(y)[static_cast<std::size_t>(batch_.action[row])];
    double sum = 0.0;
    for (std::size_t j = 0; j < 2; ++j) {
      const double a = static_cast<double>(batch_.raw_action[static_cast<int>(j) * batch_.stride + row]);
      const double z = (a - y[j]) / std::exp(log_sigma(theta, j));
      sum += -0.5 * z * z - log_sigma(theta, j) - 0.5 * std::log(2.0 * 3.14159265358979323846);
    }
    return sum;
  }
  double kl(const std::vector<double>& old_theta, const std::vector<double>& old_y, const std::vector<double>& theta,
            const std::vector<double>& y) const {
    double sum = 0.0;
    if (action_.is_discrete()) {
      const std::vector<double> p = log_softmax(old_y), q = log_softmax(y);
      for (std::size_t j = 0; j < p.size(); ++j) sum += std::exp(p[j]) * (p[j] - q[j]);
      return sum;
    }
    for (std::size_t j = 0; j < 2; ++j) {
      const double s0 = std::exp(log_sigma(old_theta, j)), s1 = std::exp(log_sigma(theta, j));
      sum += std::log(s1 / s0) + (s0 * s0 + (old_y[j] - y[j]) * (old_y[j] - y[j])) / (2.0 * s1 * s1) - 0.5;
    }
    return sum;
  }

  int rows_;
  Stream stream_;
  Arena arena_;
  Space action_;
  std::unique_ptr<ObservationNormalizer> observations_;
  std::unique_ptr<TrustRegion> region_;
  View<MomentPart> parts_;
  View<MinibatchMoments> moments_;
};

}  // namespace stampede
