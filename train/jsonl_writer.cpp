// SPDX-License-Identifier: Apache-2.0
#include "train/jsonl_writer.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "kernels/error.h"
#include "train/parse_value.h"
#include "train/text_file.h"

namespace stampede {
namespace {

constexpr std::string_view kLineStart = "{\"env_step\":";

// Cuts the file before the first line that is unfinished or of a later step.
const std::string& cut_to_step(const std::string& path, std::optional<std::int64_t> resume_step) {
  if (!resume_step || !std::filesystem::exists(path)) return path;
  const std::string text = read_text_file(path);
  std::size_t kept = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', kept)) {
    const std::string_view line = std::string_view(text).substr(kept, end - kept);
    if (!line.starts_with(kLineStart)) break;
    std::int64_t step = 0;
    const auto [stop, error] = std::from_chars(line.data() + kLineStart.size(), line.data() + line.size(), step);
    if (error != std::errc() || step > *resume_step) break;
    kept = end + 1;
  }
  if (::truncate(path.c_str(), static_cast<off_t>(kept)) != 0) {
    throw RuntimeError("cannot write '" + path + "': " + std::strerror(errno));
  }
  return path;
}

}  // namespace

JsonlWriter::JsonlWriter(const std::string& path, std::optional<std::int64_t> resume_step)
    : file_(cut_to_step(path, resume_step), resume_step ? AppendFile::Open::kAppend : AppendFile::Open::kCreate) {}

void JsonlWriter::write(std::int64_t env_step, std::span<const std::pair<std::string, double>> values) {
  std::string line(kLineStart);
  line += std::to_string(env_step);
  for (const auto& [name, value] : values) {
    line += "," + json_string(name) + ":" + (std::isfinite(value) ? format_significant(value, 9) : "null");
  }
  line += "}\n";
  file_.append(line);
}

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (code < 0x20) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(code));
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace stampede
