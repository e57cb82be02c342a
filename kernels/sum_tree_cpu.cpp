// SPDX-License-Identifier: Apache-2.0
#include "kernels/sum_tree_cpu.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/launch.h"
#include "kernels/sum_tree_blocks.h"

namespace stampede {
namespace {

constexpr int kFan = SumTreeView::kFan;

std::size_t children_of(int node) { return static_cast<std::size_t>(node) * kFan; }

int highest_bit(std::uint32_t mask) { return 31 - __builtin_clz(mask | 1); }

// Within a node: sums are a binary tree of halves; prefix sums double their reach five times, as a warp's do.
#if defined(__AVX512F__) && defined(__AVX512DQ__)

// Full masks, because gcc 12 warns about the undefined pass-through operand of some unmasked forms.
double sum_of_leaves(const float* leaves) {
  const __m512d a = _mm512_maskz_cvtps_pd(0xFF, _mm256_load_ps(leaves));
  const __m512d b = _mm512_maskz_cvtps_pd(0xFF, _mm256_load_ps(leaves + 8));
  const __m512d c = _mm512_maskz_cvtps_pd(0xFF, _mm256_load_ps(leaves + 16));
  const __m512d d = _mm512_maskz_cvtps_pd(0xFF, _mm256_load_ps(leaves + 24));
  const __m512d eight = _mm512_add_pd(_mm512_add_pd(a, c), _mm512_add_pd(b, d));
  const __m256d four =
      _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xF, eight, 0), _mm512_maskz_extractf64x4_pd(0xF, eight, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// The elements `reach` places before those of `high`, taken from `low` where they lie in front of it.
template <int reach>
__m512d before(__m512d high, __m512d low) {
  return _mm512_castsi512_pd(
      _mm512_maskz_alignr_epi64(0xFF, _mm512_castpd_si512(high), _mm512_castpd_si512(low), 8 - reach));
}
template <int reach>
__m512 before(__m512 high, __m512 low) {
  return _mm512_castsi512_ps(
      _mm512_maskz_alignr_epi32(0xFFFF, _mm512_castps_si512(high), _mm512_castps_si512(low), 16 - reach));
}

template <int reach>
void extend_prefixes(__m512d (&v)[4]) {
  const __m512d old[4] = {v[0], v[1], v[2], v[3]};
  v[0] = _mm512_add_pd(old[0], before<reach>(old[0], _mm512_setzero_pd()));
  for (int i = 1; i < 4; ++i) v[i] = _mm512_add_pd(old[i], before<reach>(old[i], old[i - 1]));
}

double sum_of_children(const double* sums, double* starts) {
  const __m512d zero = _mm512_setzero_pd();
  __m512d child[4], v[4];
  for (int i = 0; i < 4; ++i) v[i] = child[i] = _mm512_load_pd(sums + 8 * i);
  extend_prefixes<1>(v);
  extend_prefixes<2>(v);
  extend_prefixes<4>(v);
  for (int i = 3; i > 0; --i) v[i] = _mm512_add_pd(v[i], v[i - 1]);
  for (int i = 3; i > 1; --i) v[i] = _mm512_add_pd(v[i], v[i - 2]);
  for (int i = 0; i < 4; ++i) {
    const __m512d start = before<1>(v[i], i == 0 ? zero : v[i - 1]);
    const __mmask8 some = _mm512_cmp_pd_mask(child[i], zero, _CMP_GT_OQ);
    _mm512_store_pd(starts + 8 * i, _mm512_mask_mov_pd(_mm512_set1_pd(INFINITY), some, start));
  }
  const __m128d last = _mm512_maskz_extractf64x2_pd(0x3, v[3], 3);
  return _mm_cvtsd_f64(_mm_unpackhi_pd(last, last));
}

int child_at(const double* starts, double position) {
  const __m512d p = _mm512_set1_pd(position);
  std::uint32_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __mmask8 m = _mm512_cmp_pd_mask(_mm512_load_pd(starts + 8 * i), p, _CMP_LE_OQ);
    mask |= static_cast<std::uint32_t>(m) << (8 * i);
  }
  return highest_bit(mask);
}

template <int reach>
void extend_prefixes(__m512& low, __m512& high) {
  const __m512 high_before = before<reach>(high, low);
  low = _mm512_add_ps(low, before<reach>(low, _mm512_setzero_ps()));
  high = _mm512_add_ps(high, high_before);
}

int leaf_at(const float* leaves, float position) {
  const __m512 zero = _mm512_setzero_ps(), p = _mm512_set1_ps(position);
  const __m512 first = _mm512_load_ps(leaves), second = _mm512_load_ps(leaves + 16);
  __m512 low = first, high = second;
  extend_prefixes<1>(low, high);
  extend_prefixes<2>(low, high);
  extend_prefixes<4>(low, high);
  extend_prefixes<8>(low, high);
  high = _mm512_add_ps(high, low);
  const __mmask16 low_mask =
      _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(first, zero, _CMP_GT_OQ), before<1>(low, zero), p, _CMP_LE_OQ);
  const __mmask16 high_mask =
      _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(second, zero, _CMP_GT_OQ), before<1>(high, low), p, _CMP_LE_OQ);
  return highest_bit(static_cast<std::uint32_t>(high_mask) << 16 | low_mask);
}

