// Products of pixels in int8 with filters of one pixel, for one instruction set. Compiled without contraction to fused
// multiply-adds: every build gives the same bits.
#include <cstring>

#include "layers/kernels/byte_values.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr int kRows = 4, kVectors = 2;  // at a time: sums fill the registers but for those of the operands
constexpr std::int64_t kBlock = kVectors * kNativeLanes;

/// Four bytes in every lane.
SLUICE_INLINE NativeI32 repeat(const std::uint8_t* bytes) {
  std::int32_t unit;
  std::memcpy(&unit, bytes, sizeof unit);
  return unit - NativeI32{};
}

SLUICE_INLINE void add_pair(NativeI32& sum, const std::int32_t* weights, NativeI32 first, NativeI32 second) {
  const NativeI32 one = load_native<NativeI32>(weights), other = load_native<NativeI32>(weights + kBlock);
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

/// Sums of `rows` pixels.
template <int rows>
SLUICE_INLINE void add_all(const ByteWeights& w, const std::uint8_t* const* src, NativeI32 (&sums)[rows][kVectors]) {
  const std::uint8_t* row[rows];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) row[r] = src[r];
  const std::int32_t *weights = w.units, *place = w.places;
  for (const std::int32_t* const end = place + 2 * w.pairs; place < end; place += 2, weights += 2 * kBlock) {
    const std::int64_t first = place[0], second = place[1];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const NativeI32 a = repeat(row[r] + first), b = repeat(row[r] + second);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) add_pair(sums[r][v], weights + v * kNativeLanes, a, b);
    }
  }
  for (const std::int32_t* const end = place + w.singles; place < end; ++place, weights += kBlock) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const NativeI32 x = repeat(row[r] + *place);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) add_quads(sums[r][v], load_native<NativeI32>(weights + v * kNativeLanes), x);
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

template <int rows, class T>
SLUICE_INLINE void multiply_rows(const ByteWeights& w, const std::uint8_t* const* src, std::int64_t row,
                                 const Ending<T> (&endings)[kVectors]) {
  NativeI32 sums[rows][kVectors]{};
  add_all<rows>(w, src, sums);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) endings[v].put(row + r, sums[r][v]);
  }
}

template <class T>
void multiply(const ByteRows& rows, const ByteWeights& w, const ByteEnding& e, std::int64_t first, std::int64_t outputs,
              T* dst) {
  static_assert(kVectors == 2);
  const Ending<T> endings[kVectors] = {{e, first, 0, outputs, dst}, {e, first, 1, outputs, dst}};
  std::int64_t i = 0;
  for (; i + kRows <= rows.count; i += kRows) multiply_rows<kRows>(w, rows.src + i, rows.first + i, endings);
  for (; i + 2 <= rows.count; i += 2) multiply_rows<2>(w, rows.src + i, rows.first + i, endings);
  if (i < rows.count) multiply_rows<1>(w, rows.src + i, rows.first + i, endings);
}

}  // namespace

extern const ByteProducts byte_products = {kBlock, multiply<float>, multiply<std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
