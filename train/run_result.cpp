// SPDX-License-Identifier: Apache-2.0
#include "train/run_result.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace stampede {
namespace {

using Json = nlohmann::ordered_json;

Json object(const RunResult& r) {
  Json json;
  json["algo"] = r.algo;
  json["env"] = r.env;
  json["seed"] = r.seed;
  json["env_steps"] = r.env_steps;
  json["gradient_updates"] = r.gradient_updates;
  json["seconds_train"] = r.seconds_train;
  json["seconds_eval"] = r.seconds_eval;
  json["seconds_total"] = r.seconds_total;
  json["eval_return_mean"] = r.eval_return_mean;
  json["eval_return_std"] = r.eval_return_std;
  json["eval_episodes"] = r.eval_episodes;
  json["eval_exact"] = r.eval_exact;
  json["solved_at_step"] = r.solved_at_step ? Json(*r.solved_at_step) : Json(nullptr);
  json["device"] = r.device;
  json["threads"] = r.threads;
  json["run_dir"] = r.run_dir;
  json["peak_memory_mib"] = r.peak_memory_mib;
  json["interrupted"] = r.interrupted;
  return json;
}

std::string text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string evaluated_text(int episodes, bool exact) {
  return std::to_string(episodes) + (exact ? " learners, exact" : " episodes");
}

std::string to_json(const RunResult& result) { return text(object(result)); }

SeedsResult summarize(std::span<const RunResult> results) {
  SeedsResult all;
  const auto n = static_cast<double>(results.size());
  for (const RunResult& r : results) {
    all.env_steps += r.env_steps;
    all.eval_return_mean += r.eval_return_mean / n;
    all.solved += r.solved_at_step.has_value();
    all.seconds_train += r.seconds_train / n;
    all.seconds_total = std::max(all.seconds_total, r.seconds_total);
  }
  double variance = 0.0;
  for (const RunResult& r : results) variance += std::pow(r.eval_return_mean - all.eval_return_mean, 2.0) / n;
  all.eval_return_std = std::sqrt(variance);
  return all;
}

std::string to_json(std::span<const RunResult> results, std::span<const FailedSeed> failures) {
  const SeedsResult all = summarize(results);
  Json json;
  json["runs"] = Json::array();
  for (const RunResult& r : results) json["runs"].push_back(object(r));
  json["seeds"] = results.size();
  json["env_steps"] = all.env_steps;
  json["eval_return_mean"] = all.eval_return_mean;
  json["eval_return_std_across_seeds"] = all.eval_return_std;
  json["solved_seeds"] = all.solved;
  json["seconds_train_mean"] = all.seconds_train;
  json["seconds_total"] = all.seconds_total;
  json["failed"] = Json::array();
  for (const FailedSeed& f : failures) json["failed"].push_back({{"seed", f.seed}, {"reason", f.reason}});
  return text(json);
}

}  // namespace stampede
