// SPDX-License-Identifier: Apache-2.0
// The hyper-parameters that come with the program: one TOML file per algorithm and environment.
#pragma once

#include <iterator>
#include <span>
#include <string_view>

namespace stampede {

struct Preset {
  // "<algorithm>" for its defaults everywhere, "<algorithm>_<environment id>", or "<algorithm>_<environment id>@<name>"
  // for one that is used only when it is asked for.
  std::string_view name;
  std::string_view toml;
};

std::span<const Preset> builtin_presets();

}  // namespace stampede
