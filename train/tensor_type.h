// SPDX-License-Identifier: Apache-2.0
// Element types and shapes of tensors in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

enum class TensorType : std::uint8_t { kF32, kF64, kI32, kI64, kU8, kU32, kU64 };

using TensorShape = std::vector<std::uint64_t>;  // row-major; {} is a scalar

std::string_view tensor_type_name(TensorType type);                  // "F32"
std::optional<TensorType> tensor_type_named(std::string_view name);  // nothing for an unknown name
std::size_t tensor_type_size(TensorType type);                       // bytes per element

// Nothing when the number of bytes does not fit 64 bits.
std::optional<std::uint64_t> tensor_bytes(TensorType type, const TensorShape& shape);

std::string shape_text(const TensorShape& shape);  // "[2, 3]"

}  // namespace stampede
