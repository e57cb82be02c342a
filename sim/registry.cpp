// SPDX-License-Identifier: Apache-2.0
#include "sim/registry.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include "kernels/error.h"
#include "kernels/nearest_match.h"

namespace stampede {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

double parse_number(std::string_view name, std::string_view text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end || !std::isfinite(value)) {
    throw UsageError("env." + std::string(name) + ": '" + std::string(text) + "' is not a finite number");
  }
  if (!std::isfinite(static_cast<float>(value))) {
    throw UsageError("env." + std::string(name) + ": " + std::string(text) + " does not fit 32 bits");
  }
  return value;
}

double parse_in_range(const ParamInfo& info, std::string_view text) {
  const double value = parse_number(info.name, text);
  if (value < info.min || value > info.max) {
    throw UsageError("env." + info.name + ": " + std::string(text) + " is out of range [" + number_text(info.min) +
                     ", " + number_text(info.max) + "]");
  }
  return value;
}

}  // namespace

void EnvRegistry::add(EnvEntry entry) {
  for (const EnvEntry& known : entries_) {
    if (std::string_view(known.spec.id) == entry.spec.id) {
      throw RuntimeError("environment " + std::string(entry.spec.id) + " is registered twice");
    }
  }
  entries_.push_back(std::move(entry));
}

const EnvEntry& EnvRegistry::find(std::string_view id) const {
  std::vector<std::string_view> known;
  for (const EnvEntry& entry : entries_) {
    if (entry.spec.id == id) return entry;
    known.emplace_back(entry.spec.id);
  }
  throw UsageError(unknown_name_message("environment", id, known));
}

ParamInfo time_limit_param(const EnvSpec& spec) {
  return {.name = std::string(kTimeLimitParam),
          .help = "steps until an episode is truncated, 0 = no limit",
          .default_text = std::to_string(spec.time_limit),
          .kind = ParamInfo::Kind::kInteger,
          .min = kNoTimeLimit,
          .max = std::numeric_limits<std::int32_t>::max()};
}

EnvSpec with_time_limit(EnvSpec spec, const EnvParameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name == kTimeLimitParam) spec.time_limit = parse_integer_param(time_limit_param(spec), value);
  }
  return spec;
}

float parse_real_param(const ParamInfo& info, std::string_view text) {
  return static_cast<float>(parse_in_range(info, text));
}

std::int32_t parse_integer_param(const ParamInfo& info, std::string_view text) {
  const double value = parse_in_range(info, text);
  if (value != std::floor(value) || std::abs(value) > 2147483647.0) {
    throw UsageError("env." + info.name + ": '" + std::string(text) + "' is not an integer");
  }
  return static_cast<std::int32_t>(value);
}

std::string shortest_text(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

bool parse_flag_param(const ParamInfo& info, std::string_view text) {
  if (text == "true" || text == "True" || text == "1") return true;
  if (text == "false" || text == "False" || text == "0") return false;
  throw UsageError("env." + info.name + ": '" + std::string(text) + "' is neither true nor false");
}

std::vector<std::string_view> split_list(std::string_view text) {
  const auto trimmed = [](std::string_view word) {
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    return word;
  };
  if (text.size() > 1 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<std::string_view> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    items.push_back(trimmed(text.substr(begin, comma - begin)));
    begin = comma + 1;
  }
  return items;
}

std::vector<double> parse_number_list(std::string_view name, std::string_view text, std::size_t count) {
  std::vector<double> values;
  for (const std::string_view item : split_list(text)) values.push_back(parse_number(name, item));
  if (values.size() != count) {
    throw UsageError("env." + std::string(name) + ": needs " + std::to_string(count) +
                     " comma-separated numbers, got " + std::to_string(values.size()));
  }
  return values;
}

EnvParameters parse_parameter_list(std::string_view text) {
  EnvParameters parameters;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const std::size_t equals = item.find('=');
    if (equals != std::string_view::npos) {
      parameters.emplace_back(std::string(item.substr(0, equals)), std::string(item.substr(equals + 1)));
    }
    begin = end + 1;
  }
  return parameters;
}

void throw_unknown_param(const EnvSpec& spec, std::string_view name, const std::vector<ParamInfo>& known) {
  std::vector<std::string_view> names;
  for (const ParamInfo& info : known) names.emplace_back(info.name);
  throw UsageError(unknown_name_message(std::string(spec.id) + " parameter", name, names));
}

}  // namespace stampede
