// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_cublas_lt.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

namespace stampede {
namespace {

FakeCublasLt* current = nullptr;

struct FakeLayout {
  std::uint64_t rows, columns;
  std::int64_t stride;
};

struct FakeDesc {
  CublasLt::ComputeType compute;
  std::int32_t transpose_a = 0, transpose_b = 0;
  std::uint32_t epilogue = CublasLt::kNoEpilogue;
  void* bias = nullptr;
  unsigned char* mask = nullptr;
  std::int64_t mask_bits = 0;

  bool has_mask() const { return (epilogue & 128) != 0; }
  bool has_vector() const { return (epilogue & CublasLt::kBias) != 0 || epilogue == CublasLt::kBiasGradientOfA; }
};

// The library's defaults.
struct FakePreference {
  std::uint64_t workspace = 0;
  std::uint32_t reduction = 7;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

// What an algorithm was chosen for; it computes nothing else.
struct FakeAlgorithm {
  std::uint64_t m, n, k;
  std::uint32_t epilogue, alignment;
  std::uint64_t workspace, strides;
};
static_assert(sizeof(FakeAlgorithm) <= sizeof(CublasLt::Algorithm));

constexpr std::uint64_t kWanted = 1 << 20;  // of workspace, if allowed

CublasLt::Status refuse(const std::string& why) {
  if (current->complaint.empty()) current->complaint = why;
  return CublasLt::kInvalidValue;
}

bool aligned(const void* pointer, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

template <class T>
CublasLt::Status store(T& field, const void* value, std::size_t bytes) {
  if (bytes != sizeof field) return refuse("an attribute of " + std::to_string(bytes) + " bytes");
  std::memcpy(&field, value, bytes);
  return CublasLt::kSuccess;
}

template <class T, class Handle>
CublasLt::Status make(Handle* handle, const T& value) {
  ++current->descriptors;
  *handle = new T(value);
  return CublasLt::kSuccess;
}

template <class T>
CublasLt::Status destroy(void* object) {
  --current->descriptors;
  delete static_cast<T*>(object);
  return CublasLt::kSuccess;
}

CublasLt::Status create(CublasLt::Handle* handle) {
  return current->no_device ? CublasLt::kNotInitialized : make(handle, 0);
}

const char* status_string(CublasLt::Status status) {
  return status == CublasLt::kNotInitialized ? "the library was not initialized" : "something was refused";
}

CublasLt::Status layout_create(CublasLt::Layout* layout, CublasLt::DataType type, std::uint64_t rows,
                               std::uint64_t columns, std::int64_t stride) {
  if (type != CublasLt::kFloat32) return refuse("a layout of another type");
  if (stride < static_cast<std::int64_t>(rows)) return refuse("a leading dimension below the rows");
  return make(layout, FakeLayout{rows, columns, stride});
}

CublasLt::Status desc_create(CublasLt::Desc* desc, CublasLt::ComputeType compute, CublasLt::DataType scale) {
  if (scale != CublasLt::kFloat32) return refuse("a scale of another type");
  return make(desc, FakeDesc{.compute = compute});
}

CublasLt::Status desc_set(CublasLt::Desc handle, CublasLt::DescAttribute attribute, const void* value,
                          std::size_t bytes) {
  FakeDesc& desc = *static_cast<FakeDesc*>(handle);
  if (current->lost.count(attribute) > 0) return CublasLt::kSuccess;
  switch (attribute) {
    case CublasLt::kTransposeA:
      return store(desc.transpose_a, value, bytes);
    case CublasLt::kTransposeB:
      return store(desc.transpose_b, value, bytes);
    case CublasLt::kEpilogue:
      return store(desc.epilogue, value, bytes);
    case CublasLt::kBiasPointer:
      return store(desc.bias, value, bytes);
    case CublasLt::kMaskPointer:
      return store(desc.mask, value, bytes);
    case CublasLt::kMaskStride:
      return store(desc.mask_bits, value, bytes);
  }
  return refuse("an unknown attribute");
}

CublasLt::Status preference_set(CublasLt::Preference handle, CublasLt::PreferenceAttribute attribute, const void* value,
                                std::size_t bytes) {
  FakePreference& preference = *static_cast<FakePreference*>(handle);
  if (attribute == CublasLt::kMaxWorkspace) return store(preference.workspace, value, bytes);
  if (attribute == CublasLt::kReductionMask) return store(preference.reduction, value, bytes);
  const int matrix = attribute - CublasLt::kMinAlignmentA;
  if (matrix < 0 || matrix > 3) return refuse("an unknown preference");
  return store(preference.alignment[matrix], value, bytes);
}

// A matmul as described, or why it is none.
struct FakeProduct {
  const FakeDesc& desc;
  const FakeLayout &a, &b, &c, &d;

  std::uint64_t m() const { return d.rows; }
  std::uint64_t n() const { return d.columns; }
  std::uint64_t k() const { return desc.transpose_a ? a.rows : a.columns; }

  std::string mistake() const {
    const bool fits_a = (desc.transpose_a ? a.columns : a.rows) == m();
    const bool fits_b =
        (desc.transpose_b ? b.columns : b.rows) == k() && (desc.transpose_b ? b.rows : b.columns) == n();
    if (desc.transpose_a != 0 && desc.epilogue == CublasLt::kBiasGradientOfA) return "sums of a transposed A";
    if (!fits_a || !fits_b || c.rows != m() || c.columns != n()) return "matrices do not fit each other";
    if (desc.has_vector() && desc.bias == nullptr) return "no bias pointer";
    if (!desc.has_mask()) return "";
    if (desc.mask == nullptr || !aligned(desc.mask, 16)) return "no mask pointer";
    const bool long_enough = desc.mask_bits >= static_cast<std::int64_t>(m());
    return desc.mask_bits % 128 == 0 && long_enough ? "" : "the mask's leading dimension";
  }

  FakeAlgorithm algorithm(const FakePreference& preference) const {
    const auto strides = static_cast<std::uint64_t>(a.stride * 1000003 + b.stride * 10007 + d.stride * 101);
    return {m(),
            n(),
            k(),
            desc.epilogue,
            *std::min_element(preference.alignment, preference.alignment + 4),
            std::min(preference.workspace, kWanted),
            strides + static_cast<std::uint64_t>(desc.mask_bits)};
  }

  // Bits of a word in an order of its own: nothing may depend on it.
  bool mask_bit(std::uint64_t i, std::uint64_t j) const {
    const std::uint64_t bit = i + j * static_cast<std::uint64_t>(desc.mask_bits);
    return desc.mask[bit / 8] >> (7 - bit % 8) & 1;
  }
  void set_mask_bit(std::uint64_t i, std::uint64_t j, bool on) const {
    const std::uint64_t bit = i + j * static_cast<std::uint64_t>(desc.mask_bits);
    const auto one = static_cast<unsigned char>(1u << (7 - bit % 8));
    desc.mask[bit / 8] = static_cast<unsigned char>(on ? desc.mask[bit / 8] | one : desc.mask[bit / 8] & ~one);
  }

  float finish(double sum, std::uint64_t i, std::uint64_t j) const {
    if ((desc.epilogue & CublasLt::kBias) != 0) sum += static_cast<double>(static_cast<const float*>(desc.bias)[i]);
    if (desc.epilogue == CublasLt::kReluMaskBias) set_mask_bit(i, j, sum > 0.0);
    if ((desc.epilogue & 2) != 0) sum = std::max(sum, 0.0);
    if (desc.epilogue == CublasLt::kReluGradient && !mask_bit(i, j)) sum = 0.0;
    return static_cast<float>(sum);
  }

  void compute(const float* a_data, const float* b_data, float* d_data, float alpha, float beta) const {
    std::vector<double> column(m());
    for (std::uint64_t j = 0; j < n(); ++j) {
      std::fill(column.begin(), column.end(), 0.0);
      for (std::uint64_t p = 0; p < k(); ++p) {
        const auto stride = static_cast<std::uint64_t>(b.stride);
        const auto factor = static_cast<double>(desc.transpose_b ? b_data[j + p * stride] : b_data[p + j * stride]);
        const std::uint64_t down = desc.transpose_a ? static_cast<std::uint64_t>(a.stride) : 1;
        const float* const a_column = a_data + p * (desc.transpose_a ? 1 : static_cast<std::uint64_t>(a.stride));
        for (std::uint64_t i = 0; i < m(); ++i) column[i] += static_cast<double>(a_column[i * down]) * factor;
      }
      float* const d_column = d_data + j * static_cast<std::uint64_t>(d.stride);
      for (std::uint64_t i = 0; i < m(); ++i) {
        // With beta = 0 the library does not read C.
        const double before = beta == 0.0f ? 0.0 : static_cast<double>(beta) * static_cast<double>(d_column[i]);
        d_column[i] = finish(static_cast<double>(alpha) * column[i] + before, i, j);
      }
    }
    if (desc.epilogue != CublasLt::kBiasGradientOfA) return;
    for (std::uint64_t i = 0; i < m(); ++i) {
      double sum = 0.0;
      for (std::uint64_t p = 0; p < k(); ++p) {
        sum += static_cast<double>(a_data[i + p * static_cast<std::uint64_t>(a.stride)]);
      }
      static_cast<float*>(desc.bias)[i] = static_cast<float>(sum);
    }
  }
};

FakeProduct product_of(CublasLt::Desc desc, CublasLt::Layout a, CublasLt::Layout b, CublasLt::Layout c,
                       CublasLt::Layout d) {
  const auto layout = [](CublasLt::Layout handle) -> const FakeLayout& { return *static_cast<FakeLayout*>(handle); };
  return {*static_cast<FakeDesc*>(desc), layout(a), layout(b), layout(c), layout(d)};
}

CublasLt::Status heuristic(CublasLt::Handle, CublasLt::Desc desc, CublasLt::Layout a, CublasLt::Layout b,
                           CublasLt::Layout c, CublasLt::Layout d, CublasLt::Preference handle, int requested,
                           CublasLt::Heuristic* results, int* found) {
  ++current->choices;
  const FakeProduct product = product_of(desc, a, b, c, d);
  const auto& preference = *static_cast<FakePreference*>(handle);
  if (requested < 1) return refuse("no algorithms requested");
  if (const std::string mistake = product.mistake(); !mistake.empty()) return refuse(mistake);
  if ((preference.reduction & ~2u) != 0) return refuse("reductions whose order is open");
  *found = 0;
  const bool supported = current->unsupported.count(static_cast<CublasLt::Epilogue>(product.desc.epilogue)) == 0;
  if (current->no_algorithms || !supported) return CublasLt::kNotSupported;
  *found = 1;
  const FakeAlgorithm algorithm = product.algorithm(preference);
  results[0] = {{}, algorithm.workspace, CublasLt::kSuccess, 1.0f, {}};
  std::memcpy(results[0].algorithm.data, &algorithm, sizeof algorithm);
  return CublasLt::kSuccess;
}

CublasLt::Status matmul(CublasLt::Handle, CublasLt::Desc desc, const void* alpha, const void* a,
                        CublasLt::Layout a_layout, const void* b, CublasLt::Layout b_layout, const void* beta,
                        const void* c, CublasLt::Layout c_layout, void* d, CublasLt::Layout d_layout,
                        const CublasLt::Algorithm* chosen, void* workspace, std::size_t bytes, void* stream) {
  ++current->matmuls;
  const FakeProduct product = product_of(desc, a_layout, b_layout, c_layout, d_layout);
  if (const std::string mistake = product.mistake(); !mistake.empty()) return refuse(mistake);
  FakeAlgorithm algorithm;
  std::memcpy(&algorithm, chosen->data, sizeof algorithm);
  FakePreference same;
  std::fill_n(same.alignment, 4, algorithm.alignment);
  same.workspace = algorithm.workspace;
  const FakeAlgorithm expected = product.algorithm(same);
  if (std::memcmp(&algorithm, &expected, sizeof algorithm) != 0) return refuse("an algorithm of another product");
  for (const void* pointer : {a, b, c, static_cast<const void*>(d)}) {
    if (!aligned(pointer, algorithm.alignment)) return refuse("a pointer not aligned as promised");
  }
  if (bytes < algorithm.workspace || !aligned(workspace, 256)) return refuse("a workspace too small or not aligned");
  if (c != d) return refuse("C apart from D");
  if (stream != nullptr) return refuse("another stream");
  std::fill_n(static_cast<float*>(workspace), algorithm.workspace / sizeof(float),
              std::numeric_limits<float>::quiet_NaN());
  current->used.insert(static_cast<CublasLt::Epilogue>(product.desc.epilogue));
  current->compute = product.desc.compute;
  product.compute(static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(d),
                  *static_cast<const float*>(alpha), *static_cast<const float*>(beta));
  return CublasLt::kSuccess;
}

}  // namespace

FakeCublasLt::FakeCublasLt() { current = this; }

FakeCublasLt::~FakeCublasLt() { current = nullptr; }

CublasLt FakeCublasLt::functions() const {
  CublasLt table{};
  table.create = create;
  table.destroy = destroy<int>;
  table.status_string = status_string;
  table.layout_create = layout_create;
  table.layout_destroy = destroy<FakeLayout>;
  table.desc_create = desc_create;
  table.desc_destroy = destroy<FakeDesc>;
  table.desc_set = desc_set;
  table.preference_create = [](CublasLt::Preference* handle) { return make(handle, FakePreference{}); };
  table.preference_destroy = destroy<FakePreference>;
  table.preference_set = preference_set;
  table.heuristic = heuristic;
  table.matmul = matmul;
  return table;
}

}  // namespace stampede
