// SPDX-License-Identifier: Apache-2.0
#include "cli/curve_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "train/text_file.h"

namespace stampede {
namespace {

using Json = nlohmann::json;

Curve curve_of(const Json& seed) {
  Curve curve{seed.at("env_step").get<std::vector<double>>(), seed.at("return_mean").get<std::vector<double>>()};
  if (curve.x.empty() || curve.x.size() != curve.y.size()) throw Json::other_error::create(501, "uneven curve", &seed);
  return curve;
}

SettingCurves setting_of(const Json& entry) {
  SettingCurves setting{entry.at("env").get<std::string>(), entry.at("setting").get<std::string>(), {}};
  for (const Json& seed : entry.at("seeds")) setting.seeds.push_back(curve_of(seed));
  if (setting.seeds.empty()) throw Json::other_error::create(501, "no seeds", &entry);
  return setting;
}

// The values of a field, each once, comma-separated.
std::string listed(const std::vector<SettingCurves>& settings, std::string SettingCurves::*field) {
  std::vector<std::string> seen;
  std::string text;
  for (const SettingCurves& setting : settings) {
    if (std::find(seen.begin(), seen.end(), setting.*field) != seen.end()) continue;
    text += (seen.empty() ? "" : ", ") + setting.*field;
    seen.push_back(setting.*field);
  }
  return text;
}

}  // namespace

bool is_curve_file(const std::string& path) { return path.ends_with(".json"); }

std::vector<SettingCurves> read_curve_file(const std::string& path) {
  if (!std::filesystem::exists(path)) throw UsageError("'" + path + "': no such file");
  const std::string text = read_text_file(path);
  std::vector<SettingCurves> settings;
  try {
    const Json json = Json::parse(text);
    for (const Json& entry : json.at("settings")) settings.push_back(setting_of(entry));
  } catch (const Json::exception&) {
    throw RuntimeError(path + ": not a file of learning curves as bench/learning writes them");
  }
  return settings;
}

std::vector<SettingCurves> choose_curves(const std::vector<SettingCurves>& settings, const CurveChoice& choice) {
  const std::string environments = listed(settings, &SettingCurves::env);
  if (choice.env.empty() && environments.find(',') != std::string::npos) {
    throw UsageError("--env: the file has curves of several environments, name one: " + environments);
  }
  std::vector<SettingCurves> there;
  for (const SettingCurves& setting : settings) {
    if (choice.env.empty() || setting.env == choice.env) there.push_back(setting);
  }
  if (there.empty()) throw UsageError("--env: no curves of '" + choice.env + "'; there are: " + environments);
  if (choice.names.empty()) return there;
  std::vector<SettingCurves> chosen;
  for (const std::string& name : choice.names) {
    const auto found = std::find_if(there.begin(), there.end(), [&](const auto& s) { return s.name == name; });
    if (found == there.end()) {
      throw UsageError("--only: no curve '" + name + "'; there are: " + listed(there, &SettingCurves::name));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace stampede
