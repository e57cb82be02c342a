// SPDX-License-Identifier: Apache-2.0
// Writes rows of named numbers as JSON lines: {"env_step":128,"losses/value":0.5}.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "train/append_file.h"

namespace stampede {

// Numbers have 9 significant digits; those that are not finite are null. Steps never decrease. With `resume_step` an
// existing file keeps its lines up to that step. Every member throws RuntimeError with the path and the reason.
class JsonlWriter {
 public:
  explicit JsonlWriter(const std::string& path, std::optional<std::int64_t> resume_step = {});

  void write(std::int64_t env_step, std::span<const std::pair<std::string, double>> values);
  void flush() { file_.flush(); }

 private:
  AppendFile file_;
};

std::string json_string(std::string_view text);  // quoted and escaped

}  // namespace stampede
