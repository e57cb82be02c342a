// SPDX-License-Identifier: Apache-2.0
#include "kernels/lane_list.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace stampede {

int list_set_lanes(const std::int32_t* flags, int n, int first, std::int32_t* lanes) {
  int count = 0;
  int k = 0;
#ifdef __AVX512F__
  const __m512i step = _mm512_set1_epi32(16);
  __m512i index = _mm512_add_epi32(_mm512_set1_epi32(first),
                                   _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (; k + 16 <= n; k += 16) {
    const __m512i block = _mm512_loadu_si512(flags + k);
    const __mmask16 set = _mm512_test_epi32_mask(block, block);
    // Compressed in a register and stored whole: a masked compressing store is slow on some processors.
    _mm512_storeu_si512(lanes + count, _mm512_maskz_compress_epi32(set, index));
    count += __builtin_popcount(set);
    index = _mm512_add_epi32(index, step);
  }
#endif
  for (; k < n; ++k) {
    lanes[count] = first + k;
    count += flags[k];
  }
  return count;
}

}  // namespace stampede
