// SPDX-License-Identifier: Apache-2.0
#include "kernels/nearest_match.h"

#include <algorithm>
#include <vector>

namespace stampede {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);  // [|b| + 1]
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::optional<std::string_view> nearest_match(std::string_view name, std::span<const std::string_view> candidates) {
  std::optional<std::string_view> best;
  std::size_t best_distance = 0;
  for (const std::string_view candidate : candidates) {
    const std::size_t longest = std::max(name.size(), candidate.size());
    const bool beginning = name.size() >= 3 && edit_distance(name, candidate.substr(0, name.size())) == 0;
    const std::size_t distance = edit_distance(name, candidate);
    if (!beginning && (distance > std::max<std::size_t>(2, longest / 3) || distance >= longest)) continue;
    if (best && distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string unknown_name_message(std::string_view kind, std::string_view name,
                                 std::span<const std::string_view> candidates) {
  std::string message = "unknown " + std::string(kind) + " '" + std::string(name) + "'";
  if (const auto nearest = nearest_match(name, candidates))
    message += "; did you mean '" + std::string(*nearest) + "'?";
  if (candidates.empty()) return message + "; there are none";
  message += message.ends_with('?') ? " Known " : "; known ";
  message += std::string(kind) + "s: ";
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i > 0) message += ", ";
    message += candidates[i];
  }
  return message;
}

}  // namespace stampede
