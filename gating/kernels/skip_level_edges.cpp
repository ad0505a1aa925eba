// How tiles of precision gating get their levels, and give those of the next layer, for one instruction set. Compiled
// without contraction to fused multiply-adds (layers/kernels/level_rounding.hpp); what is one in other files is one
// here.
#include "gating/kernels/skip_kernels_detail.hpp"
#include "gating/kernels/tables.hpp"
#include "layers/kernels/level_rounding.hpp"
#include "layers/kernels/patch.hpp"

namespace sluice::SLUICE_ISA {
namespace {

/// Where a pixel's levels go: those without what is below a multiple of the step, and all of them.
template <class Place>
struct TwoPlaces {
  Place *base, *all;
  SLUICE_INLINE TwoPlaces operator+(std::int64_t channel) const { return {base + channel, all + channel}; }
};

/// From numbers. A place is what one channel has of a unit; bytes are for numbers that are not below 0.
template <class Place>
class FloatSplitter {
 public:
  using From = float;
  SLUICE_INLINE FloatSplitter(LevelRange range, float step)
      : rounding_(range), kept_(-static_cast<std::int32_t>(step)) {}

  SLUICE_INLINE void put(const float* from, TwoPlaces<Place> to) {
    const NativeF32 x = load_f32(from);
    const NativeI32 negative = x < NativeF32{}, level = rounding_.magnitude(x);
    store_narrowed(to.base, reinterpret_cast<NativeU32>(((level & kept_) ^ negative) - negative));
    store_narrowed(to.all, reinterpret_cast<NativeU32>((level ^ negative) - negative));
  }
  SLUICE_INLINE bool has_nan() const { return rounding_.has_nan(); }

 private:
  LevelRounding rounding_;
  std::int32_t kept_;
};

/// From levels.
template <class Place>
class ByteSplitter {
 public:
  using From = std::uint8_t;
  SLUICE_INLINE explicit ByteSplitter(float step) : kept_(static_cast<Place>(-static_cast<std::int32_t>(step))) {}

  SLUICE_INLINE void put(const std::uint8_t* from, TwoPlaces<Place> to) {
    const LevelBytes::Vector bytes = bytes_.load(from);
    const Levels levels = __builtin_convertvector(bytes, Levels);
    store_native(to.base, levels & kept_);
    store_native(to.all, levels);
  }
  SLUICE_INLINE bool has_nan() const { return bytes_.has_nan(); }

 private:
  typedef Place Levels __attribute__((vector_size(kNativeLanes * sizeof(Place))));
  LevelBytes bytes_;
  Place kept_;
};

/// Channels of one pixel that fill no vector.
template <class Place, class Splitter>
SLUICE_INLINE void put_rest(Splitter& splitter, const typename Splitter::From* from, std::int64_t count,
                            TwoPlaces<Place> to) {
  typename Splitter::From padded[kNativeLanes] = {};
  Place base[kNativeLanes], all[kNativeLanes];
  for (std::int64_t c = 0; c < count; ++c) padded[c] = from[c];
  splitter.put(padded, {base, all});
  for (std::int64_t c = 0; c < count; ++c) {
    to.base[c] = base[c];
    to.all[c] = all[c];
  }
}

template <class Place, class Splitter>
SLUICE_INLINE bool fill(const SkipShape& s, const SkipTile& t, Splitter splitter, const typename Splitter::From* src) {
  const std::int64_t channels = s.src_channels, whole = channels / kNativeLanes * kNativeLanes;
  constexpr std::int64_t each = 4 / sizeof(Place);  // channels of a unit
  const std::int64_t second = s.src_chunk * each;   // places from a pixel's base levels to all of them
  const std::int64_t step = s.pitch * each;
  const auto copy = [&](const auto& source, std::int64_t pixel, std::int64_t count, std::int32_t* units)
      __attribute__((always_inline)) {
    auto* const first = reinterpret_cast<Place*>(units);
    const TwoPlaces<Place> to{first, first + second};
    for (std::int64_t c = 0; c < whole; c += kNativeLanes) {
      const auto* const from = source.at(c, pixel);
      for (std::int64_t i = 0; i < count; ++i) splitter.put(from + i * source.block, to + (i * step + c));
    }
    if (whole == second && s.units == s.pitch) return;
    for (std::int64_t i = 0; i < count; ++i, units += s.pitch) {
      const TwoPlaces<Place> own = to + i * step;
      if (whole < channels) put_rest(splitter, source.at(whole, pixel + i), channels - whole, own + whole);
      for (std::int64_t c = channels; c < second; ++c) own.base[c] = own.all[c] = 0;
      for (std::int64_t u = s.units; u < s.pitch; ++u) units[u] = 0;
    }
  };
  fill_patch<std::int32_t>(s, t, src, copy);
  return splitter.has_nan();
}

template <class Place>
bool split(const SkipShape& s, const SkipTile& t, LevelRange range, float step, const float* src) {
  return fill<Place>(s, t, FloatSplitter<Place>(range, step), src);
}

template <class Place>
bool split_bytes(const SkipShape& s, const SkipTile& t, float step, const std::uint8_t* src) {
  return fill<Place>(s, t, ByteSplitter<Place>(step), src);
}

SLUICE_INLINE NativeF32 multiply_add(NativeF32 x, NativeF32 scale, NativeF32 shift) {
#if defined(__AVX512F__)
  return reinterpret_cast<NativeF32>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(scale), reinterpret_cast<__m512>(shift)));
#elif defined(__FMA__)
  return reinterpret_cast<NativeF32>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(x), reinterpret_cast<__m256>(scale), reinterpret_cast<__m256>(shift)));
#else
  return x * scale + shift;
#endif
}

void store(const SkipShape& s, const SkipTile& t, const SkipEnding& e, const float* addend, std::uint8_t* dst) {
  const LevelRounding rounding(e.levels);
  const NativeF32 low = broadcast(e.low), high = broadcast(e.high);
  for_results(
      s, t,
      [&](std::int64_t channel, std::int64_t pixel, std::int64_t count, std::int64_t at)
          __attribute__((always_inline)) {
            const std::int64_t lanes = s.dst_channels - channel;
            const NativeF32 scale = load_f32(e.open_scale + channel), shift = load_f32(e.open_shift + channel);
            const float* const sums = t.sums + pixel * s.dst_pitch + channel;
            for (std::int64_t i = 0; i < count; ++i, at += s.dst_block) {
              NativeF32 x = multiply_add(load_f32(sums + i * s.dst_pitch), scale, shift);
              if (addend != nullptr) x += load_first(addend + at, lanes);
              const NativeU32 bytes = rounding.byte(clip<float>(x, low, high));
              if (lanes >= kNativeLanes) {
                store_narrowed(dst + at, bytes);
              } else {
                std::uint8_t padded[kNativeLanes];
                store_narrowed(padded, bytes);
                for (std::int64_t l = 0; l < lanes; ++l) dst[at + l] = padded[l];
              }
            }
          });
}

}  // namespace

extern const SkipLevelEdges skip_level_edges = {split<std::uint16_t>, split_bytes<std::uint16_t>, store};
extern const SkipLevelEdges skip_level_byte_edges = {split<std::uint8_t>, split_bytes<std::uint8_t>, store};

}  // namespace sluice::SLUICE_ISA
