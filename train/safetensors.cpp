// SPDX-License-Identifier: Apache-2.0
#include "train/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "kernels/error.h"
#include "train/atomic_file.h"
#include "train/crc32c.h"

namespace stampede {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr std::uint64_t kChunk = std::uint64_t{1} << 22;
constexpr std::string_view kHeaderChecksum = "crc32c";
constexpr std::string_view kTensorChecksum = "crc32c:";
constexpr std::string_view kNoChecksum = "00000000";

[[noreturn]] void refuse_file(const std::string& path, const std::string& reason) {
  throw RuntimeError("cannot read '" + path + "': " + reason);
}

std::string hex_text(std::uint32_t value) {
  std::array<char, 9> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%08x", value);
  return buffer.data();
}

// Wider elements first, so that every tensor starts at a multiple of its element size.
std::vector<const TensorSource*> layout_order(std::span<const TensorSource> tensors) {
  std::vector<const TensorSource*> order;
  for (const TensorSource& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorSource* a, const TensorSource* b) {
    return tensor_type_size(a->type) > tensor_type_size(b->type);
  });
  return order;
}

Json header_of(const std::vector<const TensorSource*>& order, const Metadata& metadata) {
  Json header = {{"__metadata__", Json::object()}};
  header["__metadata__"][std::string(kHeaderChecksum)] = kNoChecksum;
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  std::uint64_t begin = 0;
  for (const TensorSource* tensor : order) {
    if (header.contains(tensor->name)) throw std::logic_error("tensor '" + tensor->name + "' is written twice");
    header["__metadata__"][std::string(kTensorChecksum) + tensor->name] = kNoChecksum;
    const std::uint64_t end = begin + tensor_bytes(tensor->type, tensor->shape).value();
    header[tensor->name] = {
        {"dtype", tensor_type_name(tensor->type)}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  return header;
}

std::string padded_text(const Json& header) {
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::uint32_t write_tensor(AtomicFile& file, const TensorSource& tensor) {
  const std::uint64_t size = tensor_bytes(tensor.type, tensor.shape).value();
  std::vector<std::byte> buffer(tensor.fill ? std::min(size, kChunk) : 0);
  std::uint32_t checksum = 0;
  for (std::uint64_t offset = 0; offset < size; offset += kChunk) {
    const std::uint64_t count = std::min(kChunk, size - offset);
    const std::byte* chunk = buffer.data();
    if (tensor.fill) {
      tensor.fill(offset, std::span(buffer.data(), count));
    } else {
      chunk = static_cast<const std::byte*>(tensor.data) + offset;
    }
    checksum = crc32c(chunk, count, checksum);
    file.write(chunk, count);
  }
  return checksum;
}

bool is_tensor_entry(const Json& value) {
  const auto is_unsigned_list = [&](const char* key) {
    if (!value.contains(key) || !value[key].is_array()) return false;
    return std::all_of(value[key].begin(), value[key].end(),
                       [](const Json& item) { return item.is_number_unsigned(); });
  };
  return value.is_object() && value.size() == 3 && value.contains("dtype") && value["dtype"].is_string() &&
         is_unsigned_list("shape") && is_unsigned_list("data_offsets") && value["data_offsets"].size() == 2;
}

// Begins are relative to the data section.
TensorEntry parse_tensor(const std::string& path, const std::string& name, const Json& value) {
  const std::string tensor = "tensor '" + name + "' ";
  if (!is_tensor_entry(value)) refuse_file(path, tensor + "lacks a valid dtype, shape or data_offsets");
  const std::string dtype = value["dtype"].get<std::string>();
  const std::optional<TensorType> type = tensor_type_named(dtype);
  if (!type) refuse_file(path, tensor + "has the unsupported dtype " + dtype);
  TensorEntry entry{*type, value["shape"].get<TensorShape>(), value["data_offsets"][0].get<std::uint64_t>(), 0};
  const std::uint64_t end = value["data_offsets"][1].get<std::uint64_t>();
  if (entry.begin > end) refuse_file(path, tensor + "ends before it begins");
  entry.size = end - entry.begin;
  if (tensor_bytes(entry.type, entry.shape) == entry.size) return entry;
  refuse_file(path, tensor + "has " + std::to_string(entry.size) + " bytes, which do not fit its shape " +
                        shape_text(entry.shape) + " of " + dtype);
}

}  // namespace

// The header comes first in the file but holds the checksums of what follows, so it is written twice.
void write_safetensors(const std::string& path, std::span<const TensorSource> tensors, const Metadata& metadata) {
  const std::vector<const TensorSource*> order = layout_order(tensors);
  Json header = header_of(order, metadata);
  std::string text = padded_text(header);
  const std::uint64_t length = text.size();
  if (length > kMaxHeader) throw RuntimeError("cannot write '" + path + "': the header exceeds 100 MB");
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  Json& checksums = header["__metadata__"];
  for (const TensorSource* tensor : order) {
    checksums[std::string(kTensorChecksum) + tensor->name] = hex_text(write_tensor(file, *tensor));
  }
  text = padded_text(header);
  checksums[std::string(kHeaderChecksum)] = hex_text(crc32c(text.data(), text.size()));
  text = padded_text(header);
  file.write_at(sizeof length, text.data(), text.size());
  file.commit();
}

SafetensorsFile::SafetensorsFile(std::string path) : path_(std::move(path)) {
  // Non-blocking, so that opening a pipe returns and can be refused.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) refuse(std::strerror(errno));
  try {
    read_header();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { ::close(descriptor_); }

void SafetensorsFile::read_header() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse("not a regular file");
  const auto file_size = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t length = 0;
  if (file_size < sizeof length) refuse("truncated: " + std::to_string(file_size) + " bytes are no safetensors file");
  read_bytes(0, &length, sizeof length);
  if (length > kMaxHeader) refuse("not a safetensors file (header length " + std::to_string(length) + ")");
  if (length > file_size - sizeof length) {
    refuse("truncated or not a safetensors file (header of " + std::to_string(length) + " bytes in a file of " +
           std::to_string(file_size) + ")");
  }
  std::string header(length, '\0');
  read_bytes(sizeof length, header.data(), length);
  if (!header.starts_with('{')) refuse("not a safetensors file (the header is no JSON object)");
  parse_header(header, sizeof length + length, file_size - sizeof length - length);
  check_header_checksum(std::move(header));
}

void SafetensorsFile::parse_header(const std::string& header, std::uint64_t data_begin, std::uint64_t data_size) {
  const Json json = Json::parse(header, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse("the header is not valid JSON");
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) refuse("'__metadata__' is no object");
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) refuse("metadata '" + key + "' is no string");
        (key.starts_with(kHeaderChecksum) ? checksums_ : metadata_)[key] = text.get<std::string>();
      }
      continue;
    }
    if (!tensors_.emplace(name, parse_tensor(path_, name, value)).second) refuse("tensor '" + name + "' appears twice");
  }
  check_layout(data_begin, data_size);
  for (auto& [name, entry] : tensors_) entry.begin += data_begin;
}

