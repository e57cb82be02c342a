// SPDX-License-Identifier: Apache-2.0
#include "train/run_result.h"

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
  json["solved_at_step"] = r.solved_at_step ? Json(*r.solved_at_step) : Json(nullptr);
  json["device"] = r.device;
  json["threads"] = r.threads;
  json["run_dir"] = r.run_dir;
  json["interrupted"] = r.interrupted;
  return json;
}

}  // namespace

std::string to_json(const RunResult& result) { return object(result).dump(); }

std::string to_json(std::span<const RunResult> results) {
  Json json;
  double sum = 0.0, squares = 0.0, train = 0.0, total = 0.0;
  std::int64_t steps = 0, solved = 0;
  json["runs"] = Json::array();
  for (const RunResult& r : results) {
    json["runs"].push_back(object(r));
    sum += r.eval_return_mean;
    squares += r.eval_return_mean * r.eval_return_mean;
    train += r.seconds_train;
    total = std::max(total, r.seconds_total);
    steps += r.env_steps;
    solved += r.solved_at_step.has_value();
  }
  const auto n = static_cast<double>(results.size());
  json["seeds"] = results.size();
  json["env_steps"] = steps;
  json["eval_return_mean"] = sum / n;
  json["eval_return_std_across_seeds"] = std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
  json["solved_seeds"] = solved;
  json["seconds_train_mean"] = train / n;
  json["seconds_total"] = total;
  return json.dump();
}

}  // namespace stampede
