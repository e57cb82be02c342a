// SPDX-License-Identifier: Apache-2.0
#include "train/tensor_type.h"

#include <array>

namespace stampede {
namespace {

struct TypeFacts {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<TypeFacts, 7> kTypes = {
    {{"F32", 4}, {"F64", 8}, {"I32", 4}, {"I64", 8}, {"U8", 1}, {"U32", 4}, {"U64", 8}}};

}  // namespace

std::string_view tensor_type_name(TensorType type) { return kTypes[static_cast<std::size_t>(type)].name; }

std::optional<TensorType> tensor_type_named(std::string_view name) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<TensorType>(i);
  }
  return std::nullopt;
}

std::size_t tensor_type_size(TensorType type) { return kTypes[static_cast<std::size_t>(type)].size; }

std::optional<std::uint64_t> tensor_bytes(TensorType type, const TensorShape& shape) {
  std::uint64_t size = tensor_type_size(type);
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(size, extent, &size)) return std::nullopt;
  }
  return size;
}

std::string shape_text(const TensorShape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace stampede
