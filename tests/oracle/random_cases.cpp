// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/random_cases.h"

#include <utility>

#include "kernels/philox.h"

namespace stampede {
namespace {

// What both kinds of policy share; the old log-probability lies near the new one, so that some ratios are clipped.
PolicyCase common_case(std::size_t k, float log_prob) {
  PolicyCase row;
  const bool clips_value = k % 3 != 0;
  row.config = {0.2f, clips_value ? 0.3f : 0.0f, k % 2 ? 0.01f : 0.0f, 0.5f};
  row.value = 2.0f * random_value(21, k);
  row.sample = {log_prob + 0.6f * random_value(22, k), row.value + 0.8f * random_value(23, k),
                2.0f * random_value(24, k), row.value + 1.5f * random_value(25, k)};
  return row;
}

}  // namespace

float random_value(std::uint64_t seed, std::size_t i) {
  return 2.0f * uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

std::vector<float> random_values(std::uint64_t seed, std::size_t count, float scale) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = scale * random_value(seed, i);
  return values;
}

NetworkCase::NetworkCase(NetworkSpec network_spec, int row_count)
    : spec(std::move(network_spec)),
      rows(row_count),
      parameters(Device{}, spec.parameter_count()),
      features(Device{}, static_cast<std::size_t>(rows * spec.input_stride())),
      d_outputs(Device{}, static_cast<std::size_t>(rows * spec.output_stride())) {
  spec.initialize(3, parameters.data());
  for (const TensorLayout& t : spec.tensors()) {
    for (int r = 0; r < t.rows; ++r) {
      const std::size_t at = t.offset + static_cast<std::size_t>(r) * t.row_stride;
      parameters.data()[at] += 0.3f * random_value(11, at);
    }
  }
  for (int r = 0; r < rows; ++r) {
    const auto row = static_cast<std::size_t>(r);
    classes.push_back((r * 5 + 1) % spec.input_size());
    for (std::size_t c = 0; c < static_cast<std::size_t>(spec.input_size()) && !spec.one_hot(); ++c) {
      features.data()[row * static_cast<std::size_t>(spec.input_stride()) + c] = random_value(5, row * 1000 + c);
    }
    const auto fill = [&](int column, int size) {
      for (auto c = static_cast<std::size_t>(column); c < static_cast<std::size_t>(column + size); ++c) {
        d_outputs.data()[row * static_cast<std::size_t>(spec.output_stride()) + c] = random_value(6, row * 1000 + c);
      }
    };
    for (const HeadLayout& head : spec.heads()) fill(head.column, head.size);
    fill(spec.features().column, spec.features().size);
  }
}

NetworkInput NetworkCase::input() const {
  return spec.one_hot() ? NetworkInput{nullptr, classes.data()} : NetworkInput{features.data(), nullptr};
}

std::vector<PolicyCase> categorical_cases(int count, int actions) {
  std::vector<PolicyCase> cases;
  const auto n = static_cast<std::size_t>(actions);
  for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) {
    const std::vector<float> logits = random_values(100 + k, n, 3.0f);
    const std::size_t action = (k * 7 + 1) % n;
    PolicyCase row = common_case(k, logits[action] - log_sum_exp(logits.data(), actions));
    row.policy = logits;
    row.action = {static_cast<float>(action)};
    cases.push_back(row);
  }
  return cases;
}

std::vector<PolicyCase> gaussian_cases(int count, int dimensions) {
  std::vector<PolicyCase> cases;
  const auto n = static_cast<std::size_t>(dimensions);
  for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) {
    const std::vector<float> means = random_values(200 + k, n), sigma = random_values(300, n, 0.7f);
    const std::vector<float> noise = random_values(400 + k, n, 1.5f);
    std::vector<float> action(n);
    float log_prob = 0.0f;
    for (std::size_t j = 0; j < n; ++j) {
      action[j] = means[j] + exp_of(sigma[j]) * noise[j];
      log_prob += gaussian_log_prob(noise[j], sigma[j]);
    }
    PolicyCase row = common_case(k, log_prob);
    row.policy = means;
    row.log_sigma = sigma;
    row.action = action;
    cases.push_back(row);
  }
  return cases;
}

}  // namespace stampede
