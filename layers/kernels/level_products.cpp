// Products of a convolution of levels and what becomes of them, for one instruction set: built once more for processors
// that multiply and add whole numbers in one instruction. Compiled without contraction to fused multiply-adds
// (layers/kernels/level_rounding.hpp).
#include <type_traits>

#include "layers/kernels/level_rounding.hpp"
#include "layers/kernels/level_sums.hpp"
#include "layers/kernels/level_tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

/// Writes what sums of one vector of outputs become, in a tile.
template <class T>
class Results {
 public:
  SLUICE_INLINE Results(const LevelShape& s, const LevelTile& t, const LevelEnding& e, std::int64_t vector, T* dst)
      : rounding_(e.range),
        scale_(load_part(e.scale + vector * kNativeLanes)),
        shift_(load_part(e.shift + vector * kNativeLanes)),
        low_(broadcast(e.low)),
        high_(broadcast(e.high)),
        clips_(e.clips),
        pitch_(s.dst_block) {
    const std::int64_t channel = vector * kNativeLanes, plane = s.dst_height * s.dst_width;
    const std::int64_t at = (t.image * s.dst_channels + channel / pitch_ * pitch_) * plane +
                            t.row * s.dst_width * pitch_ + channel % pitch_;
    lanes_ = s.dst_channels - channel < kNativeLanes ? s.dst_channels - channel : kNativeLanes;
    dst_ = dst + at;
    addend_ = e.addend == nullptr ? nullptr : e.addend + at;
  }

  SLUICE_INLINE void put(std::int64_t pixel, NativeI32 sum) const {
    NativeF32 x = __builtin_convertvector(sum, NativeF32) * scale_ + shift_;
    if (addend_ != nullptr) x += addend_at(pixel);
    if (clips_) {
      x = x < low_ ? low_ : x;
      x = x > high_ ? high_ : x;
    }
    T* const to = dst_ + pixel * pitch_;
    if (lanes_ == kNativeLanes) return store(to, x);
    T padded[kNativeLanes];
    store(padded, x);
    for (std::int64_t l = 0; l < lanes_; ++l) to[l] = padded[l];
  }

 private:
  SLUICE_INLINE NativeF32 addend_at(std::int64_t pixel) const {
    const float* const from = addend_ + pixel * pitch_;
    if (lanes_ == kNativeLanes) return load_part(from);
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
  bool clips_;
  std::int64_t pitch_, lanes_;
  T* dst_;
  const float* addend_;
};

LevelOperands operands_of(const LevelShape& s) {
  return {s.pitch, s.pitch, s.row_pitch(), s.together};
}

template <class N, class T>
SLUICE_INLINE void multiply_rows(const LevelShape& s, const LevelTile& t, const std::int32_t* weights,
                                 const Results<T>& results) {
  const auto* const patch = static_cast<const std::int32_t*>(t.patch);
  for (std::int64_t y = 0; y < t.images * t.rows; ++y) {
    const std::int32_t* const row = patch + (y / t.rows * s.src_rows(t.rows) + y % t.rows) * s.row_pitch();
    for (std::int64_t begin = 0; begin < s.dst_width; begin += kLevelRun) {
      const std::int64_t x = begin + kLevelRun <= s.dst_width ? begin : s.dst_width - kLevelRun;  // the last one again
      NativeI32 sums[kLevelRun]{};
      add_run<N>(operands_of(s), row + x * s.pitch, weights, sums);
#pragma GCC unroll 8
      for (int i = 0; i < kLevelRun; ++i) results.put(y * s.dst_width + x + i, sums[i]);
    }
  }
}

/// Where the first taps of a tile's pixels stand in its patch, one pixel after the other.
class FirstTaps {
 public:
  SLUICE_INLINE FirstTaps(const LevelShape& s, const LevelTile& t)
      : pixel_step_(s.stride * s.pitch),
        row_step_(s.stride * s.row_pitch()),
        image_step_(s.src_rows(t.rows) * s.row_pitch()),
        width_(s.dst_width),
        rows_(t.rows),
        image_(static_cast<const std::int32_t*>(t.patch)),
        row_(image_),
        pixel_(image_) {}

  SLUICE_INLINE const std::int32_t* next() {
    const std::int32_t* const own = pixel_;
    pixel_ += pixel_step_;
    if (++x_ < width_) return own;
    x_ = 0;
    row_ += row_step_;
    if (++y_ == rows_) {
      y_ = 0;
      row_ = image_ += image_step_;
    }
    pixel_ = row_;
    return own;
  }

 private:
  std::int64_t pixel_step_, row_step_, image_step_, width_, rows_;
  std::int64_t x_ = 0, y_ = 0;
  const std::int32_t *image_, *row_, *pixel_;
};

template <class N, class T>
SLUICE_INLINE void multiply_all(const LevelShape& s, const LevelTile& t, const std::int32_t* weights,
                                const Results<T>& results) {
  const std::int64_t pixels = t.images * t.rows * s.dst_width;
  FirstTaps taps(s, t);
  for (std::int64_t first = 0; first < pixels; first += kLevelRun) {
    const std::int64_t own = pixels - first < kLevelRun ? pixels - first : kLevelRun;
    const std::int32_t* src[kLevelRun];
    NativeI32 sums[kLevelRun]{};
    for (int i = 0; i < kLevelRun; ++i) src[i] = i < own ? taps.next() : src[0];
    add_pixels<N>(operands_of(s), s.kernel, s.dilation, src, weights, sums);
#pragma GCC unroll 8
    for (int i = 0; i < kLevelRun; ++i) {
      if (i < own) results.put(first + i, sums[i]);
    }
  }
}

template <class N, class T>
void multiply(const LevelShape& s, const LevelTile& t, const LevelEnding& e, std::int64_t vector, const void* weights,
              T* dst) {
  const auto* const own = static_cast<const std::int32_t*>(weights);
  const Results<T> results(s, t, e, vector, dst);
  const bool runs = s.kernel == 3 && s.stride == 1 && s.dilation == 1 && s.dst_width >= kLevelRun;
  runs ? multiply_rows<N>(s, t, own, results) : multiply_all<N>(s, t, own, results);
}

}  // namespace

extern const LevelProducts level_products_pairs = {kNativeLanes, multiply<LevelPairs, float>,
                                                   multiply<LevelPairs, std::uint8_t>};
extern const LevelProducts level_products_quads = {kNativeLanes, multiply<LevelQuads, float>,
                                                   multiply<LevelQuads, std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
