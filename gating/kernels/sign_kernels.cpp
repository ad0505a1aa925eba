// Convolutions of signs, for one instruction set.
#include "core/base/simd.hpp"
#include "gating/kernels/sign_tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr int kWordLanes = kNativeBytes / 8;
constexpr int kSignPixels = SignKernels::kPixels;

typedef std::uint64_t Words __attribute__((vector_size(kNativeBytes)));
typedef std::int32_t WholeSums __attribute__((vector_size(kNativeBytes / 2)));
typedef float FloatSums __attribute__((vector_size(kNativeBytes / 2)));

#if defined(__AVX512VPOPCNTDQ__)

/// How many bits of the words it was given are set, lane by lane.
struct BitCounter {
  static constexpr int kSplits = 1;
  static constexpr std::int64_t kRun = SignShape::kMostWords;  ///< words between two calls of flush
  Words sum{};
  SLUICE_INLINE void add(Words x) { sum += reinterpret_cast<Words>(_mm512_popcnt_epi64(reinterpret_cast<__m512i>(x))); }
  SLUICE_INLINE void flush() {}
};

#else

#if defined(__AVX512BW__) || defined(__AVX2__) || defined(__SSSE3__)
// Bits of each half of a byte, from a table of 16.
#if defined(__AVX512BW__)
using Register = __m512i;
SLUICE_INLINE Register look_up(Register table, Register at) {
  return _mm512_shuffle_epi8(table, at);
}
SLUICE_INLINE Words sum_of_bytes(Words x) {
  return reinterpret_cast<Words>(_mm512_sad_epu8(reinterpret_cast<Register>(x), _mm512_setzero_si512()));
}
SLUICE_INLINE Register bits_of_halves() {
  return _mm512_maskz_broadcast_i32x4(kAll, _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
}
#elif defined(__AVX2__)
using Register = __m256i;
SLUICE_INLINE Register look_up(Register table, Register at) {
  return _mm256_shuffle_epi8(table, at);
}
SLUICE_INLINE Words sum_of_bytes(Words x) {
  return reinterpret_cast<Words>(_mm256_sad_epu8(reinterpret_cast<Register>(x), _mm256_setzero_si256()));
}
SLUICE_INLINE Register bits_of_halves() {
  return _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
}
#else
using Register = __m128i;
SLUICE_INLINE Register look_up(Register table, Register at) {
  return _mm_shuffle_epi8(table, at);
}
SLUICE_INLINE Words sum_of_bytes(Words x) {
  return reinterpret_cast<Words>(_mm_sad_epu8(reinterpret_cast<Register>(x), _mm_setzero_si128()));
}
SLUICE_INLINE Register bits_of_halves() {
  return _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
}
#endif

// The words come as halves of bytes.
constexpr int kByteSplits = 2;
constexpr std::int64_t kByteRun = 63;  // words whose sums a byte holds

SLUICE_INLINE Words ones_by_byte(Words x) {
  return reinterpret_cast<Words>(look_up(bits_of_halves(), reinterpret_cast<Register>(x)));
}

#else

constexpr int kByteSplits = 1;
constexpr std::int64_t kByteRun = 31;  // words whose sums a byte holds

SLUICE_INLINE Words ones_by_byte(Words x) {
  const Words one = Words{} + 0x5555555555555555ULL, two = Words{} + 0x3333333333333333ULL,
              four = Words{} + 0x0f0f0f0f0f0f0f0fULL;
  x -= (x >> 1) & one;
  x = (x & two) + ((x >> 2) & two);
  return (x + (x >> 4)) & four;
}
SLUICE_INLINE Words sum_of_bytes(Words x) {
  const Words even = Words{} + 0x00ff00ff00ff00ffULL, one = Words{} + 0x0001000100010001ULL;
  return (((x & even) + ((x >> 8) & even)) * one) >> 48;
}

#endif

/// How many bits of the words it was given are set, lane by lane.
struct BitCounter {
  static constexpr int kSplits = kByteSplits;
  static constexpr std::int64_t kRun = kByteRun;  ///< words between two calls of flush
  Words sum{}, bytes{};
  SLUICE_INLINE void add(Words x) { bytes += ones_by_byte(x); }
  SLUICE_INLINE void flush() {
    sum += sum_of_bytes(bytes);
    bytes = Words{};
  }
};

#endif

/// A bit for each of 16 lanes that is not 0.
SLUICE_INLINE std::uint64_t mask_bits(I32 x) {
  std::uint64_t bits = 0;
#if defined(__AVX512F__)
  bits = _mm512_test_epi32_mask(reinterpret_cast<__m512i>(x.part[0]), reinterpret_cast<__m512i>(x.part[0]));
#elif defined(__AVX2__)
  for (int k = 0; k < kParts; ++k)
    bits |= static_cast<std::uint64_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(x.part[k]))) << (k * kNativeLanes);
#elif defined(__SSE2__)
  for (int k = 0; k < kParts; ++k)
    bits |= static_cast<std::uint64_t>(_mm_movemask_ps(reinterpret_cast<__m128>(x.part[k]))) << (k * kNativeLanes);
