// SPDX-License-Identifier: Apache-2.0
// Writes scalars as TensorBoard event files: TFRecords of hand-encoded `tensorflow.Event` messages, no dependency.
// Formats: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "train/append_file.h"

namespace stampede {

using NamedValue = std::pair<std::string, double>;

// Encoded messages, without the record around them. `wall_time` is in seconds since 1970.
std::string encode_version_event(double wall_time);
std::string encode_scalar_event(double wall_time, std::int64_t step, std::span<const NamedValue> scalars);
// Tells TensorBoard to forget what earlier files hold from `step` on.
std::string encode_purge_event(double wall_time, std::int64_t step);

// Length, masked checksum of the length, data, masked checksum of the data.
std::string encode_record(std::string_view data);

class TensorBoardWriter {
 public:
  // Starts a new event file in `folder`; with `resume_step` it hides what earlier files say about later steps.
  // Every member throws RuntimeError when the file cannot be written.
  explicit TensorBoardWriter(const std::string& folder, std::optional<std::int64_t> resume_step = {});

  // One event with all finite values.
  void write(std::int64_t step, std::span<const NamedValue> scalars);
  void flush() { file_->flush(); }

 private:
  std::unique_ptr<AppendFile> file_;
};

}  // namespace stampede