#else

double sum_of_leaves(const float* leaves) {
  double sum[kFan];
  for (int i = 0; i < kFan; ++i) sum[i] = leaves[i];
  for (int width = kFan / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) sum[i] += sum[i + width];
  }
  return sum[0];
}

template <class T>
void prefix_sums(T (&v)[kFan]) {
  for (int reach = 1; reach < kFan; reach *= 2) {
    for (int i = kFan - 1; i >= reach; --i) v[i] += v[i - reach];
  }
}

double sum_of_children(const double* sums, double* starts) {
  double prefix[kFan];
  std::copy_n(sums, kFan, prefix);
  prefix_sums(prefix);
  for (int i = 0; i < kFan; ++i) {
    const double start = i == 0 ? 0.0 : prefix[i - 1];
    starts[i] = sums[i] > 0.0 ? start : static_cast<double>(INFINITY);
  }
  return prefix[kFan - 1];
}

int child_at(const double* starts, double position) {
  std::uint32_t mask = 0;
  for (int i = 0; i < kFan; ++i) mask |= static_cast<std::uint32_t>(starts[i] <= position) << i;
  return highest_bit(mask);
}

int leaf_at(const float* leaves, float position) {
  float prefix[kFan];
  std::copy_n(leaves, kFan, prefix);
  prefix_sums(prefix);
  std::uint32_t mask = 0;
  for (int i = 0; i < kFan; ++i) {
    const float start = i == 0 ? 0.0f : prefix[i - 1];
    mask |= static_cast<std::uint32_t>((leaves[i] > 0.0f) & (start <= position)) << i;
  }
  return highest_bit(mask);
}

#endif

void recompute_node(const SumTreeView& tree, int level, int node) {
  const std::size_t child = children_of(node);
  tree.sums[level][node] = level == 1 ? sum_of_leaves(tree.leaves + child)
                                      : sum_of_children(tree.sums[level - 1] + child, tree.starts[level - 1] + child);
}

// Nodes of one level do not depend on each other.
template <class NodeAt>
void recompute_nodes(const Stream& stream, const SumTreeView& tree, int level, int count, const NodeAt& node_at) {
  for_each_chunk(
      stream, count,
      [&](int begin, int end) {
        for (int i = begin; i < end; ++i) recompute_node(tree, level, node_at(i));
      },
      256);
}

// The distinct parents of `nodes`, in the order of their first child.
template <class Parent>
int list_parents(const Parent& parent, int count, std::uint8_t* flags, std::int32_t* list) {
  int listed = 0;
  for (int i = 0; i < count; ++i) {
    const std::int32_t node = parent(i);
    list[listed] = node;
    listed += flags[node] ^ 1;
    flags[node] = 1;
  }
  for (int i = 0; i < listed; ++i) flags[list[i]] = 0;
  return listed;
}

