// Winograd's F(4x4, 3x3) in whole numbers for one instruction set: built once more for processors that multiply and add
// whole numbers in one instruction. Compiled without contraction to fused multiply-adds
// (layers/kernels/level_rounding.hpp).
#include "layers/kernels/level_results.hpp"
#include "layers/kernels/level_tables.hpp"
#include "layers/kernels/level_winograd_tiles.hpp"

namespace sluice::SLUICE_ISA {
namespace whole_winograd {
namespace {

/// Tiles whose sums for a block of outputs stay in registers, and fewer, of what is left.
constexpr int kTogether = LevelWinograd::kGroup * kNativeBytes / 64, kSome = kTogether < 4 ? kTogether : 4, kFew = 2;

/// Transformed sources of a group: [point][block][tile][unit].
SLUICE_INLINE void expand(const LevelShape& s, const LevelTile& t, const Tiles& tiles, std::int64_t first,
                          std::int64_t count, const LevelWinograd& sizes, std::int32_t* to) {
  const std::int64_t rows = s.src_rows(t.rows), image = rows * s.row_pitch(), step = sizes.src_step();
  Columns columns[kChannelParts];
  for (std::int64_t block = 0; block < sizes.src_blocks; ++block) {
    Place place = tiles.place(first);
    for (std::int64_t i = 0; i < count; ++i, tiles.advance(place)) {
      const std::int64_t top = place.row * kTile;
      const std::int32_t* const from =
          static_cast<const std::int32_t*>(t.patch) + place.image * image + top * s.row_pitch() + block * kUnits;
      std::int32_t* const own = to + (block * kGroup + i) * kUnits;
#pragma GCC unroll 1
      for (int k = 0; k < kChannelParts; ++k) {
        constexpr int units = kChannelBytes / 4;
        const Strip strip{from + k * units, rows - top, s.columns, s.pitch, s.row_pitch()};
        expand_tile(strip, place.column, i == 0 || place.column == 0, columns[k], own + k * units, step);
      }
    }
  }
}

/// dst[tile][16] = sum over units of src[block][tile][unit] weights[block][unit][16], of kCount tiles at one point.
template <int kCount>
SLUICE_INLINE void multiply_tiles(std::int64_t blocks, const std::int32_t* src, const std::int32_t* weights,
                                  std::int32_t* dst) {
  NativeI32 sums[kCount][kParts] = {};
  for (; blocks > 0; --blocks, src += (kGroup - 1) * kUnits) {
#pragma GCC unroll 1  // or GCC adds the products of several units first, which do not fit the registers
    for (int u = 0; u < kUnits; ++u, ++src, weights += kLanes) {
      NativeI32 w[kParts];
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) w[k] = load_native<NativeI32>(weights + k * kNativeLanes);
#pragma GCC unroll 16
      for (int i = 0; i < kCount; ++i) {
        const NativeI32 x = src[i * kUnits] - NativeI32{};
#pragma GCC unroll 4
        for (int k = 0; k < kParts; ++k) add_pairs(sums[i][k], w[k], x);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
#pragma GCC unroll 4
    for (int k = 0; k < kParts; ++k) store_native(dst + i * kLanes + k * kNativeLanes, sums[i][k]);
  }
}

/// Products of a group at all points, for one block of outputs.
SLUICE_INLINE void multiply_points(const LevelWinograd& sizes, std::int64_t count, const std::int32_t* src,
                                   const std::int32_t* weights, std::int32_t* dst) {
  const std::int64_t matrix = sizes.src_blocks * kUnits * kLanes;
  for (int p = 0; p < kPoints; ++p, weights += matrix, src += sizes.src_step(), dst += LevelWinograd::kProductStep) {
    for (std::int64_t i = 0; i < count;) {
      const std::int32_t* const own = src + i * kUnits;
      std::int32_t* const to = dst + i * kLanes;
      const auto multiply = [&](auto together) __attribute__((always_inline)) {
        multiply_tiles<together.value>(sizes.src_blocks, own, weights, to);
        i += together.value;
      };
      if (count - i > kSome) {
        multiply(std::integral_constant<int, kTogether>{});
      } else if (count - i > kFew) {
        multiply(std::integral_constant<int, kSome>{});
      } else {
        multiply(std::integral_constant<int, kFew>{});
      }
    }
  }
}

/// Puts sums of one vector of outputs where a bit is set, or with kAll everywhere.
template <bool kAll>
class Sums {
 public:
  using Word = std::conditional_t<kNativeLanes == 16, std::uint16_t, std::uint8_t>;

  SLUICE_INLINE Sums(const LevelShape& s, const LevelTile& t, const void* open, std::int64_t vector, float* dst)
      : open_(kAll ? nullptr : static_cast<const Word*>(open) + vector * t.images * t.rows * s.dst_width),
        dst_(dst + vector * kNativeLanes),
        pitch_(s.dst_block) {}

  SLUICE_INLINE void put(std::int64_t pixel, NativeI32 sum) const {
    float* const to = dst_ + pixel * pitch_;
    const NativeF32 x = __builtin_convertvector(sum, NativeF32);
    if constexpr (kAll) return store_part(to, x);
    NativeI32 lanes;
    for (int l = 0; l < kNativeLanes; ++l) lanes[l] = 1 << l;
    const NativeI32 bits = (open_[pixel] - NativeI32{}) & lanes;
    store_part(to, bits == lanes ? x : load_part(to));
  }

 private:
  const Word* open_;
  float* dst_;
  std::int64_t pitch_;
};

/// Results of a group from its products, at one vector of outputs.
template <class Target>
SLUICE_INLINE void reduce(const LevelShape& s, const LevelTile& t, const Tiles& tiles, std::int64_t first,
                          std::int64_t count, const std::int32_t* from, const Target& target) {
  Place place = tiles.place(first);
  for (std::int64_t i = 0; i < count; ++i, tiles.advance(place)) {
    const std::int64_t row = place.row * kTile, column = place.column * kTile;
    const std::int64_t pixel = (place.image * t.rows + row) * s.dst_width + column;
    reduce_tile(
        from + i * kLanes, t.rows - row,
        s.dst_width - column, [&](int y, int x, NativeI32 sum) __attribute__((always_inline)) {
          target.put(pixel + y * s.dst_width + x, sum);
        });
  }
}

/// `with_target(vector, use)` calls use with where the results of a vector of outputs go.
template <class WithTarget>
SLUICE_INLINE void convolve_tile(const LevelShape& s, const LevelTile& t, const std::int32_t* weights,
                                 std::int32_t* work, WithTarget&& with_target) {
  const LevelWinograd sizes(s.src_channels, s.dst_channels);
  const Tiles tiles(s, t);
  std::int32_t* const products = work + kPoints * sizes.src_step();
  const std::int64_t of_block = sizes.weights() / sizes.dst_blocks;
  for (std::int64_t first = 0; first < tiles.count(); first += kGroup) {
    const std::int64_t rest = tiles.count() - first, count = rest < kGroup ? rest : kGroup;
    expand(s, t, tiles, first, count, sizes, work);
    for (std::int64_t block = 0; block < sizes.dst_blocks; ++block) {
      multiply_points(sizes, count, work, weights + block * of_block, products);
#pragma GCC unroll 1
      for (int k = 0; k < kParts; ++k) {
        const std::int64_t vector = block * kParts + k;
        if (vector * kNativeLanes >= s.dst_channels) break;
        with_target(
            vector, [&](const auto& target) __attribute__((always_inline)) {
              reduce(s, t, tiles, first, count, products + k * kNativeLanes, target);
            });
      }
    }
  }
}

template <class T>
void convolve(const LevelShape& s, const LevelTile& t, const LevelEnding& e, const std::int32_t* weights,
              std::int32_t* work, T* dst) {
  convolve_tile(
      s, t, weights, work, [&](std::int64_t vector, auto&& use) __attribute__((always_inline)) {
        with_results(s, t, e, vector, dst, use);
      });
}

void sum(const LevelShape& s, const LevelTile& t, const void* open, const std::int32_t* weights, std::int32_t* work,
         float* dst) {
  convolve_tile(
      s, t, weights, work, [&](std::int64_t vector, auto&& use) __attribute__((always_inline)) {
        open == nullptr ? use(Sums<true>(s, t, open, vector, dst)) : use(Sums<false>(s, t, open, vector, dst));
      });
}

}  // namespace
}  // namespace whole_winograd

extern const LevelWinogradKernels level_winograd = {whole_winograd::convolve<float>,
                                                    whole_winograd::convolve<std::uint8_t>, whole_winograd::sum};

}  // namespace sluice::SLUICE_ISA