// The tensors must cover the data exactly: no overlap, no hole, nothing before or after.
void SafetensorsFile::check_layout(std::uint64_t data_begin, std::uint64_t data_size) const {
  std::vector<const std::pair<const std::string, TensorEntry>*> order;
  for (const auto& tensor : tensors_) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.size) < std::pair(b->second.begin, b->second.size);
  });
  std::uint64_t covered = 0;
  for (const auto* tensor : order) {
    if (tensor->second.begin < covered) refuse("tensor '" + tensor->first + "' overlaps the one before it");
    if (tensor->second.begin > covered) refuse("there is a hole in the data before tensor '" + tensor->first + "'");
    covered += tensor->second.size;
  }
  if (covered > data_size) {
    refuse("truncated: " + std::to_string(data_begin + data_size) + " of " + std::to_string(data_begin + covered) +
           " bytes");
  }
  if (covered < data_size) refuse(std::to_string(data_size - covered) + " bytes follow the last tensor");
}

// The header's checksum is that of the header with zeros in the checksum's own place.
void SafetensorsFile::check_header_checksum(std::string header) {
  const auto stored = checksums_.find(std::string(kHeaderChecksum));
  if (checksums_.empty()) return;
  if (stored == checksums_.end()) refuse("corrupt: the header lacks its checksum");
  const std::string field = "\"" + std::string(kHeaderChecksum) + "\":\"";
  const std::size_t place = header.find(field + stored->second + "\"");
  if (place == std::string::npos || stored->second.size() != kNoChecksum.size()) refuse("corrupt: malformed checksum");
  header.replace(place + field.size(), kNoChecksum.size(), kNoChecksum);
  if (hex_text(crc32c(header.data(), header.size())) != stored->second)
    refuse("corrupt: the header fails its checksum");
}

