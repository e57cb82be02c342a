// SPDX-License-Identifier: Apache-2.0
#include "train/crc32c.h"

#include <array>
#include <cstring>

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace stampede {
#ifdef __SSE4_2__

std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t crc) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t state = ~crc;
  for (; size >= 8; size -= 8, bytes += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes, 8);
    state = _mm_crc32_u64(state, word);
  }
  for (; size > 0; --size, ++bytes) state = _mm_crc32_u8(static_cast<std::uint32_t>(state), *bytes);
  return ~static_cast<std::uint32_t>(state);
}

#else
namespace {

constexpr std::array<std::uint32_t, 256> byte_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit) state = (state & 1) ? (state >> 1) ^ 0x82f63b78u : state >> 1;
    table[byte] = state;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t crc) {
  static constexpr std::array<std::uint32_t, 256> kTable = byte_table();
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t state = ~crc;
  for (; size > 0; --size, ++bytes) state = kTable[(state ^ *bytes) & 0xffu] ^ (state >> 8);
  return ~state;
}

#endif
}  // namespace stampede
