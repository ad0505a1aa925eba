// How tiles of a convolution that skips get their source and give their results, for one instruction set.
#include "gating/kernels/skip_kernels_detail.hpp"
#include "gating/kernels/tables.hpp"
#include "layers/kernels/patch.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Channels as they are.
struct FloatPatch {
  using Unit = float;
  using Place = float;  ///< of one channel
  float factor;

  template <class T>
  SLUICE_INLINE void put(Place* to, const T* from) const {
    store_native(to, load_f32(from));
  }
  template <class T>
  SLUICE_INLINE void put_one(Place* to, T x) const {
    *to = widen(x);
  }
};

/// Channels in levels, four in a unit.
struct Int8Patch {
  using Unit = std::int32_t;
  using Place = std::uint8_t;
  float factor;

  /// Rounds to nearest, ties to even; what is no number becomes 0.
  template <class T>
  SLUICE_INLINE void put(Place* to, const T* from) const {
    NativeF32 x = load_f32(from) * factor;
    x = x > NativeF32{} ? x : NativeF32{};
    const NativeF32 most = broadcast(127);
    x = (x > most ? most : x) + kNoFraction;
    store_narrowed(to, reinterpret_cast<NativeU32>(x));
  }
  template <class T>
  SLUICE_INLINE void put_one(Place* to, T from) const {
    float x = widen(from) * factor;
    x = x > 0.0F ? x : 0.0F;
    x = (x > 127.0F ? 127.0F : x) + kNoFraction;
    *to = static_cast<Place>(static_cast<std::int32_t>(x - kNoFraction));
  }
};

/// Channels that come in levels.
struct LevelPatch {
  using Unit = std::int32_t;
  using Place = std::uint8_t;
  float factor;

  SLUICE_INLINE void put(Place* to, const std::uint8_t* from) const {
    typedef std::uint8_t Native __attribute__((vector_size(kNativeLanes)));
    store_native(to, load_native<Native>(from));
  }
  SLUICE_INLINE void put_one(Place* to, std::uint8_t x) const { *to = x; }
};

/// Whole vectors of `count` pixels, then a last part of one.
template <class P, class T>
SLUICE_INLINE void copy_pixels(const SkipShape& s, const P& patch, const Source<T>& src, std::int64_t pixel,
                               std::int64_t count, typename P::Unit* units) {
  constexpr std::int64_t places = sizeof(typename P::Unit) / sizeof(typename P::Place);
  auto* const to = reinterpret_cast<typename P::Place*>(units);
  const std::int64_t pitch = s.pitch * places;
  const std::int64_t channels = s.src_channels, whole = channels / kNativeLanes * kNativeLanes;
  if (src.block == channels && s.pitch * places == channels) {  // pixel behind pixel on both sides
    const T* const from = src.image + pixel * channels;
    const std::int64_t all = count * channels;
    std::int64_t c = 0;
    if constexpr (std::is_same_v<P, LevelPatch>) {
      for (; c + kNativeBytes <= all; c += kNativeBytes) store_native(to + c, load_native<NativeF32>(from + c));
    }
    for (; c + kNativeLanes <= all; c += kNativeLanes) patch.put(to + c, from + c);
    for (; c < all; ++c) patch.put_one(to + c, from[c]);
    return;
  }
  if (src.block == channels) {
    for (std::int64_t i = 0; i < count; ++i) {
      const T* const from = src.image + (pixel + i) * channels;
      for (std::int64_t c = 0; c < whole; c += kNativeLanes) patch.put(to + i * pitch + c, from + c);
      for (std::int64_t c = whole; c < channels; ++c) patch.put_one(to + i * pitch + c, from[c]);
      for (std::int64_t c = channels; c % places != 0; ++c) to[i * pitch + c] = 0;
    }
    return;
  }
  for (std::int64_t c = 0; c < whole; c += kNativeLanes) {
    const T* const from = src.at(c, pixel);
    for (std::int64_t i = 0; i < count; ++i) patch.put(to + i * pitch + c, from + i * src.block);
  }
}

