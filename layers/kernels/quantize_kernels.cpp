// Rounding to levels, for one instruction set. Compiled without contraction to fused multiply-adds: a product that ends
// halfway between two levels must be rounded as a product first.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr std::int32_t kMagnitude = 0x7fffffff;
constexpr std::int32_t kMinusZero = static_cast<std::int32_t>(0x80000000);

SLUICE_INLINE I32 larger(I32 a, I32 b) {
  for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] > b.part[k] ? a.part[k] : b.part[k];
  return a;
}

SLUICE_INLINE F32 magnitude(F32 x) {
  return bits_as<F32>(bits_as<I32>(x) & set(kMagnitude));
}

/// The nearest whole number, ties to even, of 0 <= x < 2^22.
SLUICE_INLINE F32 round_to_whole(F32 x) {
  const F32 shifter = set(8388608.0F);  // 2^23: floats above it are whole
  return x + shifter - shifter;
}

/// The largest whole number that is not above a whole or half x, 0 <= x < 2^22.
SLUICE_INLINE F32 round_down(F32 x) {
  const F32 nearest = round_to_whole(x);
  return nearest - if_greater(nearest, x, set(1.0F), F32{});
}

/// round(min(|x| / scale, 1) * count)
SLUICE_INLINE F32 level_magnitude(F32 x, F32 scale, F32 count) {
  const F32 share = divide(magnitude(x), scale);
  return round_to_whole(if_greater(share, set(1.0F), set(1.0F), share) * count);
}

/// The sign of x on a level, +0 where that is 0.
SLUICE_INLINE F32 with_sign(F32 level, F32 x) {
  return if_greater(F32{}, x, F32{} - level, level);
}

/// -0 where x is 0. Bits are compared: the processor may take denormal numbers for 0, but they have a gradient.
SLUICE_INLINE F32 marked(F32 level, F32 x) {
  return if_equal(bits_as<I32>(magnitude(x)), I32{}, bits_as<F32>(set(kMinusZero)), level);
}

template <class T, class L>
void quantize(std::int64_t n, const T* src, LevelRange range, L* levels) {
  const F32 scale = set(range.scale), count = set(range.count);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 x = get<whole.value>(src + i, lanes);
        put<whole.value>(levels + i, marked(with_sign(level_magnitude(x, scale, count), x), x), lanes);
      });
}

template <class T, class L>
void binarize(std::int64_t n, const T* src, L* levels) {
  const F32 one = set(1.0F), half = set(0.5F);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 x = get<whole.value>(src + i, lanes), position = (x + one) * half;
        put<whole.value>(levels + i, if_nan(x, x, if_greater(position, half, one, F32{} - one)), lanes);
      });
}

template <class T, class L>
void split(std::int64_t n, const T* src, LevelRange range, float step, L* base, L* rest) {
  const F32 scale = set(range.scale), count = set(range.count), width = set(step), share = set(1.0F / step);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 x = get<whole.value>(src + i, lanes);
        const F32 level = level_magnitude(x, scale, count), kept = round_down(level * share) * width;
        put<whole.value>(base + i, marked(with_sign(kept, x), x), lanes);
        put<whole.value>(rest + i, with_sign(level - kept, x), lanes);
      });
}

template <class T, class L>
void mask(std::int64_t n, const L* levels, T* diff) {
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const I32 level = bits_as<I32>(get<whole.value>(levels + i, lanes));
        put<whole.value>(diff + i, if_equal(level, set(kMinusZero), F32{}, get<whole.value>(diff + i, lanes)), lanes);
      });
}

/// Magnitudes are compared as whole numbers: so a NaN is above everything.
template <class T>
float largest(std::int64_t n, const T* src) {
  I32 most{};
  for_vectors(
      n, [&](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        most = larger(most, bits_as<I32>(magnitude(get<whole.value>(src + i, lanes))));
      });
  F32 result = bits_as<F32>(most);
  std::int32_t bits = 0;
  float value = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (most[lane] < bits) continue;
    bits = most[lane];
    value = result[lane];
  }
  return value;
}

template <class T>
void widen_all(std::int64_t n, const T* src, float* dst) {
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes)
             __attribute__((always_inline)) { put<whole.value>(dst + i, get<whole.value>(src + i, lanes), lanes); });
}

void round(std::int64_t n, const float* src, float factor, float most, std::uint8_t* dst) {
  constexpr float whole = 12582912.0F;  // 1.5 2^23: behind it a float has no fraction
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = src[i] * factor, low = x > 0.0F ? x : 0.0F;
    const float rounded = (low < most ? low : most) + whole;
    dst[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(rounded - whole));
  }
}

void widen_levels(std::int64_t n, const std::uint8_t* src, float scale, float* dst) {
  for (std::int64_t i = 0; i < n; ++i) dst[i] = widen(src[i]) * scale;
}

bool narrow(std::int64_t n, const float* levels, std::uint8_t* dst) {
  std::int32_t nans = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float level = levels[i];
    nans |= static_cast<std::int32_t>(!(level >= 0.0F));
    dst[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(level >= 0.0F ? level : 0.0F));
  }
  return nans != 0;
}

bool narrow_pairs(std::int64_t rows, std::int64_t channels, const float* levels, std::uint8_t* dst) {
  bool nans = false;
  for (std::int64_t row = 0; row < rows; ++row, levels += channels, dst += 2 * channels) {
    nans = narrow(channels, levels, dst + channels) || nans;
    for (std::int64_t c = 0; c < channels; ++c) dst[c] = static_cast<std::uint8_t>(2 * dst[channels + c]);
  }
  return nans;
}

template <class T, class L>
constexpr QuantizeKernels<T, L> table() {
  return {quantize<T, L>, binarize<T, L>, split<T, L>, mask<T, L>};
}

}  // namespace

extern const QuantizeKernels<float, float> quantize_f32 = table<float, float>();
extern const QuantizeKernels<float, BFloat16> quantize_f32_bf16 = table<float, BFloat16>();
extern const QuantizeKernels<BFloat16, BFloat16> quantize_bf16 = table<BFloat16, BFloat16>();
extern const MagnitudeKernels<float> magnitude_f32 = {largest<float>, widen_all<float>};
extern const Int8Kernels narrow_f32 = {round, widen_levels, narrow, narrow_pairs};
extern const MagnitudeKernels<BFloat16> magnitude_bf16 = {largest<BFloat16>, widen_all<BFloat16>};

}  // namespace sluice::SLUICE_ISA
