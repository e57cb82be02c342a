// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <memory>
#include <utility>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "train/safetensors.h"

namespace stampede {
namespace {

constexpr const char* kFormat = "stampede checkpoint 1";

TensorType tensor_type(StateBlock::Type type) {
  switch (type) {
    case StateBlock::Type::kF32:
      return TensorType::kF32;
    case StateBlock::Type::kF64:
      return TensorType::kF64;
    case StateBlock::Type::kI64:
      return TensorType::kI64;
    case StateBlock::Type::kU32:
      return TensorType::kU32;
    case StateBlock::Type::kU8:
      return TensorType::kU8;
  }
  return TensorType::kU8;
}

TensorShape tensor_shape(const TensorLayout& layout) {
  if (layout.columns == 0) return {static_cast<std::uint64_t>(layout.rows)};
  return {static_cast<std::uint64_t>(layout.rows), static_cast<std::uint64_t>(layout.columns)};
}

// Visits the elements of a tensor in its stored order: visit(position in the file, position in the block).
template <class Visit>
void for_each_element(const TensorLayout& layout, const Visit& visit) {
  const int columns = layout.columns == 0 ? 1 : layout.columns;
  std::size_t k = 0;
  for (int r = 0; r < layout.rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      visit(k++, layout.offset + static_cast<std::size_t>(r) * layout.row_stride +
                     static_cast<std::size_t>(c) * layout.column_stride);
    }
  }
}

using HostTensors = std::vector<std::unique_ptr<std::vector<float>>>;

void add_parameter_tensors(const StateBlock& block, const Stream& stream, HostTensors& memory,
                           std::vector<TensorSource>& sources) {
  const std::vector<float> host =
      to_host(stream, View<float>{static_cast<float*>(block.data), {block.spec->parameter_count()}});
  for (const TensorLayout& layout : block.spec->tensors()) {
    auto values = std::make_unique<std::vector<float>>(
        static_cast<std::size_t>(layout.rows) * static_cast<std::size_t>(layout.columns == 0 ? 1 : layout.columns));
    for_each_element(layout, [&](std::size_t k, std::size_t from) { (*values)[k] = host[from]; });
    sources.push_back({block.name + "." + layout.name, TensorType::kF32, tensor_shape(layout), values->data()});
    memory.push_back(std::move(values));
  }
}

void read_parameter_tensors(const SafetensorsFile& file, const StateBlock& block, const Stream& stream) {
  std::vector<float> host(block.spec->parameter_count(), 0.0f);
  for (const TensorLayout& layout : block.spec->tensors()) {
    std::vector<float> values(static_cast<std::size_t>(layout.rows) *
                              static_cast<std::size_t>(layout.columns == 0 ? 1 : layout.columns));
    file.read(block.name + "." + layout.name, TensorType::kF32, tensor_shape(layout), values.data());
    for_each_element(layout, [&](std::size_t k, std::size_t to) { host[to] = values[k]; });
  }
  copy_to_device(stream, block.data, host.data(), host.size() * sizeof(float));
}

TensorSource device_source(const StateBlock& block, const Stream& stream) {
  TensorSource source{block.name, tensor_type(block.type), block.shape};
  const auto* base = static_cast<const std::byte*>(block.data);
  source.fill = [base, &stream](std::uint64_t offset, std::span<std::byte> chunk) {
    copy_to_host(stream, chunk.data(), base + offset, chunk.size());
  };
  return source;
}

std::int64_t number(const SafetensorsFile& file, const std::string& path, const std::string& key) {
  const std::string& text = file.require_metadata(key);
  try {
    return std::stoll(text);
  } catch (const std::exception&) {
    throw RuntimeError(path + ": '" + key + "' is not a number: " + text);
  }
}

CheckpointInfo info_of(const SafetensorsFile& file, const std::string& path) {
  if (file.require_metadata("format") != kFormat) {
    throw RuntimeError(path + ": is not a checkpoint of this version (" + file.metadata().at("format") + ")");
  }
  return {file.require_metadata("algorithm"), file.require_metadata("environment"),
          file.require_metadata("config"),    number(file, path, "with_replay") != 0,
          number(file, path, "rows"),         number(file, path, "first_reached"),
          number(file, path, "solved_at")};
}

}  // namespace

void save_checkpoint(const std::string& path, Trainer& trainer, const Stream& stream, const CheckpointInfo& info) {
  HostTensors memory;
  std::vector<TensorSource> sources;
  const std::vector<StateBlock> blocks = trainer.state_blocks(info.with_replay);
  for (const StateBlock& block : blocks) {
    if (block.spec) {
      add_parameter_tensors(block, stream, memory, sources);
    } else {
      sources.push_back(device_source(block, stream));
    }
  }
  Metadata metadata{{"format", kFormat},
                    {"algorithm", info.algorithm},
                    {"environment", info.environment},
                    {"config", info.config},
                    {"with_replay", info.with_replay ? "1" : "0"},
                    {"rows", std::to_string(trainer.rows())},
                    {"first_reached", std::to_string(info.first_reached)},
                    {"solved_at", std::to_string(info.solved_at)}};
  for (const auto& [name, value] : trainer.state_counters()) metadata["counter." + name] = std::to_string(*value);
  write_safetensors(path, sources, metadata);
}

CheckpointInfo read_checkpoint_info(const std::string& path) {
  const SafetensorsFile file(path);
  return info_of(file, path);
}

void load_checkpoint(const std::string& path, Trainer& trainer, const Stream& stream) {
  const SafetensorsFile file(path);
  const CheckpointInfo info = info_of(file, path);
  const std::vector<StateBlock> blocks = trainer.state_blocks(info.with_replay);
  for (const auto& [name, value] : trainer.state_counters()) *value = number(file, path, "counter." + name);
  for (const StateBlock& block : blocks) {
    if (block.spec) {
      read_parameter_tensors(file, block, stream);
      continue;
    }
    auto* base = static_cast<std::byte*>(block.data);
    file.read(block.name, tensor_type(block.type), block.shape,
              [&](std::uint64_t offset, std::span<const std::byte> chunk) {
                copy_to_device(stream, base + offset, chunk.data(), chunk.size());
              });
  }
  trainer.restored(info.with_replay);
}

}  // namespace stampede