template <class P, class T>
SLUICE_INLINE void copy_ordered(const SkipShape& s, const P& patch, const Source<T>& src, std::int64_t pixel,
                                std::int64_t count, typename P::Unit* units) {
  constexpr std::int64_t places = sizeof(typename P::Unit) / sizeof(typename P::Place);
  auto* const to = reinterpret_cast<typename P::Place*>(units);
  for (std::int64_t place = 0; place < s.units * places; ++place) {
    const bool used = s.order[place] >= 0;
    const T* const from = src.at(used ? s.order[place] : 0, pixel);
    for (std::int64_t i = 0; i < count; ++i)
      patch.put_one(to + i * s.pitch * places + place, used ? from[i * src.block] : T{});
  }
}

/// Lanes of two vectors in turns, their first halves or their last ones.
template <bool kLast, class Vector>
SLUICE_INLINE Vector in_turns(Vector a, Vector b) {
  using Lane = std::conditional_t<sizeof(a[0]) == 1, std::uint8_t, std::int32_t>;
  typedef Lane Index __attribute__((vector_size(sizeof(Vector))));
  constexpr int kLanes = sizeof(Vector) / sizeof(Lane);
  Index index{};
  for (int l = 0; l < kLanes; ++l) index[l] = static_cast<Lane>(l / 2 + l % 2 * kLanes + (kLast ? kLanes / 2 : 0));
  return __builtin_shuffle(a, b, index);
}

/// Channels in order become shuffled ones (SkipShape::shuffles).
template <class P>
SLUICE_INLINE void shuffle_pixels(const SkipShape& s, std::int64_t count, typename P::Unit* units) {
  using Place = typename P::Place;
  constexpr std::int64_t lanes = sizeof(Place) == 1 ? SkipShape::kShuffledInt8 : kNativeLanes;
  typedef Place Vector __attribute__((vector_size(lanes * sizeof(Place))));
  alignas(64) Place memory[2][SkipShape::kMostShuffled];
  const std::int64_t channels = s.src_channels, half = channels / 2;
  for (std::int64_t i = 0; i < count; ++i) {
    Place* const to = reinterpret_cast<Place*>(units + i * s.pitch);
    const Place* from = to;
    for (std::int32_t round = 0; round < s.shuffles; ++round) {
      Place* const next = round > 0 && round + 1 == s.shuffles ? to : memory[round % 2];
      for (std::int64_t c = 0; c < half; c += lanes) {
        const Vector a = load_native<Vector>(from + c), b = load_native<Vector>(from + half + c);
        store_native(next + 2 * c, in_turns<false>(a, b));
        store_native(next + 2 * c + lanes, in_turns<true>(a, b));
      }
      from = next;
    }
    for (std::int64_t c = 0; c < channels && from != to; c += lanes)
      store_native(to + c, load_native<Vector>(from + c));
  }
}