#else
  for (int k = 0; k < kLanes; ++k) bits |= static_cast<std::uint64_t>(x[k] != 0) << k;
#endif
  return bits;
}

/// Bits of up to 16 channels. (clip(x) + 1) 3/2 is the number of the level, 0 to 3, before it is rounded, ties to even:
/// the high bit of the number is that of the high plane, the low one that of the low plane.
SLUICE_INLINE bool pack_some(const float* src, int count, std::uint64_t& high, std::uint64_t& low) {
  const F32 x = count == kLanes ? load(src) : load_n(src, count);
  const F32 one = set(1.0F), place = (clip(x, F32{} - one, one) + one) * set(1.5F);
  const I32 yes = set(-1), no{};
  const std::uint64_t valid = (std::uint64_t{1} << count) - 1;
  const I32 is_second = if_greater(place, set(0.5F), if_greater(set(1.5F), place, yes, no), no);
  high = mask_bits(if_greater(set(1.5F), place, no, yes)) & valid;
  low = mask_bits(if_greater(place, set(2.5F), yes, is_second)) & valid;
  return (mask_bits(if_nan(x, yes, no)) & valid) != 0;
}

bool pack_signs(const SignShape& s, std::int64_t pixels, std::int64_t pixel, std::int64_t block, std::int64_t plane,
                const float* src, std::uint64_t* high, std::uint64_t* low) {
  bool nans = false;
  for (std::int64_t i = 0; i < pixels; ++i, src += pixel, high += s.pixel_words, low += s.pixel_words) {
    for (std::int64_t word = 0; word < s.pixel_words; ++word) high[word] = low[word] = 0;
    for (std::int64_t c = 0; c < s.channels; c += kLanes) {
      const auto count = static_cast<int>(s.channels - c < kLanes ? s.channels - c : kLanes);
      std::uint64_t some_high = 0, some_low = 0;
      nans = pack_some(src + c / block * plane + c % block, count, some_high, some_low) || nans;
      high[c / 64] |= some_high << (c % 64);
      low[c / 64] |= some_low << (c % 64);
    }
  }
  return nans;
}

/// The word of one of kSignPixels patches, where there is one for each of them (and in halves of bytes: BitCounter).
struct InTurns {
  std::uint64_t* patch;
  SLUICE_INLINE void put(std::uint64_t word) {
    if (BitCounter::kSplits == 1) {
      *patch = word;
    } else {
      constexpr std::uint64_t kHalf = 0x0f0f0f0f0f0f0f0fULL;
      patch[0] = word & kHalf;
      patch[kSignPixels] = (word >> 4) & kHalf;
    }
    patch += kSignPixels * BitCounter::kSplits;
  }
};
/// The words of one patch, one behind the other.
struct InARow {
  std::uint64_t* patch;
  SLUICE_INLINE void put(std::uint64_t word) { *patch++ = word; }
};

/// The words of a pixel's taps: their channels, one behind the other.
template <class Patch>
SLUICE_INLINE void gather_taps(const SignShape& s, const std::uint64_t* plane, Patch patch) {
  std::uint64_t word = 0;
  std::int64_t filled = 0;
  for (std::int64_t tap = 0; tap < s.taps; ++tap) {
    for (std::int64_t i = 0; i < s.pixel_words; ++i) {
      const std::int64_t rest = s.channels - 64 * i, bits = rest < 64 ? rest : 64;
      const std::uint64_t x = plane[s.offsets[tap] + i];
      word |= x << filled;
      filled += bits;
      if (filled < 64) continue;
      patch.put(word);
      filled -= 64;
      word = filled > 0 ? x >> (bits - filled) : 0;
    }
  }
  if (filled > 0) patch.put(word);
}

/// How many bits differ, for a vector of outputs and some pixels of the patches, of which each word stands once for all
/// kSignPixels.
template <int kCount>
SLUICE_INLINE void differing(std::int64_t words, const std::uint64_t* patch, const std::uint64_t* weights,
                             Words* ones) {
  BitCounter counters[kCount];
  for (std::int64_t begin = 0; begin < words; begin += BitCounter::kRun) {
    const std::int64_t end = begin + BitCounter::kRun < words ? begin + BitCounter::kRun : words;
    for (std::int64_t k = begin; k < end; ++k) {
      const Words w = load_native<Words>(weights + k * kWordLanes);
      for (int p = 0; p < kCount; ++p) counters[p].add(w ^ (Words{} + patch[k * kSignPixels + p]));
    }
    for (int p = 0; p < kCount; ++p) counters[p].flush();
  }
  for (int p = 0; p < kCount; ++p) ones[p] = counters[p].sum;
}

SLUICE_INLINE WholeSums twice(Words ones) {
  return __builtin_convertvector(ones + ones, WholeSums);
}

