// Max and average pooling of one row of pixels, built once for each instruction set and chosen at run time.
//
// A plane is one image of one channel block: H x W pixels of `block` consecutive channels, in both layouts.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// Rows or columns from `begin` up to, but not including, `end`.
struct PoolSpan {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// Everything about a pooling that does not change from plane to plane. Output (oh, ow) looks at the source rows
/// src_rows[oh] and columns src_columns[ow]; source pixel (h, w) is seen by the outputs dst_rows[h] x dst_columns[w].
struct PoolPlane {
  std::int64_t src_width = 0, dst_width = 0;
  std::int64_t block = 0;
  std::int32_t kernel = 0, stride = 0, pad = 0;
  const PoolSpan* src_rows = nullptr;
  const PoolSpan* src_columns = nullptr;
  const PoolSpan* dst_rows = nullptr;
  const PoolSpan* dst_columns = nullptr;
  /// Average: a window's weight is row_share[oh] * column_share[ow], one over the pixels it counts.
  const float* row_share = nullptr;
  const float* column_share = nullptr;
};

/// Taps of windows up to this size fit a byte; larger ones take two.
constexpr std::int32_t kMostByteTaps = 16;

/// The pointers are a plane's first elements; forward computes row `row` of the result, backward of diff_src.
template <class T>
struct PoolKernels {
  /// `taps`, unless null, gets for each output the position of its maximum in the window, row by row: a byte each, or
  /// two where the kernel exceeds kMostByteTaps. Of several equal maxima the first wins; a NaN beats every number.
  void (*max)(const PoolPlane&, std::int64_t row, const T* src, T* dst, void* taps);
  void (*max_backward)(const PoolPlane&, std::int64_t row, const T* diff_dst, const void* taps, T* diff_src);
  void (*average)(const PoolPlane&, std::int64_t row, const T* src, T* dst);
  void (*average_backward)(const PoolPlane&, std::int64_t row, const T* diff_dst, T* diff_src);
};

template <class T>
const PoolKernels<T>& pool_kernels(Isa isa = cpu_isa());

}  // namespace sluice
