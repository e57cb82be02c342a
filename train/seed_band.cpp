// SPDX-License-Identifier: Apache-2.0
#include "train/seed_band.h"

#include <algorithm>
#include <cstdint>

#include "kernels/philox.h"

namespace stampede {
namespace {

constexpr std::uint32_t kResamples = 2000;

struct Interval {
  double low, high;
};

Interval interval_of_mean(const std::vector<double>& values, std::uint64_t point) {
  const auto count = static_cast<std::uint32_t>(values.size());
  std::vector<double> means;
  for (std::uint32_t resample = 0; resample < kResamples; ++resample) {
    Rng rng({0, point, Purpose::kPermutation}, resample);
    double sum = 0.0;
    for (std::uint32_t k = 0; k < count; ++k) sum += values[rng.below(count)];
    means.push_back(sum / count);
  }
  std::sort(means.begin(), means.end());
  return {means[kResamples / 40], means[kResamples - 1 - kResamples / 40]};
}

}  // namespace

SeedBand band_of_seeds(const std::vector<Curve>& curves) {
  std::size_t points = curves.front().x.size();
  for (const Curve& curve : curves) points = std::min(points, curve.x.size());
  SeedBand band;
  for (std::size_t p = 0; p < points; ++p) {
    std::vector<double> values;
    double x = 0.0, sum = 0.0;
    for (const Curve& curve : curves) {
      values.push_back(curve.y[p]);
      x += curve.x[p];
      sum += curve.y[p];
    }
    const auto count = static_cast<double>(curves.size());
    const Interval interval = interval_of_mean(values, p);
    band.x.push_back(x / count);
    band.mean.push_back(sum / count);
    band.low.push_back(interval.low);
    band.high.push_back(interval.high);
  }
  return band;
}

}  // namespace stampede
