// Pooling of one row of pixels, 16 channels at a time, for one instruction set. Backward gathers: each source pixel
// adds up what its outputs send it, so that it is written once and rounded once.
#include <type_traits>

#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

// Calls body(channel, whole, lanes) for the channels of a pixel.
template <class Body>
SLUICE_INLINE void for_channels(std::int64_t block, Body&& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= block; c += kLanes) body(c, std::true_type{}, kLanes);
  if (c < block) body(c, std::false_type{}, static_cast<int>(block - c));
}

// The row and column of window (oh, ow) that its first tap stands at; outside of the image where that is padded.
SLUICE_INLINE std::int32_t origin(const PoolPlane& p, std::int64_t o) {
  return static_cast<std::int32_t>(o) * p.stride - p.pad;
}

template <bool kWhole, class Index, class T>
SLUICE_INLINE void max_of(const PoolPlane& p, std::int64_t oh, std::int64_t ow, const T* src, int lanes, T* dst,
                          Index* taps) {
  const PoolSpan rows = p.src_rows[oh], columns = p.src_columns[ow];
  const std::int32_t top = origin(p, oh), left = origin(p, ow);
  F32 best = set(-__builtin_inff());
  I32 index = set((rows.begin - top) * p.kernel + columns.begin - left);
  for (std::int32_t h = rows.begin; h < rows.end; ++h) {
    for (std::int32_t w = columns.begin; w < columns.end; ++w) {
      const F32 v = get<kWhole>(src + (h * p.src_width + w) * p.block, lanes);
      const I32 tap = set((h - top) * p.kernel + w - left);
      index = if_greater(v, best, tap, if_nan(v, tap, index));
      best = if_greater(v, best, v, if_nan(v, v, best));
    }
  }
  put<kWhole>(dst, best, lanes);
  if (taps != nullptr) put_index<kWhole>(taps, index, lanes);
}

template <class Index, class T>
SLUICE_INLINE void max_row(const PoolPlane& p, std::int64_t oh, const T* src, T* dst, Index* taps) {
  for (std::int64_t ow = 0; ow < p.dst_width; ++ow) {
    const std::int64_t at = (oh * p.dst_width + ow) * p.block;
    for_channels(
        p.block, [&](std::int64_t c, auto whole, int lanes) __attribute__((always_inline)) {
          max_of<whole.value>(p, oh, ow, src + c, lanes, dst + at + c, taps == nullptr ? nullptr : taps + at + c);
        });
  }
}

template <class T>
void max(const PoolPlane& p, std::int64_t row, const T* src, T* dst, void* taps) {
  if (p.kernel > kMostByteTaps) return max_row(p, row, src, dst, static_cast<std::uint16_t*>(taps));
  max_row(p, row, src, dst, static_cast<std::uint8_t*>(taps));
}

// Adds up term(oh, ow) over the outputs that see a source pixel: often exactly one.
template <class Term>
SLUICE_INLINE F32 sum_over(PoolSpan rows, PoolSpan columns, Term&& term) {
  if (rows.end - rows.begin == 1 && columns.end - columns.begin == 1) return term(rows.begin, columns.begin);
  F32 sum{};
  for (std::int32_t oh = rows.begin; oh < rows.end; ++oh) {
    for (std::int32_t ow = columns.begin; ow < columns.end; ++ow) sum += term(oh, ow);
  }
  return sum;
}

template <class Index, class T>
SLUICE_INLINE void max_backward_row(const PoolPlane& p, std::int64_t h, const T* diff_dst, const Index* taps,
                                    T* diff_src) {
  const PoolSpan rows = p.dst_rows[h];
  const std::int64_t width = p.src_width, dst_width = p.dst_width, block = p.block;
  const std::int32_t kernel = p.kernel, stride = p.stride;
  for (std::int64_t w = 0; w < width; ++w) {
    const PoolSpan columns = p.dst_columns[w];
    // Output (oh, ow) sees the pixel as tap number first - (oh * kernel + ow) * stride of its window.
    const auto first = static_cast<std::int32_t>((h + p.pad) * kernel + w + p.pad);
    T* const to = diff_src + (h * width + w) * block;
    for_channels(
        block, [&](std::int64_t c, auto whole, int lanes) __attribute__((always_inline)) {
          const auto term = [&](std::int32_t oh, std::int32_t ow) __attribute__((always_inline)) {
            const std::int64_t at = (oh * dst_width + ow) * block + c;
            const I32 tap = set(first - (oh * kernel + ow) * stride);
            return if_equal(get_index<whole.value>(taps + at, lanes), tap, get<whole.value>(diff_dst + at, lanes),
                            F32{});
          };
          put<whole.value>(to + c, sum_over(rows, columns, term), lanes);
        });
  }
}

template <class T>
void max_backward(const PoolPlane& p, std::int64_t row, const T* diff_dst, const void* taps, T* diff_src) {
  if (p.kernel > kMostByteTaps)
    return max_backward_row(p, row, diff_dst, static_cast<const std::uint16_t*>(taps), diff_src);
  max_backward_row(p, row, diff_dst, static_cast<const std::uint8_t*>(taps), diff_src);
}

template <class T>
void average(const PoolPlane& p, std::int64_t oh, const T* src, T* dst) {
  const PoolSpan rows = p.src_rows[oh];
  for (std::int64_t ow = 0; ow < p.dst_width; ++ow) {
    const PoolSpan columns = p.src_columns[ow];
    const F32 share = set(p.row_share[oh] * p.column_share[ow]);
    T* const to = dst + (oh * p.dst_width + ow) * p.block;
    for_channels(
        p.block, [&](std::int64_t c, auto whole, int lanes) __attribute__((always_inline)) {
          F32 sum{};
          for (std::int32_t h = rows.begin; h < rows.end; ++h) {
            for (std::int32_t w = columns.begin; w < columns.end; ++w)
              sum += get<whole.value>(src + (h * p.src_width + w) * p.block + c, lanes);
          }
          put<whole.value>(to + c, sum * share, lanes);
        });
  }
}

template <class T>
void average_backward(const PoolPlane& p, std::int64_t h, const T* diff_dst, T* diff_src) {
  const PoolSpan rows = p.dst_rows[h];
  const std::int64_t width = p.src_width, dst_width = p.dst_width, block = p.block;
  const float *const row_share = p.row_share, *const column_share = p.column_share;
  for (std::int64_t w = 0; w < width; ++w) {
    const PoolSpan columns = p.dst_columns[w];
    T* const to = diff_src + (h * width + w) * block;
    for_channels(
        block, [&](std::int64_t c, auto whole, int lanes) __attribute__((always_inline)) {
          const auto term = [&](std::int32_t oh, std::int32_t ow) __attribute__((always_inline)) {
            const F32 diff = get<whole.value>(diff_dst + (oh * dst_width + ow) * block + c, lanes);
            return diff * set(row_share[oh] * column_share[ow]);
          };
          put<whole.value>(to + c, sum_over(rows, columns, term), lanes);
        });
  }
}

template <class T>
constexpr PoolKernels<T> table() {
  return {max<T>, max_backward<T>, average<T>, average_backward<T>};
}

}  // namespace

extern const PoolKernels<float> pool_f32 = table<float>();
extern const PoolKernels<BFloat16> pool_bf16 = table<BFloat16>();

}  // namespace sluice::SLUICE_ISA
