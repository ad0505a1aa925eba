// The units of which the patch and the weights of a convolution that skips consist (SkipUnits).
#pragma once

#include "gating/kernels/skip_kernels_detail.hpp"
#include "layers/kernels/level_sums.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Units of floats: one channel each.
struct Floats {
  using Unit = float;
  using Result = float;  ///< of what goes where it belongs at once
  using Native = NativeF32;
  static constexpr bool kExact = false, kReplaces = false;
  static SLUICE_INLINE NativeF32 repeat(float x) { return broadcast(x); }
  static SLUICE_INLINE void add(NativeF32& sum, NativeF32 weights, NativeF32 x) { sum += weights * x; }
  static SLUICE_INLINE NativeF32 result(NativeF32 sum) { return sum; }
};

/// Units of int8: four channels each, 0 to 127, times signed ones. Two such products fit 16 bits.
struct Int8 {
  using Unit = std::int32_t;
  using Result = std::uint8_t;
  using Native = NativeI32;
  static constexpr bool kExact = true, kReplaces = false;
  static SLUICE_INLINE NativeI32 repeat(std::int32_t x) { return x - NativeI32{}; }
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) { add_quads(sum, weights, x); }
  static SLUICE_INLINE NativeF32 result(NativeI32 sum) { return __builtin_convertvector(sum, NativeF32); }
};

/// Units of levels: two channels each, signed numbers of 16 bits on both sides.
struct Levels {
  using Unit = std::int32_t;
  using Result = float;
  using Native = NativeI32;
  using Sums = LevelPairs;  ///< of whole vectors
  static constexpr bool kExact = true, kReplaces = true;
  static SLUICE_INLINE NativeI32 repeat(std::int32_t x) { return x - NativeI32{}; }
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) { add_pairs(sum, weights, x); }
  static SLUICE_INLINE NativeF32 result(NativeI32 sum) { return __builtin_convertvector(sum, NativeF32); }
};

/// The same with four channels in bytes.
struct LevelBytes : Levels {
  using Sums = LevelQuads;
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) { add_quads(sum, weights, x); }
};

template <class N>
SLUICE_INLINE typename N::Native load_units(const typename N::Unit* p) {
  return load_native<typename N::Native>(p);
}

/// How far behind an image's first element that of a channel is.
SLUICE_INLINE std::int64_t channel_offset(const SkipShape& s, std::int64_t channel) {
  return channel / s.dst_block * s.dst_block * s.dst_height * s.dst_width + channel % s.dst_block;
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
