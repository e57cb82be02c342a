// SPDX-License-Identifier: Apache-2.0
#include "tests/golden/golden_file.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace stampede {
namespace {

// A bundle that was moved to another machine names its own folder.
std::string source_folder() {
  const char* const moved = std::getenv("STAMPEDE_SOURCE_DIR");
  return moved ? moved : STAMPEDE_SOURCE_DIR;
}

const std::string kFolder = source_folder() + "/tests/golden/";

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = line.find(',', begin);
    cells.push_back(line.substr(begin, comma - begin));
    if (comma == std::string::npos) return cells;
    begin = comma + 1;
  }
}

std::ifstream open(const std::string& file) {
  std::ifstream in(kFolder + file);
  if (!in) throw std::runtime_error("cannot open " + kFolder + file);
  return in;
}

std::string parameter_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const auto& item : value) {
    if (!text.empty()) text += ',';
    text += parameter_text(item);
  }
  return text;
}

}  // namespace

EnvParameters GoldenFile::parameters() const {
  EnvParameters parameters;
  const auto arguments = nlohmann::json::parse(meta.at("kwargs"));
  for (const auto& [key, value] : arguments.items()) {
    parameters.emplace_back(key, parameter_text(value));
  }
  return parameters;
}

std::size_t GoldenFile::column(const std::string& label) const {
  const auto found = std::find(columns.begin(), columns.end(), label);
  if (found == columns.end()) throw std::out_of_range(name + " has no column " + label);
  return static_cast<std::size_t>(found - columns.begin());
}

double GoldenFile::number(std::size_t row, const std::string& label) const {
  return std::stod(rows.at(row).at(column(label)));
}

std::vector<double> GoldenFile::numbers(std::size_t row, const std::string& prefix) const {
  std::vector<double> values;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].starts_with(prefix + "_")) values.push_back(std::stod(rows.at(row).at(c)));
  }
  return values;
}

GoldenFile read_golden(const std::string& name) {
  GoldenFile golden;
  golden.name = name;
  std::ifstream in = open(name + ".csv");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("# ")) {
      if (colon != std::string::npos) golden.meta[line.substr(2, colon - 2)] = line.substr(colon + 2);
    } else if (golden.columns.empty()) {
      golden.columns = split(line);
    } else {
      golden.rows.push_back(split(line));
    }
  }
  return golden;
}

std::multimap<std::string, std::map<std::string, std::string>> read_golden_list(const std::string& file) {
  std::multimap<std::string, std::map<std::string, std::string>> list;
  std::vector<std::string> columns;
  std::ifstream in = open(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    const std::vector<std::string> cells = split(line);
    if (columns.empty()) {
      columns = cells;
      continue;
    }
    std::map<std::string, std::string> row;
    for (std::size_t c = 0; c < columns.size(); ++c) row[columns[c]] = cells.at(c);
    list.emplace(cells[0], std::move(row));
  }
  return list;
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().stem().string();
    const bool list = name == "index" || name == "tolerances" || name == "values";
    if (entry.path().extension() == ".csv" && !list) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace stampede