SLUICE_INLINE bool is_any_set(WholeSums lanes) {
#if defined(__AVX512F__)
  return _mm256_testz_si256(reinterpret_cast<__m256i>(lanes), reinterpret_cast<__m256i>(lanes)) == 0;
#elif defined(__AVX2__)
  return _mm_testz_si128(reinterpret_cast<__m128i>(lanes), reinterpret_cast<__m128i>(lanes)) == 0;
#else
  int all = 0;
  for (int lane = 0; lane < kWordLanes; ++lane) all |= lanes[lane];
  return all != 0;
#endif
}

/// Outputs that are computed one by one.
struct SignDots {
  static constexpr int kMost = 1024;  ///< more than are added for a vector of outputs
  std::int64_t count = 0;
  std::uint16_t output[kMost + kSignPixels * kWordLanes];
  std::uint8_t pixel[kMost + kSignPixels * kWordLanes];

  SLUICE_INLINE void add(const SignShape& s, const SignWeights& weights, const SignPixel* pixels,
                         const std::uint64_t* patches, float* sums) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t o = output[i], p = pixel[i];
      const std::uint64_t *const w = weights.plain + o * s.words, *const x = patches + p * SignShape::kMostWords;
      std::int64_t ones = 0;
      for (std::int64_t k = 0; k < s.words; ++k) ones += __builtin_popcountll(w[k] ^ x[k]);
      sums[p * s.padded + o] += static_cast<float>(pixels[p].first[o] - 2 * static_cast<std::int32_t>(ones));
    }
    count = 0;
  }
};

/// Of the pixels of one call: each word of all of them; for dots the low plane pixel by pixel.
struct SignPatches {
  static constexpr std::int64_t kWords = SignShape::kMostWords * kSignPixels * BitCounter::kSplits;
  std::uint64_t high[kWords], low[kWords];
};

template <SignWay kWay>
std::int64_t multiply_as(const SignShape& s, const SignWeights& weights, const SignPixel* pixels, int count,
                         float* sums) {
  SignPatches patches;
  SignDots dots;
  for (int p = 0; p < kSignPixels; ++p) {
    const SignPixel& pixel = pixels[p < count ? p : 0];
    gather_taps(s, pixel.high, InTurns{patches.high + p});
    if (kWay == SignWay::kDots) gather_taps(s, pixel.low, InARow{patches.low + p * SignShape::kMostWords});
    if (kWay == SignWay::kLanes || kWay == SignWay::kAll) gather_taps(s, pixel.low, InTurns{patches.low + p});
  }
  const std::int64_t words = s.words * BitCounter::kSplits;
  WholeSums opened{};  // below 0, lane by lane
  for (std::int64_t o = 0; o < s.padded; o += kWordLanes) {
    const std::uint64_t* const lanes = weights.lanes + o * words;
    const WholeSums limit = load_native<WholeSums>(weights.limit + o);
    Words high[kSignPixels], low[kSignPixels];
    differing<kSignPixels>(words, patches.high, lanes, high);
    if (kWay == SignWay::kAll) differing<kSignPixels>(words, patches.low, lanes, low);
    for (int p = 0; p < count; ++p) {
      const WholeSums first = load_native<WholeSums>(pixels[p].first + o), half = first - twice(high[p]),
                      base = half + half;
      const WholeSums open = base > limit;
      opened += open;
      const bool completes = kWay == SignWay::kAll || (kWay == SignWay::kLanes && is_any_set(open));
      WholeSums sum = base;
      if (kWay == SignWay::kLanes && completes) differing<1>(words, patches.low + p, lanes, low + p);
      if (completes) sum += (first - twice(low[p])) & open;
      store_native(sums + p * s.padded + o, __builtin_convertvector(sum, FloatSums));
      if (kWay != SignWay::kDots) continue;
      for (int lane = 0; lane < kWordLanes; ++lane) {
        dots.output[dots.count] = static_cast<std::uint16_t>(o + lane);
        dots.pixel[dots.count] = static_cast<std::uint8_t>(p);
        dots.count -= open[lane];
      }
    }
    if (kWay == SignWay::kDots && dots.count > SignDots::kMost - kSignPixels * kWordLanes)
      dots.add(s, weights, pixels, patches.low, sums);
  }
  if (kWay == SignWay::kDots) dots.add(s, weights, pixels, patches.low, sums);
  std::int64_t open_count = 0;
  for (int lane = 0; lane < kWordLanes; ++lane) open_count -= opened[lane];
  return open_count;
}

std::int64_t multiply_signs(const SignShape& s, const SignWeights& weights, const SignPixel* pixels, int count,
                            SignWay way, float* sums) {
  switch (way) {
    case SignWay::kDots:
      return multiply_as<SignWay::kDots>(s, weights, pixels, count, sums);
    case SignWay::kLanes:
      return multiply_as<SignWay::kLanes>(s, weights, pixels, count, sums);
    case SignWay::kAll:
      return multiply_as<SignWay::kAll>(s, weights, pixels, count, sums);
    case SignWay::kNone:
      return multiply_as<SignWay::kNone>(s, weights, pixels, count, sums);
  }
  return 0;
}

}  // namespace

extern const SignKernels signs = {kWordLanes, BitCounter::kSplits, pack_signs, multiply_signs};

}  // namespace sluice::SLUICE_ISA
