// SPDX-License-Identifier: Apache-2.0
// Writes and reads safetensors files: 8-byte little-endian header length, JSON header, tensor data.
// Format: https://github.com/huggingface/safetensors#format. The bytes depend on the arguments alone (no time, host,
// path).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/tensor_type.h"

namespace stampede {

using Metadata = std::map<std::string, std::string>;

// One tensor to write. Either `data` points to all of it in host memory, or `fill(offset, chunk)` is asked for its
// bytes piece by piece in ascending order (for data on another device).
struct TensorSource {
  std::string name;
  TensorType type = TensorType::kF32;
  TensorShape shape;
  const void* data = nullptr;  // [shape...]
  std::function<void(std::uint64_t offset, std::span<std::byte> chunk)> fill = {};
};

// Replaces `path` atomically. Metadata keys that start with "crc32c" are reserved for the checksums this adds: one of
// the header and one per tensor. RuntimeError when the file cannot be written; std::logic_error for a name used twice.
void write_safetensors(const std::string& path, std::span<const TensorSource> tensors, const Metadata& metadata);

struct TensorEntry {
  TensorType type = TensorType::kF32;
  TensorShape shape;
  std::uint64_t begin = 0;  // bytes from the start of the file
  std::uint64_t size = 0;   // bytes
};

// An open, validated file. The constructor reads and checks the header and the file's length; tensors are read on
// demand into the caller's memory and checked against their checksum, if the file has one. Every refusal is a
// RuntimeError with the file name and the reason.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::string path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const Metadata& metadata() const& { return metadata_; }  // without the checksums
  const std::string& require_metadata(const std::string& key) const;
  const std::map<std::string, TensorEntry>& tensors() const& { return tensors_; }
  void metadata() && = delete;  // would dangle
  void tensors() && = delete;
  bool has(const std::string& name) const { return tensors_.count(name) != 0; }

  // Copies a tensor whose type and shape must be the given ones.
  void read(const std::string& name, TensorType type, const TensorShape& shape, void* data) const;  // [shape...]
  // The same, handing out pieces of at most 4 MiB in ascending order. The checksum is known only after the last piece.
  void read(const std::string& name, TensorType type, const TensorShape& shape,
            const std::function<void(std::uint64_t offset, std::span<const std::byte> chunk)>& sink) const;

 private:
  void read_header();
  void parse_header(const std::string& header, std::uint64_t data_begin, std::uint64_t data_size);
  void check_layout(std::uint64_t data_begin, std::uint64_t data_size) const;
  void check_header_checksum(std::string header);
  const TensorEntry& require(const std::string& name, TensorType type, const TensorShape& shape) const;
  void check_tensor_checksum(const std::string& name, std::uint32_t found) const;
  void read_bytes(std::uint64_t offset, void* data, std::uint64_t size) const;
  [[noreturn]] void refuse(const std::string& reason) const;

  std::string path_;
  int descriptor_ = -1;
  Metadata metadata_;
  Metadata checksums_;
  std::map<std::string, TensorEntry> tensors_;
};

}  // namespace stampede
