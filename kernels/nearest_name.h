// SPDX-License-Identifier: Apache-2.0
// Finds the known name closest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stampede {

// The name with the least edits (insertion, deletion, substitution, swap of neighbours); empty when none is close.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// "; did you mean 'x'? Known: a, b, c" for the end of a message about an unknown name.
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace stampede