/// What stands behind the channels of pixels.
template <class Unit>
SLUICE_INLINE void end_pixels(const SkipShape& s, std::int64_t count, Unit* to) {
  const std::int64_t units = s.units, repeated = s.repeated;
  if (units % kNativeLanes == 0 && s.pitch == units + kNativeLanes) {
    const unsigned bits = (1U << repeated) - 1;
    for (std::int64_t i = 0; i < count; ++i, to += s.pitch) {
      store_native(to + units, select(bits, load_native<NativeF32>(to), NativeF32{}));
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i, to += s.pitch) {
    for (std::int64_t u = 0; u < repeated; ++u) to[units + u] = to[u];
    for (std::int64_t u = units + repeated; u < s.pitch; ++u) to[u] = 0;
  }
}

template <class P, class T>
void load(const SkipShape& s, const SkipTile& t, const T* src) {
  const P patch{s.src_factor};
  using Unit = typename P::Unit;
  fill_patch<Unit>(
      s, t, src,
      [&](const Source<T>& source, std::int64_t pixel, std::int64_t count, Unit* pixels)
          __attribute__((always_inline)) {
            if (s.order != nullptr && s.shuffles == 0) {
              copy_ordered(s, patch, source, pixel, count, pixels);
            } else {
              copy_pixels(s, patch, source, pixel, count, pixels);
              if (s.shuffles > 0) shuffle_pixels<P>(s, count, pixels);
            }
            if (s.units < s.pitch) end_pixels(s, count, pixels);
          });
}

/// Where a vector is a cache line, so that nothing of it has to be read first.
template <class T>
constexpr bool kMayStream = kNativeBytes == 64 && std::is_same_v<T, float>;
SLUICE_INLINE void stream(float* p, NativeF32 x) {
#ifdef __AVX512F__
  _mm512_stream_ps(p, reinterpret_cast<__m512>(x));
#else
  store_native(p, x);
#endif
}

template <class T>
SLUICE_INLINE void store_first(T* p, NativeF32 x, std::int64_t lanes) {
  if (lanes >= kNativeLanes) return store_f32(p, x);
  T padded[kNativeLanes];
  store_f32(padded, x);
  for (std::int64_t l = 0; l < lanes; ++l) p[l] = padded[l];
}

/// Results of one vector of outputs: `count` pixels from `pixel` on.
template <bool kWhole, bool kDiffer, class T, class A>
SLUICE_INLINE void store_vector(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t channel,
                                std::int64_t pixel, std::int64_t count, const T* given, const A* addend, T* dst) {
  const std::int64_t lanes = kWhole ? kNativeLanes : s.dst_channels - channel;
  const Word* const open = static_cast<const Word*>(t.open) + channel / kNativeLanes * t.pixels + pixel;
  const float* const sums = t.sums + pixel * s.dst_pitch + channel;
  const NativeF32 low = broadcast(e.low), high = broadcast(e.high);
  const NativeF32 open_scale = load_f32(e.open_scale + channel), open_shift = load_f32(e.open_shift + channel);
  NativeF32 closed_scale{}, closed_shift{};
  if (kDiffer) {
    closed_scale = load_f32(e.closed_scale + channel);
    closed_shift = load_f32(e.closed_shift + channel);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    NativeF32 scale = open_scale, shift = open_shift;
    if (kDiffer) {
      scale = select(open[i], open_scale, closed_scale);
      shift = select(open[i], open_shift, closed_shift);
    }
    NativeF32 x = load_f32(sums + i * s.dst_pitch);
    if (given != nullptr) x = select(open[i], load_first(given + i * s.dst_block, lanes), x);
    x = x * scale + shift;
    if (addend != nullptr) x += load_first(addend + i * s.dst_block, lanes) * e.addend_scale;
    x = clip<T>(x, low, high);
    if constexpr (kWhole && kMayStream<T>) {
      if (t.streams) {
        stream(dst + i * s.dst_block, x);
        continue;
      }
    }
    store_first(dst + i * s.dst_block, x, lanes);
  }
}

template <class T, class A>
void store(const SkipShape& s, const SkipTile& t, const SkipEnding& e, const T* given, const A* addend, T* dst) {
  for_results(
      s, t,
      [&](std::int64_t channel, std::int64_t pixel, std::int64_t count, std::int64_t at)
          __attribute__((always_inline)) {
            const auto go = [&](auto whole, auto differ) __attribute__((always_inline)) {
              store_vector<whole.value, differ.value>(s, t, e, channel, pixel, count,
                                                      given == nullptr ? nullptr : given + at,
                                                      addend == nullptr ? nullptr : addend + at, dst + at);
            };
            const bool whole = channel + kNativeLanes <= s.dst_channels;
            if (!whole) {
              go(std::false_type{}, std::true_type{});
            } else if (e.differ) {
              go(std::true_type{}, std::true_type{});
            } else {
              go(std::true_type{}, std::false_type{});
            }
          });
#ifdef __AVX512F__
  if (t.streams) _mm_sfence();
#endif
}

}  // namespace

extern const SkipLoads<float> skip_loads_f32{load<FloatPatch, float>, load<Int8Patch, float>};
extern const SkipLoads<BFloat16> skip_loads_bf16{load<FloatPatch, BFloat16>, load<Int8Patch, BFloat16>};
extern const SkipLoads<std::uint8_t> skip_loads_u8{nullptr, load<LevelPatch, std::uint8_t>};
extern const SkipStore<float, float> skip_store_f32 = store<float, float>;
extern const SkipStore<float, std::uint8_t> skip_store_f32_u8 = store<float, std::uint8_t>;
extern const SkipStore<BFloat16, BFloat16> skip_store_bf16 = store<BFloat16, BFloat16>;
extern const SkipStore<std::uint8_t, float> skip_store_u8_f32 = store<std::uint8_t, float>;
extern const SkipStore<std::uint8_t, std::uint8_t> skip_store_u8 = store<std::uint8_t, std::uint8_t>;

}  // namespace sluice::SLUICE_ISA
