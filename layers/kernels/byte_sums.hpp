// Sums of products of bytes, with outputs in the lanes of vectors and four inputs in each lane, and what becomes of
// them. Included only by kernels' files, in whose namespaces they are; these are compiled without contraction to fused
// multiply-adds: every build gives the same bits.
#pragma once

#include <cstring>

#include "layers/kernels/byte_kernels.hpp"
#include "layers/kernels/byte_values.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Four bytes in every lane.
SLUICE_INLINE NativeI32 repeat(const std::uint8_t* bytes) {
  std::int32_t unit;
  std::memcpy(&unit, bytes, sizeof unit);
  return unit - NativeI32{};
}

SLUICE_INLINE void add_pair(NativeI32& sum, NativeI32 one, NativeI32 other, NativeI32 first, NativeI32 second) {
  if constexpr (kAddsShort) {
    NativeI16 part{};
    add_short_quads(part, one, first);
    add_short_quads(part, other, second);
    add_short(sum, part);
  } else {
    add_quads(sum, one, first);
    add_quads(sum, other, second);
  }
}

/// Sums of `rows` pixels. `pitch`: weights from one unit to the next.
template <int rows, int vectors>
SLUICE_INLINE void add_all(const ByteWeights& w, std::int64_t pitch, const std::uint8_t* const* src,
                           NativeI32 (&sums)[rows][vectors]) {
  const std::uint8_t* row[rows];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) row[r] = src[r];
  const std::int32_t *weights = w.units, *place = w.places;
  for (const std::int32_t* const end = place + 2 * w.pairs; place < end; place += 2, weights += 2 * pitch) {
    const std::int64_t first = place[0], second = place[1];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const NativeI32 a = repeat(row[r] + first), b = repeat(row[r] + second);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) {
        const std::int32_t* const own = weights + v * kNativeLanes;
        add_pair(sums[r][v], load_native<NativeI32>(own), load_native<NativeI32>(own + pitch), a, b);
      }
    }
  }
  for (const std::int32_t* const end = place + w.singles; place < end; ++place, weights += pitch) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const NativeI32 x = repeat(row[r] + *place);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) add_quads(sums[r][v], load_native<NativeI32>(weights + v * kNativeLanes), x);
    }
  }
}

/// As many lanes of `from` as there are, zeros behind them.
template <class T>
SLUICE_INLINE void copy_some(const T* from, std::int64_t lanes, T (&to)[kNativeLanes]) {
  for (int l = 0; l < kNativeLanes; ++l) to[l] = l < lanes ? from[l] : T{};
}

/// What sums of one vector of outputs become.
template <class T>
class Ending {
 public:
  SLUICE_INLINE Ending(const ByteEnding& e, std::int64_t first, std::int64_t vector, std::int64_t outputs, T* dst)
      : e_(e),
        scale_(load_part(e.scale + vector * kNativeLanes)),
        shift_(load_part(e.shift + vector * kNativeLanes)),
        lanes_(outputs - vector * kNativeLanes),
        channel_(first + vector * kNativeLanes),
        dst_(dst) {}

  SLUICE_INLINE void put(std::int64_t row, NativeI32 sum) const {
    if (lanes_ <= 0) return;
    const std::int64_t at = row * e_.channels + channel_;
    NativeF32 x = __builtin_convertvector(sum, NativeF32) * scale_ + shift_;
    if (e_.addend != nullptr) x = (x + addend(e_.addend + at)) * broadcast(e_.factor);
    if (e_.addend_bytes != nullptr) x += addend(e_.addend_bytes + at) * broadcast(e_.addend_scale);
    x = clipped<T>(x, broadcast(e_.low), broadcast(e_.high));
    if (lanes_ >= kNativeLanes) return store(dst_ + at, x);
    T some[kNativeLanes];
    store(some, x);
    for (std::int64_t l = 0; l < lanes_; ++l) dst_[at + l] = some[l];
  }

 private:
  SLUICE_INLINE NativeF32 addend(const float* from) const {
    if (lanes_ >= kNativeLanes) return load_part(from);
    float some[kNativeLanes];
    copy_some(from, lanes_, some);
    return load_part(some);
  }
  SLUICE_INLINE NativeF32 addend(const std::uint8_t* from) const {
    if (lanes_ >= kNativeLanes) return widened(from);
    std::uint8_t some[kNativeLanes];
    copy_some(from, lanes_, some);
    return widened(some);
  }

  ByteEnding e_;  // a copy: the results could alias the original
  NativeF32 scale_, shift_;
  std::int64_t lanes_, channel_;
  T* dst_;
};

template <int rows, int vectors, class T>
SLUICE_INLINE void multiply_rows(const ByteWeights& w, std::int64_t pitch, const std::uint8_t* const* src,
                                 std::int64_t row, const Ending<T> (&endings)[vectors]) {
  NativeI32 sums[rows][vectors]{};
  add_all<rows, vectors>(w, pitch, src, sums);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) endings[v].put(row + r, sums[r][v]);
  }
}

/// All rows, `together` at a time.
template <int together, int vectors, class T>
SLUICE_INLINE void multiply_all(const ByteRows& rows, const ByteWeights& w, std::int64_t pitch,
                                const Ending<T> (&endings)[vectors]) {
  std::int64_t i = 0;
  for (; i + together <= rows.count; i += together)
    multiply_rows<together>(w, pitch, rows.src + i, rows.first + i, endings);
  for (; i + 2 <= rows.count; i += 2) multiply_rows<2>(w, pitch, rows.src + i, rows.first + i, endings);
  if (i < rows.count) multiply_rows<1>(w, pitch, rows.src + i, rows.first + i, endings);
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
