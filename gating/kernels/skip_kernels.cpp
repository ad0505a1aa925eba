// Decisions of gates, and lists of what is open, for one instruction set.
#include "gating/kernels/skip_kernels.hpp"

#include "gating/kernels/skip_kernels_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Lanes of a vector that are outputs.
SLUICE_INLINE unsigned valid_lanes(const SkipShape& s, std::int64_t vector) {
  const std::int64_t rest = s.dst_channels - vector * kNativeLanes;
  return (1U << (rest < kNativeLanes ? rest : kNativeLanes)) - 1;
}

SLUICE_INLINE float sum_of(NativeF32 x) {
  float total = 0;
  for (int l = 0; l < kNativeLanes; ++l) total += x[l];
  return total;
}

std::int64_t decide_each(const SkipShape& s, const SkipTile& t, const SkipEnding& e) {
  std::int64_t open = 0;
  for (std::int64_t vector = t.vector; vector < t.end_vector; ++vector) {
    const std::int64_t channel = vector * kNativeLanes;
    Word* const words = static_cast<Word*>(t.open) + vector * t.pixels;
    const NativeF32 limit = load_f32(e.limit + channel);
    const unsigned valid = valid_lanes(s, vector);
    for (std::int64_t i = 0; i < t.pixels; ++i) {
      const unsigned bits = greater(load_f32(t.sums + i * s.dst_pitch + channel), limit) & valid;
      words[i] = static_cast<Word>(bits);
      open += __builtin_popcount(bits);
    }
  }
  return open;
}

std::int64_t decide_together(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t first,
                             std::int64_t end) {
  Word* const words = static_cast<Word*>(t.open);
  std::int64_t open = 0;
  for (std::int64_t i = 0; i < t.pixels; ++i) {
    NativeF32 score{};
    for (std::int64_t c = first * kNativeLanes; c < end * kNativeLanes; c += kNativeLanes) {
      const NativeF32 base = load_f32(t.sums + i * s.dst_pitch + c);
      score += (base - load_f32(e.limit + c)) * load_f32(e.slope + c);
    }
    const unsigned all = sum_of(score) > 0 ? ~0U : 0U;
    for (std::int64_t vector = first; vector < end; ++vector) {
      const unsigned bits = valid_lanes(s, vector) & all;
      words[vector * t.pixels + i] = static_cast<Word>(bits);
      open += __builtin_popcount(bits);
    }
  }
  return open;
}

#ifdef __AVX2__
/// By byte: the numbers of its bits that are set, one behind the other.
struct Positions {
  std::uint8_t of[256][8] = {};
  constexpr Positions() {
    for (int byte = 0; byte < 256; ++byte) {
      for (int bit = 0, count = 0; bit < 8; ++bit) {
        if (byte >> bit & 1) of[byte][count++] = static_cast<std::uint8_t>(bit);
      }
    }
  }
};
constexpr Positions kPositions;
#endif

#ifdef __AVX512F__
SLUICE_INLINE __m512i first_pixels() {
  typedef std::int16_t Pixels __attribute__((vector_size(64)));
  Pixels pixels;
  for (int i = 0; i < 32; ++i) pixels[i] = static_cast<std::int16_t>(i);
  return reinterpret_cast<__m512i>(pixels);
}
/// Those whose bit is set, one behind the other. In assembler: the instruction set of the whole file has no VBMI2.
SLUICE_INLINE __m512i compressed(unsigned bits, __m512i pixels) {
  __m512i packed;
  asm("vpcompressw %1, %0%{%2%}%{z%}" : "=v"(packed) : "v"(pixels), "Yk"(static_cast<__mmask32>(bits)));
  return packed;
}
#endif

/// How pixels are listed: from a table, or compressed by one instruction where the processor has it.
enum class Listing { kTable, kCompressed };

/// The pixels, up to 32 from `first` on, where a lane is open, and their number; writes too many.
template <Listing kListing>
SLUICE_INLINE std::int64_t list_lane(const Word* words, std::int64_t first, unsigned valid, int lane, SkipPixel* to) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
  const __m512i wanted = _mm512_set1_epi16(static_cast<short>(1 << lane));
  unsigned bits = _mm512_test_epi16_mask(load_native<__m512i>(words + first), wanted) & valid;
  if constexpr (kListing == Listing::kCompressed) {
    store_native(to, compressed(bits, _mm512_add_epi16(first_pixels(), _mm512_set1_epi16(static_cast<short>(first)))));
    return __builtin_popcount(bits);
  }
#else
  const __m256i shifted = _mm256_slli_epi16(load_native<__m256i>(words + first), 7 - lane);
  unsigned bits = static_cast<unsigned>(_mm256_movemask_epi8(shifted)) & valid;
#endif
  __m128i pixel = _mm_set1_epi16(static_cast<short>(first));
  std::int64_t count = 0;
#pragma GCC unroll 4
  for (int part = 0; part < 4; ++part, bits >>= 8) {
    const __m128i own = _mm_cvtepu8_epi16(_mm_loadu_si64(kPositions.of[bits & 255U]));
    store_native(to + count, _mm_add_epi16(own, pixel));
    count += __builtin_popcount(bits & 255U);
    pixel = _mm_add_epi16(pixel, _mm_set1_epi16(8));
  }
  return count;
#else
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < 32 && (valid >> i & 1U) != 0; ++i) {
    to[count] = static_cast<SkipPixel>(first + i);
    count += words[first + i] >> lane & 1;
  }
  return count;
#endif
}

std::int64_t decide(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t shared) {
  if (shared == 0) return decide_each(s, t, e);
  std::int64_t open = 0;
  for (std::int64_t first = t.vector; first < t.end_vector; first += shared) {
    const std::int64_t end = first + shared < t.end_vector ? first + shared : t.end_vector;
    open += decide_together(s, t, e, first, end);
  }
  return open;
}

std::int64_t split(const SkipTile& t, std::int64_t vector, int lanes_from, SkipPixel* list) {
  const Word* const open = static_cast<const Word*>(t.open) + vector * t.pixels;
  Word* const single = static_cast<Word*>(t.single) + vector * t.pixels;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < t.pixels; ++i) {
    const bool whole = __builtin_popcount(open[i]) >= lanes_from;
    single[i] = whole ? Word{0} : open[i];
    list[count] = static_cast<SkipPixel>(i);
    count += whole ? 1 : 0;
  }
  return count;
}

template <Listing kListing>
void list(const SkipTile& t, std::int64_t vector, const void* words, SkipPixel* lists, std::int32_t* ends) {
  const Word* const own = static_cast<const Word*>(words) + vector * t.pixels;
  std::int64_t count = 0;
  for (int lane = 0; lane < kNativeLanes; ++lane) {
    for (std::int64_t first = 0; first < t.pixels; first += 32) {
      const std::int64_t rest = t.pixels - first;
      count += list_lane<kListing>(own, first, rest < 32 ? (1U << rest) - 1 : ~0U, lane, lists + count);
    }
    ends[lane] = static_cast<std::int32_t>(count);
  }
}

}  // namespace

extern const SkipKernels skip{kNativeLanes, sizeof(Word), decide, split, list<Listing::kTable>};
#ifdef __AVX512F__
extern const SkipKernels skip_vbmi2{kNativeLanes, sizeof(Word), decide, split, list<Listing::kCompressed>};
#endif

}  // namespace sluice::SLUICE_ISA
