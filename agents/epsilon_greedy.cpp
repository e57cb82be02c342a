// SPDX-License-Identifier: Apache-2.0
#include "agents/epsilon_greedy.h"

#include <numeric>
#include <string>
#include <utility>

#include "kernels/error.h"

namespace stampede {

void FinalEpsilons::check(std::span<const double> values, std::span<const double> shares) {
  if (shares.empty()) return;
  if (shares.size() != values.size()) {
    throw UsageError("epsilon_shares: " + std::to_string(shares.size()) + " shares for " +
                     std::to_string(values.size()) + " values of epsilon_ends");
  }
  if (std::accumulate(shares.begin(), shares.end(), 0.0) <= 0.0) {
    throw UsageError("epsilon_shares: needs at least one share above 0");
  }
}

FinalEpsilons::FinalEpsilons(std::vector<double> values, std::vector<double> shares, int environments, Arena& arena)
    : values_(std::move(values)), shares_(std::move(shares)) {
  if (values_.empty()) return;
  if (shares_.empty()) shares_.assign(values_.size(), 1.0);
  chosen_ = arena.take<float>(static_cast<std::size_t>(environments));
}

void FinalEpsilons::initialize(const Stream& stream, std::uint64_t seed) {
  if (values_.empty()) return;
  const double total = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  const RandomKey key{seed, 0, Purpose::kFinalEpsilon};
  std::vector<float> host(chosen_.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    double left = static_cast<double>(uniform_float(key.lane_word(static_cast<std::uint32_t>(i)))) * total;
    std::size_t k = 0;
    while (k + 1 < values_.size() && left >= shares_[k]) left -= shares_[k++];
    host[i] = static_cast<float>(values_[k]);
  }
  copy_to_device(stream, chosen_.data, host.data(), host.size() * sizeof(float));
}

}  // namespace stampede
