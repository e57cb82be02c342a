// SPDX-License-Identifier: Apache-2.0
// Finds the known name that a mistyped one most likely meant.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stampede {

// Damerau-Levenshtein distance (insert, delete, replace, swap neighbours; each part edited once), ASCII case ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first of the nearest candidates, if any begins with the name (of 3 letters or more) or is within max(2, a third
// of the longer name) edits.
std::optional<std::string_view> nearest_match(std::string_view name, std::span<const std::string_view> candidates);

// "unknown key 'gama'; did you mean 'gamma'? Known keys: gamma, seed". The plural of `kind` adds an s.
std::string unknown_name_message(std::string_view kind, std::string_view name,
                                 std::span<const std::string_view> candidates);

}  // namespace stampede
