// SPDX-License-Identifier: Apache-2.0
#include "train/csv_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "kernels/error.h"
#include "train/atomic_file.h"
#include "train/parse_value.h"
#include "train/text_file.h"

namespace stampede {
namespace {

constexpr std::string_view kStepColumn = "env_step";

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return {};
  const std::string_view line = text.substr(0, end + 1);
  text.remove_prefix(end + 1);
  return line;
}

std::vector<std::string> split_header(std::string_view line) {
  std::vector<std::string> names;
  line = trimmed(line);
  for (;;) {
    const std::size_t comma = line.find(',');
    names.emplace_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return names;
    line.remove_prefix(comma + 1);
  }
}

std::string joined_header(const std::vector<std::string>& names) {
  std::string line(kStepColumn);
  for (const std::string& name : names) line += "," + name;
  return line + "\n";
}

// The complete rows up to `resume_step`.
std::string_view kept_rows(std::string_view rows, std::int64_t resume_step) {
  std::string_view rest = rows;
  std::size_t kept = 0;
  for (std::string_view line = next_line(rest); !line.empty(); line = next_line(rest)) {
    std::int64_t step = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), step);
    if (error != std::errc() || (*stop != ',' && *stop != '\n') || step > resume_step) break;
    kept += line.size();
  }
  return rows.substr(0, kept);
}

// A whole file: the header of `names`, and the rows with `missing` empty fields at the end of each.
std::string widened(std::string_view rows, const std::vector<std::string>& names, std::size_t missing) {
  std::string text = joined_header(names);
  for (std::string_view line = next_line(rows); !line.empty(); line = next_line(rows)) {
    text += line.substr(0, line.size() - 1);
    text.append(missing, ',');
    text += '\n';
  }
  return text;
}

void cut(const std::string& path, std::size_t size) {
  if (::truncate(path.c_str(), static_cast<off_t>(size)) == 0) return;
  throw RuntimeError("cannot write '" + path + "': " + std::strerror(errno));
}

// Brings an existing file to the state of `resume_step` and returns its columns, or the wanted ones for a new file.
std::vector<std::string> cut_to_step(const std::string& path, std::vector<std::string> wanted,
                                     std::int64_t resume_step) {
  if (!std::filesystem::exists(path)) return wanted;
  const std::string text = read_text_file(path);
  std::string_view rest = text;
  const std::string_view header = next_line(rest);
  if (header.empty()) {
    cut(path, 0);
    return wanted;
  }
  std::vector<std::string> names = split_header(header);
  if (names.front() != kStepColumn)
    throw RuntimeError("cannot resume '" + path + "': its first column is not env_step");
  names.erase(names.begin());
  const std::size_t old_count = names.size();
  for (const std::string& name : wanted) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  const std::string_view rows = kept_rows(rest, resume_step);
  if (names.size() == old_count) {
    cut(path, header.size() + rows.size());
  } else {
    write_file_atomically(path, widened(rows, names, names.size() - old_count));
  }
  return names;
}

}  // namespace

CsvWriter::CsvWriter(const std::string& path, std::vector<std::string> columns, std::optional<std::int64_t> resume_step)
    : fields_(resume_step ? cut_to_step(path, columns, *resume_step) : columns),
      file_(path, resume_step ? AppendFile::Open::kAppend : AppendFile::Open::kCreate) {
  for (const std::string& column : columns) {
    const auto place = std::find(fields_.begin(), fields_.end(), column);
    field_of_column_.push_back(static_cast<std::size_t>(place - fields_.begin()));
  }
  if (!resume_step || std::filesystem::file_size(path) == 0) file_.append(joined_header(fields_));
  file_.flush();
}

void CsvWriter::write(std::int64_t env_step, std::span<const double> values) {
  if (values.size() != field_of_column_.size()) throw std::logic_error("a CSV row with a wrong number of values");
  for (std::string& field : fields_) field.clear();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) fields_[field_of_column_[i]] = format_significant(values[i], 9);
  }
  std::string line = std::to_string(env_step);
  for (const std::string& field : fields_) line += "," + field;
  line += '\n';
  file_.append(line);
}

}  // namespace stampede
