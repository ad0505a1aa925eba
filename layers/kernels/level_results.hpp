// What becomes of sums of products of levels, for one instruction set. Only for files that are compiled without
// contraction to fused multiply-adds (layers/kernels/level_rounding.hpp).
#pragma once

#include <limits>
#include <type_traits>

#include "layers/kernels/level_rounding.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Writes what sums of one vector of outputs become, in a tile. kAdds: there is an addend; kWhole: all lanes have an
/// output.
template <class T, bool kAdds, bool kWhole>
class Results {
 public:
  SLUICE_INLINE Results(const LevelShape& s, const LevelTile& t, const LevelEnding& e, std::int64_t vector, T* dst)
      : rounding_(e.range),
        scale_(load_part(e.scale + vector * kNativeLanes)),
        shift_(load_part(e.shift + vector * kNativeLanes)),
        low_(broadcast(e.clips ? e.low : -std::numeric_limits<float>::infinity())),
        high_(broadcast(e.clips ? e.high : std::numeric_limits<float>::infinity())),
        pitch_(s.dst_block) {
    const std::int64_t channel = vector * kNativeLanes, plane = s.dst_height * s.dst_width;
    const std::int64_t at = (t.image * s.dst_channels + channel / pitch_ * pitch_) * plane +
                            t.row * s.dst_width * pitch_ + channel % pitch_;
    lanes_ = s.dst_channels - channel;
    dst_ = dst + at;
    if constexpr (kAdds) addend_ = e.addend + at;
  }

  SLUICE_INLINE void put(std::int64_t pixel, NativeI32 sum) const {
    NativeF32 x = __builtin_convertvector(sum, NativeF32) * scale_ + shift_;
    if constexpr (kAdds) x += addend_at(pixel);
    x = x < low_ ? low_ : x;
    x = x > high_ ? high_ : x;
    T* const to = dst_ + pixel * pitch_;
    if constexpr (kWhole) return store(to, x);
    T padded[kNativeLanes];
    store(padded, x);
    for (std::int64_t l = 0; l < lanes_; ++l) to[l] = padded[l];
  }

 private:
  SLUICE_INLINE NativeF32 addend_at(std::int64_t pixel) const {
    const float* const from = addend_ + pixel * pitch_;
    if constexpr (kWhole) return load_part(from);
    float padded[kNativeLanes] = {};
    for (std::int64_t l = 0; l < lanes_; ++l) padded[l] = from[l];
    return load_part(padded);
  }
  SLUICE_INLINE void store(T* to, NativeF32 x) const {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      store_narrowed(to, rounding_.byte(x));
    } else {
      store_part(to, x);
    }
  }

  LevelRounding rounding_;
  NativeF32 scale_, shift_, low_, high_;
  std::int64_t pitch_, lanes_;  ///< lanes: that have an output, if not all
  T* dst_;
  const float* addend_ = nullptr;
};

/// Calls use(results) with those of one vector of outputs.
template <class T, class Use>
SLUICE_INLINE void with_results(const LevelShape& s, const LevelTile& t, const LevelEnding& e, std::int64_t vector,
                                T* dst, Use&& use) {
  const bool whole = (vector + 1) * kNativeLanes <= s.dst_channels;
  if (e.addend == nullptr) {
    whole ? use(Results<T, false, true>(s, t, e, vector, dst)) : use(Results<T, false, false>(s, t, e, vector, dst));
  } else {
    whole ? use(Results<T, true, true>(s, t, e, vector, dst)) : use(Results<T, true, false>(s, t, e, vector, dst));
  }
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