const std::string& SafetensorsFile::require_metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) refuse("lacks the metadata '" + key + "'");
  return found->second;
}

void SafetensorsFile::read(const std::string& name, TensorType type, const TensorShape& shape, void* data) const {
  auto* bytes = static_cast<std::byte*>(data);
  const TensorEntry& entry = require(name, type, shape);
  std::uint32_t checksum = 0;
  for (std::uint64_t offset = 0; offset < entry.size; offset += kChunk) {
    const std::uint64_t count = std::min(kChunk, entry.size - offset);
    read_bytes(entry.begin + offset, bytes + offset, count);
    checksum = crc32c(bytes + offset, count, checksum);
  }
  check_tensor_checksum(name, checksum);
}

void SafetensorsFile::read(const std::string& name, TensorType type, const TensorShape& shape,
                           const std::function<void(std::uint64_t, std::span<const std::byte>)>& sink) const {
  const TensorEntry& entry = require(name, type, shape);
  std::vector<std::byte> buffer(std::min(entry.size, kChunk));
  std::uint32_t checksum = 0;
  for (std::uint64_t offset = 0; offset < entry.size; offset += kChunk) {
    const std::uint64_t count = std::min(kChunk, entry.size - offset);
    read_bytes(entry.begin + offset, buffer.data(), count);
    checksum = crc32c(buffer.data(), count, checksum);
    sink(offset, std::span<const std::byte>(buffer.data(), count));
  }
  check_tensor_checksum(name, checksum);
}

const TensorEntry& SafetensorsFile::require(const std::string& name, TensorType type, const TensorShape& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) refuse("lacks the tensor '" + name + "'");
  const TensorEntry& entry = found->second;
  if (entry.type != type) {
    refuse("tensor '" + name + "' is " + std::string(tensor_type_name(entry.type)) + ", expected " +
           std::string(tensor_type_name(type)));
  }
  if (entry.shape != shape) {
    refuse("tensor '" + name + "' has shape " + shape_text(entry.shape) + ", expected " + shape_text(shape));
  }
  return entry;
}

void SafetensorsFile::check_tensor_checksum(const std::string& name, std::uint32_t found) const {
  const auto stored = checksums_.find(std::string(kTensorChecksum) + name);
  if (stored == checksums_.end() || stored->second == hex_text(found)) return;
  refuse("corrupt: tensor '" + name + "' fails its checksum");
}

void SafetensorsFile::read_bytes(std::uint64_t offset, void* data, std::uint64_t size) const {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, bytes, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(std::strerror(errno));
    if (got == 0) refuse("truncated while it was read");
    bytes += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::uint64_t>(got);
  }
}

void SafetensorsFile::refuse(const std::string& reason) const { refuse_file(path_, reason); }

}  // namespace stampede
