// SPDX-License-Identifier: Apache-2.0
// Reads the recorded trajectories and tables of this folder.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/registry.h"

namespace stampede {

struct GoldenFile {
  std::string name;
  std::map<std::string, std::string> meta;  // the `# key: value` headers
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  const std::string& environment() const { return meta.at("env"); }
  EnvParameters parameters() const;  // from the JSON of `kwargs`
  bool is_table() const { return columns.front() == "s"; }
  std::size_t column(const std::string& label) const;  // throws std::out_of_range
  double number(std::size_t row, const std::string& label) const;
  std::vector<double> numbers(std::size_t row, const std::string& prefix) const;  // prefix_0, prefix_1, ...
};

// Throws std::runtime_error when the file cannot be opened.
GoldenFile read_golden(const std::string& name);
// Rows of tolerances.csv or index.csv by name; each a map from column label to text.
std::multimap<std::string, std::map<std::string, std::string>> read_golden_list(const std::string& file);
// Every trajectory and table, by file name without suffix.
std::vector<std::string> golden_names();

}  // namespace stampede
