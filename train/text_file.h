// SPDX-License-Identifier: Apache-2.0
// Reads a whole regular file into memory.
#pragma once

#include <string>

namespace stampede {

// Throws RuntimeError with the path and the reason when it is missing, unreadable or not a regular file.
std::string read_text_file(const std::string& path);

}  // namespace stampede
