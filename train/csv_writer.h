// SPDX-License-Identifier: Apache-2.0
// Writes one table of a run as CSV: `env_step` and a fixed set of number columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/append_file.h"

namespace stampede {

// Steps never decrease. Numbers have 9 significant digits; those that are not finite are left empty.
// With `resume_step` an existing file keeps its rows up to that step, loses later and unfinished ones, and gets the
// columns it lacks; without, the file starts empty. Every member throws RuntimeError with the path and the reason.
class CsvWriter {
 public:
  CsvWriter(const std::string& path, std::vector<std::string> columns, std::optional<std::int64_t> resume_step = {});

  // `values` in the order of the constructor's columns. [columns]
  void write(std::int64_t env_step, std::span<const double> values);
  void flush() { file_.flush(); }

 private:
  std::vector<std::size_t> field_of_column_;  // place in the file of each constructor column
  std::vector<std::string> fields_;           // reused by every row [fields of the file]
  AppendFile file_;
};

}  // namespace stampede
