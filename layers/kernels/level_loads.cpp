// The patch of a convolution of levels, for one instruction set. Compiled without contraction to fused multiply-adds
// (layers/kernels/level_rounding.hpp).
#include <type_traits>

#include "layers/kernels/level_rounding.hpp"
#include "layers/kernels/level_tables.hpp"
#include "layers/kernels/patch.hpp"

namespace sluice::SLUICE_ISA {
namespace {

/// From numbers. A place is what one channel has of a unit.
template <class Place>
class FloatLevels {
 public:
  using From = float;
  SLUICE_INLINE explicit FloatLevels(LevelRange range) : rounding_(range) {}
  SLUICE_INLINE void put(const float* from, Place* to) {
    const NativeF32 x = load_part(from);
    const NativeI32 level = sizeof(Place) == 1 ? rounding_.magnitude(x) : rounding_.level(x);
    store_narrowed(to, reinterpret_cast<NativeU32>(level));
  }
  SLUICE_INLINE bool has_nan() const { return rounding_.has_nan(); }

 private:
  LevelRounding rounding_;
};

/// From levels.
template <class Place>
class ByteLevels {
 public:
  using From = std::uint8_t;
  SLUICE_INLINE void put(const std::uint8_t* from, Place* to) {
    const LevelBytes::Vector bytes = bytes_.load(from);
    store_native(to, __builtin_convertvector(bytes, Places));
  }
  SLUICE_INLINE bool has_nan() const { return bytes_.has_nan(); }

 private:
  typedef Place Places __attribute__((vector_size(kNativeLanes * sizeof(Place))));
  LevelBytes bytes_;
};

/// Channels of one pixel that fill no vector.
template <class Levels, class Place>
SLUICE_INLINE void put_rest(Levels& levels, const typename Levels::From* from, std::int64_t count, Place* to) {
  typename Levels::From padded[kNativeLanes] = {};
  Place places[kNativeLanes];
  for (std::int64_t c = 0; c < count; ++c) padded[c] = from[c];
  levels.put(padded, places);
  for (std::int64_t c = 0; c < count; ++c) to[c] = places[c];
}

template <class Place, class Levels>
SLUICE_INLINE bool fill(const LevelShape& s, const LevelTile& t, Levels levels, const typename Levels::From* src) {
  constexpr std::int64_t each = 4 / sizeof(Place);  // channels of a unit
  const std::int64_t channels = s.src_channels, whole = channels / kNativeLanes * kNativeLanes;
  const auto copy = [&](const auto& source, std::int64_t pixel, std::int64_t count, std::int32_t* units)
      __attribute__((always_inline)) {
    auto* const to = reinterpret_cast<Place*>(units);
    const std::int64_t step = each * s.pitch;
    for (std::int64_t c = 0; c < whole; c += kNativeLanes) {
      const auto* const from = source.at(c, pixel);
      for (std::int64_t i = 0; i < count; ++i) levels.put(from + i * source.block, to + i * step + c);
    }
    if (whole == step) return;
    for (std::int64_t i = 0; i < count; ++i) {
      if (whole < channels) put_rest(levels, source.at(whole, pixel + i), channels - whole, to + i * step + whole);
      for (std::int64_t c = channels; c < step; ++c) to[i * step + c] = 0;
    }
  };
  fill_patch<std::int32_t>(s, t, src, copy);
  return levels.has_nan();
}

template <class Place>
bool load_floats(const LevelShape& s, const LevelTile& t, LevelRange range, const float* src) {
  return fill<Place>(s, t, FloatLevels<Place>(range), src);
}

template <class Place>
bool load_bytes(const LevelShape& s, const LevelTile& t, const std::uint8_t* src) {
  return fill<Place>(s, t, ByteLevels<Place>(), src);
}

}  // namespace

extern const LevelLoads level_loads_pairs = {load_floats<std::uint16_t>, load_bytes<std::uint16_t>};
extern const LevelLoads level_loads_quads = {load_floats<std::uint8_t>, load_bytes<std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
