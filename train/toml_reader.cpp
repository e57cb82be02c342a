// SPDX-License-Identifier: Apache-2.0
#include "train/toml_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "kernels/error.h"
#include "train/parse_value.h"

namespace stampede {
namespace {

std::string position(std::string_view origin, const toml::source_position& where) {
  return std::string(origin) + ":" + std::to_string(where.line) + ": ";
}

[[noreturn]] void refuse(std::string_view origin, const toml::node& node, const std::string& name) {
  throw UsageError(position(origin, node.source().begin) + name +
                   ": must be a number, true or false, a string, or an array of these");
}

std::string scalar_text(const toml::node& node, std::string_view origin, const std::string& name) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return std::to_string(value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* value = node.as_floating_point()) return format_real(value->get());
  refuse(origin, node, name);
}

std::string array_text(const toml::array& array, std::string_view origin, const std::string& name) {
  std::string text = "[";
  for (const toml::node& item : array) {
    if (text.size() > 1) text += ", ";
    text += scalar_text(item, origin, name);
  }
  return text + "]";
}

// Dotted keys nest tables, whose number the parser does not limit although it destroys them recursively.
void check_line_lengths(std::string_view text, std::string_view origin) {
  constexpr std::size_t kLongestLine = 8192;
  int line = 1;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end - begin > kLongestLine) {
      throw UsageError(std::string(origin) + ":" + std::to_string(line) + ": the line has more than " +
                       std::to_string(kLongestLine) + " bytes");
    }
    begin = end + 1;
  }
}

void flatten(const toml::table& table, std::string_view origin, const std::string& prefix,
             std::vector<TomlEntry>& entries) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, origin, name + ".", entries);
      continue;
    }
    const toml::array* array = node.as_array();
    std::string text = array ? array_text(*array, origin, name) : scalar_text(node, origin, name);
    entries.push_back({name, std::move(text), static_cast<int>(key.source().begin.line)});
  }
}

}  // namespace

std::vector<TomlEntry> read_toml(std::string_view text, std::string_view origin) {
  check_line_lengths(text, origin);
  std::vector<TomlEntry> entries;
  try {
    flatten(toml::parse(text), origin, "", entries);
  } catch (const toml::parse_error& error) {
    throw UsageError(position(origin, error.source().begin) + std::string(error.description()));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return entries;
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (code < 0x20 || code == 0x7f) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(code));
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace stampede
