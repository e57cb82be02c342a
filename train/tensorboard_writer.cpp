// SPDX-License-Identifier: Apache-2.0
#include "train/tensorboard_writer.h"

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "kernels/error.h"
#include "train/crc32c.h"

namespace stampede {
namespace {

// Field numbers of event.proto and summary.proto.
enum class EventField : std::uint32_t { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
constexpr std::uint32_t kSummaryValue = 1;
constexpr std::uint32_t kValueTag = 1;
constexpr std::uint32_t kValueSimple = 2;
constexpr std::uint32_t kSessionStatus = 1;
constexpr std::uint64_t kSessionStart = 1;

enum class WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <typename T>
void append_raw(std::string& message, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  message.append(bytes.data(), bytes.size());
}

void append_varint(std::string& message, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) message += static_cast<char>(value | 0x80);
  message += static_cast<char>(value);
}

void append_key(std::string& message, std::uint32_t field, WireType type) {
  append_varint(message, field << 3 | static_cast<std::uint32_t>(type));
}

void append_bytes(std::string& message, std::uint32_t field, std::string_view bytes) {
  append_key(message, field, WireType::kBytes);
  append_varint(message, bytes.size());
  message += bytes;
}

void append_integer(std::string& message, std::uint32_t field, std::uint64_t value) {
  append_key(message, field, WireType::kVarint);
  append_varint(message, value);
}

std::string event_at(double wall_time) {
  std::string event;
  append_key(event, static_cast<std::uint32_t>(EventField::kWallTime), WireType::kFixed64);
  append_raw(event, wall_time);
  return event;
}

// Checksums of data that contains checksums are weak, so TFRecord rotates and shifts them.
std::uint32_t masked_crc(std::string_view data) {
  return std::rotr(crc32c(data.data(), data.size()), 15) + 0xa282ead8u;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// TensorBoard reads the files of a folder in the order of their names: first the start time, then a serial number.
std::unique_ptr<AppendFile> next_event_file(const std::string& folder) {
  std::error_code error;
  int serial = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    serial += entry.path().filename().string().starts_with("events.out.tfevents.") ? 1 : 0;
  }
  if (error) throw RuntimeError("cannot write to '" + folder + "': " + error.message());
  for (;; ++serial) {
    std::array<char, 64> name;
    std::snprintf(name.data(), name.size(), "events.out.tfevents.%010lld.%04d", static_cast<long long>(now_seconds()),
                  serial);
    const std::string path = folder + "/" + name.data();
    if (std::filesystem::exists(path)) continue;
    return std::make_unique<AppendFile>(path, AppendFile::Open::kExclude);
  }
}

}  // namespace

std::string encode_version_event(double wall_time) {
  std::string event = event_at(wall_time);
  append_bytes(event, static_cast<std::uint32_t>(EventField::kFileVersion), "brain.Event:2");
  return event;
}

std::string encode_scalar_event(double wall_time, std::int64_t step, std::span<const NamedValue> scalars) {
  std::string summary;
  for (const auto& [tag, scalar] : scalars) {
    if (!std::isfinite(scalar)) continue;
    std::string value;
    append_bytes(value, kValueTag, tag);
    append_key(value, kValueSimple, WireType::kFixed32);
    append_raw(value, static_cast<float>(scalar));
    append_bytes(summary, kSummaryValue, value);
  }
  std::string event = event_at(wall_time);
  append_integer(event, static_cast<std::uint32_t>(EventField::kStep), static_cast<std::uint64_t>(step));
  append_bytes(event, static_cast<std::uint32_t>(EventField::kSummary), summary);
  return event;
}

std::string encode_purge_event(double wall_time, std::int64_t step) {
  std::string session;
  append_integer(session, kSessionStatus, kSessionStart);
  std::string event = event_at(wall_time);
  append_integer(event, static_cast<std::uint32_t>(EventField::kStep), static_cast<std::uint64_t>(step));
  append_bytes(event, static_cast<std::uint32_t>(EventField::kSessionLog), session);
  return event;
}

std::string encode_record(std::string_view data) {
  std::string record;
  append_raw(record, static_cast<std::uint64_t>(data.size()));
  append_raw(record, masked_crc(record));
  record += data;
  append_raw(record, masked_crc(data));
  return record;
}

TensorBoardWriter::TensorBoardWriter(const std::string& folder, std::optional<std::int64_t> resume_step)
    : file_(next_event_file(folder)) {
  file_->append(encode_record(encode_version_event(now_seconds())));
  if (resume_step) file_->append(encode_record(encode_purge_event(now_seconds(), *resume_step + 1)));
  file_->flush();
}

void TensorBoardWriter::write(std::int64_t step, std::span<const NamedValue> scalars) {
  file_->append(encode_record(encode_scalar_event(now_seconds(), step, scalars)));
}

}  // namespace stampede
