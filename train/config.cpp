// SPDX-License-Identifier: Apache-2.0
#include "train/config.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "kernels/error.h"
#include "kernels/nearest_match.h"
#include "train/parse_value.h"
#include "train/text_file.h"
#include "train/toml_reader.h"

namespace stampede {
namespace {

std::vector<std::string> split_choices(std::string_view choices) {
  std::vector<std::string> names;
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    names.emplace_back(choices.substr(0, bar));
    if (bar == std::string_view::npos) break;
    choices.remove_prefix(bar + 1);
  }
  return names;
}

std::string joined(const std::vector<std::string>& items, std::string_view separator) {
  std::string text;
  for (const std::string& item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

// Bounds of whole numbers are printed with all digits, others as short as possible.
std::string bound_text(double bound) {
  const bool whole = std::abs(bound) < 1e15 && bound == std::floor(bound);
  return whole ? std::to_string(static_cast<std::int64_t>(bound)) : format_real(bound);
}

// TOML wants a point or an exponent in every float.
std::string toml_real(std::string_view text) {
  const bool whole = text.find_first_of(".ein") == std::string_view::npos;
  return std::string(text) + (whole ? ".0" : "");
}

std::string toml_value(ConfigType type, const std::string& text) {
  switch (type) {
    case ConfigType::kReal:
      return toml_real(text);
    case ConfigType::kText:
    case ConfigType::kChoice:
      return toml_string(text);
    case ConfigType::kRealList: {
      std::vector<std::string> items;
      for (const double value : parse_reals("", text)) items.push_back(toml_real(format_real(value)));
      return "[" + joined(items, ", ") + "]";
    }
    default:
      return text;
  }
}

}  // namespace

std::string_view layer_name(ConfigLayer layer) {
  constexpr std::array<std::string_view, 4> kNames = {"default", "preset", "file", "command line"};
  return kNames[static_cast<std::size_t>(layer)];
}

void Config::declare(std::span<const ConfigKey> keys, std::string_view prefix) {
  for (const ConfigKey& key : keys) {
    std::string name = std::string(prefix) + std::string(key.name);
    if (has(name)) throw std::logic_error("configuration key '" + name + "' is declared twice");
    Key entry{
        std::move(name), key.type,           key.min,   key.max, split_choices(key.choices), std::string(key.help),
        key.above_min,   key.allow_infinity, key.items, {}};
    entry.layers[0] = canonical(entry, key.default_text);
    keys_.push_back(std::move(entry));
  }
}

void Config::set(std::string_view name, std::string_view text, ConfigLayer layer) {
  const Key* found = find(name);
  if (!found) refuse_unknown(name);
  keys_[static_cast<std::size_t>(found - keys_.data())].layers[static_cast<std::size_t>(layer)] =
      canonical(*found, text);
}

void Config::load_toml(std::string_view toml, std::string_view origin, ConfigLayer layer,
                       std::span<const NamedText> fixed) {
  for (const TomlEntry& entry : read_toml(toml, origin)) {
    try {
      const auto known = std::find_if(fixed.begin(), fixed.end(), [&](const auto& f) { return f.name == entry.name; });
      if (known == fixed.end()) {
        set(entry.name, entry.text, layer);
      } else if (known->text != entry.text) {
        throw UsageError(entry.name + ": the file is for " + entry.text + ", not for " + std::string(known->text));
      }
    } catch (const UsageError& error) {
      throw UsageError(std::string(origin) + ":" + std::to_string(entry.line) + ": " + error.what());
    }
  }
}

void Config::load_toml_file(const std::string& path, ConfigLayer layer, std::span<const NamedText> fixed) {
  std::string text;
  try {
    text = read_text_file(path);
  } catch (const RuntimeError& error) {
    throw UsageError(error.what());
  }
  load_toml(text, path, layer, fixed);
}

void Config::check_range(const Key& key, double value, std::string_view text) {
  if (std::isinf(value) && !key.allow_infinity)
    throw UsageError(key.name + ": " + std::string(text) + " is not finite");
  const bool low = key.above_min ? value <= key.min : value < key.min;
  if (!low && value <= key.max) return;
  throw UsageError(key.name + ": " + std::string(text) + " is out of range " + range_text(key));
}

std::string Config::range_text(const Key& key) {
  const bool open_low = key.above_min || (std::isinf(key.min) && !key.allow_infinity);
  const bool open_high = std::isinf(key.max) && !key.allow_infinity;
  return (open_low ? "(" : "[") + bound_text(key.min) + ", " + bound_text(key.max) + (open_high ? ")" : "]");
}

template <typename Values, typename ToText>
std::string Config::canonical_list(const Key& key, const Values& values, ToText to_text) {
  if (key.items != 0 && values.size() != key.items) {
    throw UsageError(key.name + ": expects " + std::to_string(key.items) + " items, got " +
                     std::to_string(values.size()));
  }
  std::vector<std::string> items;
  for (const auto value : values) {
    check_range(key, static_cast<double>(value), to_text(value));
    items.push_back(to_text(value));
  }
  return "[" + joined(items, ", ") + "]";
}

std::string Config::canonical(const Key& key, std::string_view text) {
  const auto integer_text = [](std::int64_t value) { return std::to_string(value); };
  switch (key.type) {
    case ConfigType::kInteger: {
      const std::int64_t value = parse_integer(key.name, text);
      check_range(key, static_cast<double>(value), text);
      return integer_text(value);
    }
    case ConfigType::kReal: {
      const double value = parse_real(key.name, text);
      check_range(key, value, text);
      return format_real(value);
    }
    case ConfigType::kFlag:
      return parse_flag(key.name, text) ? "true" : "false";
    case ConfigType::kIntegerList:
      return canonical_list(key, parse_integers(key.name, text), integer_text);
    case ConfigType::kRealList:
      return canonical_list(key, parse_reals(key.name, text), format_real);
    case ConfigType::kChoice: {
      if (std::find(key.choices.begin(), key.choices.end(), text) != key.choices.end()) return std::string(text);
      const std::vector<std::string_view> names(key.choices.begin(), key.choices.end());
      throw UsageError(key.name + ": " + unknown_name_message("choice", text, names));
    }
    case ConfigType::kText:
      if (!is_utf8(text)) throw UsageError(key.name + ": the text is not valid UTF-8");
  }
  return std::string(text);
}

const std::string& Config::resolved(const Key& key) {
  for (std::size_t layer = key.layers.size() - 1; layer > 0; --layer) {
    if (key.layers[layer]) return *key.layers[layer];
  }
  return *key.layers[0];
}

std::int64_t Config::integer(std::string_view name) const {
  return parse_integer(name, resolved(require(name, ConfigType::kInteger)));
}

double Config::real(std::string_view name) const {
  return parse_real(name, resolved(require(name, ConfigType::kReal)));
}

bool Config::flag(std::string_view name) const { return resolved(require(name, ConfigType::kFlag)) == "true"; }

std::string Config::text(std::string_view name) const {
  const Key& key = require(name);
  return resolved(key.type == ConfigType::kChoice ? key : require(name, ConfigType::kText));
}

std::vector<std::int64_t> Config::integers(std::string_view name) const {
  return parse_integers(name, resolved(require(name, ConfigType::kIntegerList)));
}

std::vector<double> Config::reals(std::string_view name) const {
  return parse_reals(name, resolved(require(name, ConfigType::kRealList)));
}

bool Config::has(std::string_view name) const { return find(name) != nullptr; }

std::vector<std::string_view> Config::names() const {
  std::vector<std::string_view> names;
  for (const Key& key : keys_) names.push_back(key.name);
  return names;
}

ConfigLayer Config::source(std::string_view name) const {
  const Key& key = require(name);
  std::size_t layer = key.layers.size() - 1;
  while (layer > 0 && !key.layers[layer]) --layer;
  return static_cast<ConfigLayer>(layer);
}

std::string Config::resolved_text(std::string_view name) const { return resolved(require(name)); }

std::string Config::to_toml() const {
  std::vector<std::string> tables = {""};
  for (const Key& key : keys_) {
    const std::size_t dot = key.name.rfind('.');
    if (dot == std::string::npos) continue;
    const std::string table = key.name.substr(0, dot);
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
  }
  std::string toml;
  for (const std::string& table : tables) {
    if (!table.empty()) toml += (toml.empty() ? "[" : "\n[") + table + "]\n";
    for (const Key& key : keys_) {
      const std::size_t dot = key.name.rfind('.');
      const std::size_t start = dot == std::string::npos ? 0 : dot + 1;
      if (key.name.substr(0, start == 0 ? 0 : dot) != table) continue;
      toml += key.name.substr(start) + " = " + toml_value(key.type, resolved(key)) + "\n";
    }
  }
  return toml;
}

std::string Config::describe_keys() const {
  std::size_t width = 0;
  for (const Key& key : keys_) width = std::max(width, key.name.size());
  std::ostringstream out;
  for (const Key& key : keys_) {
    out << "  " << key.name << std::string(width + 2 - key.name.size(), ' ') << key.help;
    if (!key.help.empty()) out << "; ";
    if (key.type == ConfigType::kChoice) out << joined(key.choices, " | ") << ", ";
    const bool numeric =
        key.type != ConfigType::kChoice && key.type != ConfigType::kText && key.type != ConfigType::kFlag;
    if (numeric && (std::isfinite(key.min) || std::isfinite(key.max))) out << range_text(key) << ", ";
    const std::string& value = resolved(key);
    out << "default " << (value.empty() ? "\"\"" : value) << '\n';
  }
  return out.str();
}

const Config::Key* Config::find(std::string_view name) const {
  for (const Key& key : keys_) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

const Config::Key& Config::require(std::string_view name) const {
  const Key* key = find(name);
  if (!key) throw std::logic_error("configuration key '" + std::string(name) + "' is not declared");
  return *key;
}

const Config::Key& Config::require(std::string_view name, ConfigType type) const {
  const Key& key = require(name);
  if (key.type != type) throw std::logic_error("configuration key '" + key.name + "' has another type");
  return key;
}

void Config::refuse_unknown(std::string_view name) const {
  const std::vector<std::string_view> known = names();
  for (const std::string_view candidate : known) {
    const bool inside_table = candidate.size() > name.size() + 1 && candidate.ends_with(name) &&
                              candidate[candidate.size() - name.size() - 1] == '.';
    if (!inside_table || name.empty()) continue;
    throw UsageError("unknown key '" + std::string(name) + "'; did you mean '" + std::string(candidate) + "'?");
  }
  throw UsageError(unknown_name_message("key", name, known));
}

}  // namespace stampede
