// SPDX-License-Identifier: Apache-2.0
// Writes each row of training metrics to metrics.csv, metrics.jsonl and TensorBoard events in a run folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/csv_writer.h"
#include "train/jsonl_writer.h"
#include "train/tensorboard_writer.h"

namespace stampede {

// Names follow CleanRL's tags: "charts/episodic_return", "charts/SPS", "losses/value_loss", "eval/return_mean".
struct MetricsRow {
  std::int64_t env_step = 0;
  std::vector<NamedValue> values;  // in any order; a subset of the declared names
};

// The CSV columns are the declared names, in their order. A row that lacks some leaves them empty; a name that was not
// declared is a std::logic_error. Values that are not finite are empty in CSV, null in JSONL, absent in TensorBoard.
// With `resume_step` the files keep their rows up to that step. RuntimeError when a file cannot be written.
class MetricsWriter {
 public:
  MetricsWriter(const std::string& folder, std::vector<std::string> names,
                std::optional<std::int64_t> resume_step = {});

  void write(const MetricsRow& row);
  void flush();

 private:
  std::vector<std::string> names_;
  std::vector<double> columns_;  // reused by every row [names]
  CsvWriter csv_;
  JsonlWriter jsonl_;
  TensorBoardWriter tensorboard_;
};

}  // namespace stampede
