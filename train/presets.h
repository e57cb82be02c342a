// SPDX-License-Identifier: Apache-2.0
// The hyper-parameters that come with the program: one TOML file per algorithm and environment.
#pragma once

#include <iterator>
#include <span>
#include <string_view>

namespace stampede {

struct Preset {
  std::string_view name;  // "<algorithm>_<environment id>", or "<algorithm>" for its defaults everywhere
  std::string_view toml;
};

std::span<const Preset> builtin_presets();

}  // namespace stampede
