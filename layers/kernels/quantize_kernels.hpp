// Rounding to levels and its gradient, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// Levels are whole numbers from -count to count: level(x) = sign(x) * round(min(|x| / scale, 1) * count), ties to
/// even. A NaN stays one. The level of an x that is exactly 0 is written as -0 and that of any other x that rounds to 0
/// as +0: products cannot tell them apart, but the gradient can.
struct LevelRange {
  float scale = 1;
  float count = 1;
};

/// Kernels over flat arrays, from numbers to levels (float holds all of them, BFloat16 those up to 256).
template <class T, class L>
struct QuantizeKernels {
  void (*quantize)(std::int64_t n, const T* src, LevelRange, L* levels);
  /// +1 where (src + 1) / 2 rounds to 1 in fp32, else -1.
  void (*binarize)(std::int64_t n, const T* src, L* levels);
  /// base: the level without the part of its magnitude below a multiple of `step`, a power of two; rest: that part.
  /// Both have the level's sign, and their sum is the level.
  void (*split)(std::int64_t n, const T* src, LevelRange, float step, L* base, L* rest);
  /// diff = 0 where the level (or base) is that of 0.
  void (*mask)(std::int64_t n, const L* levels, T* diff);
};

template <class T>
struct MagnitudeKernels {
  /// The largest |src|; a NaN where there is one.
  float (*largest)(std::int64_t n, const T* src);
  /// The same numbers as floats.
  void (*widen)(std::int64_t n, const T* src, float* dst);
};

struct Int8Kernels {
  /// Whole numbers from 0 to `most` next to the source times a factor, ties to even; 0 for a NaN.
  void (*round)(std::int64_t n, const float* src, float factor, float most, std::uint8_t* dst);
  /// Levels times their scale.
  void (*widen)(std::int64_t n, const std::uint8_t* src, float scale, float* dst);
  /// Levels from 0 to 255 as bytes. True where one is a NaN, whose byte is 0.
  bool (*narrow)(std::int64_t n, const float* levels, std::uint8_t* dst);
  /// Twice the levels of each row, then the levels: 2 `channels` bytes.
  bool (*narrow_pairs)(std::int64_t rows, std::int64_t channels, const float* levels, std::uint8_t* dst);
};

/// For float to float, float to BFloat16 and BFloat16 to BFloat16.
template <class T, class L>
const QuantizeKernels<T, L>& quantize_kernels(Isa isa = cpu_isa());
template <class T>
const MagnitudeKernels<T>& magnitude_kernels(Isa isa = cpu_isa());
const Int8Kernels& int8_kernels(Isa isa = cpu_isa());

}  // namespace sluice
