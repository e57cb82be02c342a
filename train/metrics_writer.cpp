// SPDX-License-Identifier: Apache-2.0
#include "train/metrics_writer.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace stampede {

MetricsWriter::MetricsWriter(const std::string& folder, std::vector<std::string> names,
                             std::optional<std::int64_t> resume_step)
    : names_(std::move(names)),
      columns_(names_.size()),
      csv_(folder + "/metrics.csv", names_, resume_step),
      jsonl_(folder + "/metrics.jsonl", resume_step),
      tensorboard_(folder, resume_step) {}

void MetricsWriter::write(const MetricsRow& row) {
  std::fill(columns_.begin(), columns_.end(), std::numeric_limits<double>::quiet_NaN());
  for (const auto& [name, value] : row.values) {
    const auto place = std::find(names_.begin(), names_.end(), name);
    if (place == names_.end()) throw std::logic_error("metric '" + name + "' was not declared");
    columns_[static_cast<std::size_t>(place - names_.begin())] = value;
  }
  csv_.write(row.env_step, columns_);
  jsonl_.write(row.env_step, row.values);
  tensorboard_.write(row.env_step, row.values);
}

void MetricsWriter::flush() {
  csv_.flush();
  jsonl_.flush();
  tensorboard_.flush();
}

}  // namespace stampede
