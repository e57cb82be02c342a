// SPDX-License-Identifier: Apache-2.0
#include "agents/tabular/policy_evaluation.h"

#include <algorithm>
#include <cmath>

namespace stampede {
namespace {

// The chain that a policy makes of a table: rows of states with merged outcomes.
struct Chain {
  std::vector<std::int32_t> first;    // [S + 1]
  std::vector<std::int32_t> next;     // [outcomes that do not terminate]
  std::vector<double> probability;    // [outcomes that do not terminate]
  std::vector<double> reward;         // [S], expected
  std::vector<std::int32_t> visited;  // states that episodes get to; only there must a value settle
};

std::vector<std::int32_t> visited_states(const TransitionTable& table, const Chain& chain) {
  std::vector<std::int32_t> found;
  std::vector<std::uint8_t> seen(static_cast<std::size_t>(table.states), 0);
  const auto visit = [&](std::int32_t state) {
    if (seen[static_cast<std::size_t>(state)]) return;
    seen[static_cast<std::size_t>(state)] = 1;
    found.push_back(state);
  };
  for (int s = 0; s < table.states; ++s) {
    if (table.start_probability[static_cast<std::size_t>(s)] > 0.0) visit(s);
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto s = static_cast<std::size_t>(found[i]);
    for (auto k = chain.first[s]; k < chain.first[s + 1]; ++k) visit(chain.next[static_cast<std::size_t>(k)]);
  }
  return found;
}

Chain chain_of(const TransitionTable& table, const std::vector<double>& policy) {
  Chain chain;
  chain.first.push_back(0);
  chain.reward.assign(static_cast<std::size_t>(table.states), 0.0);
  for (int s = 0; s < table.states; ++s) {
    for (int a = 0; a < table.actions; ++a) {
      const auto row = static_cast<std::size_t>(table.row(s, a));
      if (policy[row] == 0.0) continue;
      for (auto k = static_cast<std::size_t>(table.first[row]); k < static_cast<std::size_t>(table.first[row + 1]);
           ++k) {
        const double probability = policy[row] * table.probability[k];
        chain.reward[static_cast<std::size_t>(s)] += probability * table.reward[k];
        if (table.terminated[k] || probability == 0.0) continue;
        chain.next.push_back(table.next_state[k]);
        chain.probability.push_back(probability);
      }
    }
    chain.first.push_back(static_cast<std::int32_t>(chain.next.size()));
  }
  chain.visited = visited_states(table, chain);
  return chain;
}

}  // namespace

PolicyValue evaluate_policy(const TransitionTable& table, const std::vector<double>& policy, int horizon) {
  const Chain chain = chain_of(table, policy);
  const auto states = static_cast<std::size_t>(table.states);
  std::vector<double> value(states, 0.0), length(states, 0.0), next_value(states, 0.0), next_length(states, 0.0);
  for (int step = 0; step < horizon; ++step) {
    for (const std::int32_t state : chain.visited) {
      const auto s = static_cast<std::size_t>(state);
      double v = chain.reward[s], l = 1.0;
      for (auto k = static_cast<std::size_t>(chain.first[s]); k < static_cast<std::size_t>(chain.first[s + 1]); ++k) {
        v += chain.probability[k] * value[static_cast<std::size_t>(chain.next[k])];
        l += chain.probability[k] * length[static_cast<std::size_t>(chain.next[k])];
      }
      next_value[s] = v;
      next_length[s] = l;
    }
    if (next_value == value && next_length == length) break;
    value.swap(next_value);
    length.swap(next_length);
  }
  return {table.start_value(value), table.start_value(length)};
}

std::vector<double> epsilon_greedy_policy(const TransitionTable& table, const double* action_values, double epsilon) {
  std::vector<double> policy(static_cast<std::size_t>(table.states * table.actions), epsilon / table.actions);
  for (int s = 0; s < table.states; ++s) {
    const double* const q = action_values + table.row(s, 0);
    policy[static_cast<std::size_t>(table.row(s, 0) + (std::max_element(q, q + table.actions) - q))] += 1.0 - epsilon;
  }
  return policy;
}

std::vector<double> boltzmann_policy(const TransitionTable& table, const double* action_values, double alpha) {
  std::vector<double> policy(static_cast<std::size_t>(table.states * table.actions));
  for (int s = 0; s < table.states; ++s) {
    const double* const q = action_values + table.row(s, 0);
    double* const p = policy.data() + table.row(s, 0);
    const double best = *std::max_element(q, q + table.actions);
    double sum = 0.0;
    for (int a = 0; a < table.actions; ++a) sum += p[a] = std::exp((q[a] - best) / alpha);
    for (int a = 0; a < table.actions; ++a) p[a] /= sum;
  }
  return policy;
}

}  // namespace stampede
