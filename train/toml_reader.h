// SPDX-License-Identifier: Apache-2.0
// Reads TOML into flat `table.key = text` entries, the only form a configuration needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stampede {

struct TomlEntry {
  std::string name;  // dotted: "learning_rate", "env.gravity"
  std::string text;  // strings without quotes, arrays as "[64, 64]"
  int line = 0;      // from 1
};

// Entries in the order of the text. `origin` (a file name) and the line lead every message.
// Throws UsageError for malformed TOML and for values that are neither scalars nor arrays of scalars.
std::vector<TomlEntry> read_toml(std::string_view text, std::string_view origin);

std::string toml_string(std::string_view text);  // quoted and escaped

}  // namespace stampede
