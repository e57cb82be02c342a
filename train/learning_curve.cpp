// SPDX-License-Identifier: Apache-2.0
#include "train/learning_curve.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "kernels/error.h"
#include "train/parse_value.h"
#include "train/text_file.h"

namespace stampede {
namespace {

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t comma = line.find(',');
    fields.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

std::string_view field_at(std::string_view line, std::size_t index) {
  for (; index > 0; --index) {
    const std::size_t comma = line.find(',');
    if (comma == std::string_view::npos) return {};
    line.remove_prefix(comma + 1);
  }
  return trimmed(line.substr(0, line.find(',')));
}

class CsvReader {
 public:
  explicit CsvReader(const std::string& path) : path_(path), text_(read_text_file(path)), rest_(text_) {}

  // Complete lines only: a run may be writing the last one.
  bool next(std::string_view& line) {
    const std::size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return false;
    line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    ++line_number_;
    return true;
  }

  std::optional<double> number(std::string_view field) const {
    if (field.empty()) return std::nullopt;
    double value = 0.0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || stop != field.data() + field.size()) {
      throw RuntimeError(path_ + ":" + std::to_string(line_number_) + ": '" + std::string(field) + "' is not a number");
    }
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  }

  std::size_t column(std::span<const std::string_view> header, std::string_view name) const {
    const auto place = std::find(header.begin(), header.end(), name);
    if (place == header.end()) throw RuntimeError("'" + path_ + "' has no column '" + std::string(name) + "'");
    return static_cast<std::size_t>(place - header.begin());
  }

 private:
  std::string path_;
  std::string text_;
  std::string_view rest_;
  int line_number_ = 0;
};

}  // namespace

Curve read_curve(const std::string& path, std::string_view column) {
  CsvReader csv(path);
  std::string_view line;
  if (!csv.next(line)) throw RuntimeError("'" + path + "' has no header line");
  const std::vector<std::string_view> header = fields_of(line);
  const std::size_t x_column = csv.column(header, "env_step");
  const std::size_t y_column = csv.column(header, column);
  Curve curve;
  while (csv.next(line)) {
    const std::optional<double> x = csv.number(field_at(line, x_column));
    const std::optional<double> y = csv.number(field_at(line, y_column));
    if (!x || !y) continue;
    curve.x.push_back(*x);
    curve.y.push_back(*y);
  }
  return curve;
}

Curve moving_mean(const Curve& curve, std::size_t window) {
  Curve mean{curve.x, std::vector<double>(curve.y.size())};
  double sum = 0.0;
  for (std::size_t i = 0; i < curve.y.size(); ++i) {
    sum += curve.y[i];
    if (i >= window) sum -= curve.y[i - window];
    mean.y[i] = sum / static_cast<double>(std::min(window, i + 1));
  }
  return mean;
}

Curve thinned(const Curve& curve, std::size_t points) {
  const std::size_t count = curve.x.size();
  if (count <= points) return curve;
  Curve thin;
  for (std::size_t i = 1; i <= points; ++i) {
    const std::size_t place = i * count / points - 1;
    thin.x.push_back(curve.x[place]);
    thin.y.push_back(curve.y[place]);
  }
  return thin;
}

}  // namespace stampede