// How many draws descend together, so that their cache misses overlap.
constexpr int kGroup = 128;

struct DrawGroups {
  SumTreeView tree;
  RandomKey key;
  DrawKind kind;
  int count;
  std::int32_t* indices;
  float* priorities;

  // begin is a multiple of kGroup.
  void operator()(int begin, int end) const {
    for (int group = begin; group < end; group += kGroup) draw(group, std::min(kGroup, end - group));
  }

  void draw(int begin, int size) const {
    double position[kGroup];
    std::int32_t node[kGroup] = {};
    place(begin, position);
    for (int level = tree.levels - 1; level > 0; --level) {
      const double* const starts = tree.starts[level];
      for (int i = 0; i < size; ++i) {
        const std::size_t first = children_of(node[i]);
        const int child = child_at(starts + first, position[i]);
        position[i] -= starts[first + static_cast<std::size_t>(child)];
        node[i] = static_cast<std::int32_t>(first) + child;
        prefetch_children(level - 1, node[i]);
      }
    }
    for (int i = 0; i < size; ++i) {
      const std::size_t first = children_of(node[i]);
      const std::size_t leaf =
          first + static_cast<std::size_t>(leaf_at(tree.leaves + first, static_cast<float>(position[i])));
      indices[begin + i] = static_cast<std::int32_t>(leaf);
      priorities[begin + i] = tree.leaves[leaf];
    }
  }

  void place(int begin, double* position) const {
    const double total = *tree.total(), share = total / count;
    STAMPEDE_INDEPENDENT
    for (int pair = 0; pair < kGroup / 2; ++pair) {
      const PhiloxBlock words = key.block(static_cast<std::uint32_t>(begin / 2 + pair), 0);
      const int k = begin + 2 * pair;
      position[2 * pair] = draw_position(words.word, k, kind, total, share);
      position[2 * pair + 1] = draw_position(words.word + 2, k + 1, kind, total, share);
    }
  }

  void prefetch_children(int level, int node) const {
    const std::size_t first = children_of(node);
    const char* const line = level == 0 ? reinterpret_cast<const char*>(tree.leaves + first)
                                        : reinterpret_cast<const char*>(tree.starts[level] + first);
    __builtin_prefetch(line);
    __builtin_prefetch(line + 64);
    if (level == 0) return;
    __builtin_prefetch(line + 128);
    __builtin_prefetch(line + 192);
  }
};

}  // namespace

void cpu_refresh(const Stream& stream, const SumTreeView& tree, const DirtyNodes& dirty, const std::int32_t* indices,
                 int count) {
  std::int32_t *list = dirty.lists, *next = dirty.lists + dirty.list_size;
  int listed = list_parents([&](int i) { return indices[i] / kFan; }, count, dirty.flags, list);
  for (int level = 1;; ++level) {
    recompute_nodes(stream, tree, level, listed, [&](int i) { return list[i]; });
    if (level == tree.levels) return;
    listed = list_parents([&](int i) { return list[i] / kFan; }, listed, dirty.flags, next);
    std::swap(list, next);
  }
}

void cpu_refresh_range(const Stream& stream, const SumTreeView& tree, int begin, int end) {
  for (int level = 1; level <= tree.levels; ++level) {
    begin /= kFan;
    end = (end - 1) / kFan + 1;
    recompute_nodes(stream, tree, level, end - begin, [&](int i) { return begin + i; });
  }
}

void cpu_draw(const Stream& stream, const SumTreeView& tree, const RandomKey& key, DrawKind kind, int count,
              std::int32_t* indices, float* priorities) {
  for_each_chunk(stream, count, DrawGroups{tree, key, kind, count, indices, priorities}, 2 * kGroup);
}

}  // namespace stampede
