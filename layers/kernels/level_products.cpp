// Products of a convolution of levels and what becomes of them, for one instruction set: built once more for processors
// that multiply and add whole numbers in one instruction. Compiled without contraction to fused multiply-adds
// (layers/kernels/level_rounding.hpp).
#include "layers/kernels/level_results.hpp"
#include "layers/kernels/level_sums.hpp"
#include "layers/kernels/level_tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

LevelOperands operands_of(const LevelShape& s) {
  return {s.pitch, s.pitch, s.row_pitch(), s.together};
}

template <class N, class Results>
SLUICE_INLINE void multiply_rows(const LevelShape& s, const LevelTile& t, const std::int32_t* weights,
                                 const Results& results) {
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

template <class N, class Results>
SLUICE_INLINE void multiply_all(const LevelShape& s, const LevelTile& t, const std::int32_t* weights,
                                const Results& results) {
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
  const bool runs = s.kernel == 3 && s.stride == 1 && s.dilation == 1 && s.dst_width >= kLevelRun;
  with_results(
      s, t, e, vector, dst, [&](const auto& results) __attribute__((always_inline)) {
        runs ? multiply_rows<N>(s, t, own, results) : multiply_all<N>(s, t, own, results);
      });
}

}  // namespace

extern const LevelProducts level_products_pairs = {kNativeLanes, multiply<LevelPairs, float>,
                                                   multiply<LevelPairs, std::uint8_t>};
extern const LevelProducts level_products_quads = {kNativeLanes, multiply<LevelQuads, float>,
                                                   multiply<LevelQuads, std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
