// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the checksum of TensorBoard records and of checkpoint data.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stampede {

// Checksum of `size` bytes that continue a text whose checksum so far is `crc` (0 for none).
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t crc = 0);

}  // namespace stampede
