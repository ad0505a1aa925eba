// Winograd's F(4x4, 3x3) over open channels, for one instruction set.
#include "layers/kernels/open_channel_kernels.hpp"

#include <cstring>

#include "layers/kernels/open_channels_detail.hpp"
#include "layers/kernels/tables.hpp"
#include "layers/kernels/winograd_tiles.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;
using namespace winograd;

/// Native vectors of sums that a product keeps in registers.
constexpr int kSums = kNativeBytes == 64 ? 16 : 8;
constexpr int kTiles = kSums / kParts < kGroup ? kSums / kParts : kGroup;  // whose sums those are
// Points in lanes: vectors of a tile, and those that are left, which four tiles have in common.
constexpr int kFour = 4, kWhole = kPoints / kNativeLanes, kRest = kPoints % kNativeLanes;
constexpr int kRestVectors = kRest == 0 ? 1 : kFour * kRest / kNativeLanes;
constexpr std::int64_t kPointStep = kFour * kNativeLanes;  // floats of a channel at one vector of points
constexpr std::int64_t kFourTiles = kFour * kPoints;       // and at all of them

/// Pixels of the result that a part's tiles are.
SLUICE_INLINE Pixels made_by(const WinogradShape& s, const OpenPart& part) {
  const std::int64_t end_row = part.end_row * kTile, end_column = part.end_column * kTile;
  return {part.row * kTile, end_row < s.height ? end_row : s.height, part.column * kTile,
          end_column < s.width ? end_column : s.width};
}

/// Calls visit(number in the part, row, column).
template <class Visit>
SLUICE_INLINE void for_tiles(const OpenPart& part, Visit&& visit) {
  std::int64_t tile = 0;
  for (std::int64_t row = part.row; row < part.end_row; ++row) {
    for (std::int64_t column = part.column; column < part.end_column; ++column, ++tile) visit(tile, row, column);
  }
}

// B^T d B of all vectors with an open channel, tile by tile: use(tile, channel, expand) calls expand(to, step), where
// points are `step` floats apart.
template <class Use>
SLUICE_INLINE void expand_open(const WinogradShape& s, const OpenPart& part, const OpenList& open, const float* src,
                               Use&& use) {
  Columns columns;
  std::int64_t from = 0;
  for (std::int64_t channel = 0; channel < s.src.blocks * kLanes; channel += kNativeLanes) {
    const std::int64_t end = end_of_vector(open, from, channel);
    if (end == from) continue;
    from = end;
    const float* const plane = plane_of(s.src, src, 0, channel / kLanes) + channel % kLanes;
    for_tiles(
        part, [&](std::int64_t tile, std::int64_t row, std::int64_t column) __attribute__((always_inline)) {
          const Strip<float> strip = strip_of(s, s.src, plane, row * kTile - 1, kEdge);
          use(
              tile, channel, [&](float* to, std::int64_t step) __attribute__((always_inline)) {
                expand_src(strip, column, column == part.column, columns, to, step);
              });
        });
  }
}

// dst[tile][16] = sum over open channels of src[tile][channel] weights[channel][16], at one point.
SLUICE_INLINE void multiply_open(const float* src, std::int64_t pitch, const OpenList& open, const float* weights,
                                 float* dst) {
  NativeF32 sums[kTiles][kParts] = {};
  for (std::int64_t i = 0; i < open.count; ++i) {
    const std::int64_t channel = open.channels[i];
    const F32 w = load(weights + channel * kLanes);
#pragma GCC unroll 16
    for (int t = 0; t < kTiles; ++t) {
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) sums[t][k] += w.part[k] * src[t * pitch + channel];
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTiles; ++t) {
#pragma GCC unroll 4
    for (int k = 0; k < kParts; ++k) store_part(dst + t * kLanes + k * kNativeLanes, sums[t][k]);
  }
}

/// A block of one image's results.
SLUICE_INLINE void reduce_block(const WinogradShape& s, const OpenPart& part, const OpenOperands& o, std::int64_t block,
                                const float* products, std::int64_t step, float* dst) {
  for (int k = 0; k < kParts; ++k) {
    const FullEnding ending(o.epilogue, block * kLanes + k * kNativeLanes);
    float* const plane = plane_of(s.dst, dst, 0, block) + k * kNativeLanes;
    for_tiles(
        part, [&](std::int64_t tile, std::int64_t row, std::int64_t column) __attribute__((always_inline)) {
          const float* const from = products + tile * kLanes + k * kNativeLanes;
          reduce_dst<Rounding::kGeneric>(s, {0, row, column}, from, step, ending, plane);
        });
  }
}

/// Of the images of a part.
struct OpenLists {
  OpenList of[OpenPart::kMostImages];
};

OpenLists list_images(const OpenPart& part, const float* factors, std::int64_t channels, std::int64_t first,
                      std::int64_t end, std::int32_t* memory) {
  OpenLists lists{};
  for (std::int64_t n = 0; n < part.images; ++n) {
    lists.of[n] = list_open(factors == nullptr ? nullptr : factors + n * channels, first, end,
                            memory + n * OpenMemory::listed(channels));
  }
  return lists;
}

void all_outputs(const WinogradShape& s, const OpenPart& part, const OpenOperands& o, const OpenMemory& m) {
  const std::int64_t channels = s.src.blocks * kLanes, each = round_up(part.tiles(), kTiles),
                     tiles = each * part.images;
  const OpenLists open = list_images(part, o.inputs, channels, 0, channels, m.inputs);
  // A line more than there is: a cache has few places for powers of two.
  const std::int64_t src_step = tiles * channels + kLanes, step = tiles * kLanes + kLanes;
  for (std::int64_t n = 0; n < part.images; ++n) {
    expand_open(
        s, part, open.of[n], o.src + n * s.src.image,
        [&](std::int64_t tile, std::int64_t channel, auto&& expand)
            __attribute__((always_inline)) { expand(m.expanded + (n * each + tile) * channels + channel, src_step); });
  }
  for (std::int64_t block = part.block; block < part.end_block; ++block) {
    for (int p = 0; p < kPoints; ++p) {
      const float* const weights = o.weights + (block * kPoints + p) * channels * kLanes;
      for (std::int64_t t = 0; t < tiles; t += kTiles) {
        multiply_open(m.expanded + p * src_step + t * channels, channels, open.of[t / each], weights,
                      m.products + p * step + t * kLanes);
      }
    }
    for (std::int64_t n = 0; n < part.images; ++n)
      reduce_block(s, part, o, block, m.products + n * each * kLanes, step, o.dst + n * s.dst.image);
  }
}

// Points in lanes.

SLUICE_INLINE void store_rest(float* to, NativeF32 x) {
  std::memcpy(to, &x, kRest * sizeof(float));
}

/// The rest of a channel's points, for all of four tiles.
SLUICE_INLINE NativeF32 load_rest(const float* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<NativeF32>(_mm512_maskz_broadcast_f32x4(kAll, _mm_loadu_ps(p)));
#elif defined(__AVX2__)
  return reinterpret_cast<NativeF32>(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p)));
#else
  return load_part(p);
#endif
}

/// Where the points of the tiles of a part are: [four tiles][channel], of each vector of points, then of the rest.
struct PointLayout {
  std::int64_t fours, channels;

  SLUICE_INLINE std::int64_t whole(std::int64_t vector, std::int64_t four, std::int64_t channel) const {
    return ((vector * fours + four) * channels + channel) * kPointStep;
  }
  SLUICE_INLINE std::int64_t rest(std::int64_t four, std::int64_t channel) const {
    return kWhole * fours * channels * kPointStep + (four * channels + channel) * kFour * kRest;
  }
};

/// [point][channel] of a vector of channels and one tile to where its points belong.
SLUICE_INLINE void scatter_points(const float* points, const PointLayout& layout, std::int64_t tile,
                                  std::int64_t channel, float* to) {
  const std::int64_t four = tile / kFour, own = tile % kFour;
  NativeF32 rows[kNativeLanes];
  for (int v = 0; v < kWhole; ++v) {
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i) rows[i] = load_part(points + (v * kNativeLanes + i) * kNativeLanes);
    transpose(rows);
    float* const at = to + layout.whole(v, four, channel) + own * kNativeLanes;
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i) store_part(at + i * kPointStep, rows[i]);
  }
  if constexpr (kRest > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i)
      rows[i] = i < kRest ? load_part(points + (kWhole * kNativeLanes + i) * kNativeLanes) : NativeF32{};
    transpose(rows);
    float* const at = to + layout.rest(four, channel) + own * kRest;
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i) store_rest(at + i * kFour * kRest, rows[i]);
  }
}

/// The other way, for a vector of outputs.
SLUICE_INLINE void gather_points(const float* const (&outputs)[kNativeLanes], std::int64_t tile, float* points) {
  const std::int64_t four = tile / kFour * kFourTiles, own = tile % kFour;
  NativeF32 rows[kNativeLanes];
  const auto load_rows = [&](std::int64_t at) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i) rows[i] = load_part(outputs[i] + four + at);
    transpose(rows);
  };
  for (int v = 0; v < kWhole; ++v) {
    load_rows(v * kPointStep + own * kNativeLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kNativeLanes; ++i) store_part(points + (v * kNativeLanes + i) * kNativeLanes, rows[i]);
  }
  if constexpr (kRest > 0) {
    load_rows(kWhole * kPointStep + own * kRest);
#pragma GCC unroll 16
    for (int i = 0; i < kRest; ++i) store_part(points + (kWhole * kNativeLanes + i) * kNativeLanes, rows[i]);
  }
}

/// How far apart the weights and the sums of outputs are.
struct PointPitches {
  std::int64_t output, sums;
};

/// At one vector of points, sums of some outputs over open channels of weights[output][channel] src[channel][vector].
template <int kCount, int kVectors, bool kIsRest>
SLUICE_INLINE void multiply_outputs(const float* src, const OpenList& open, const float* weights,
                                    const std::int32_t* outputs, const PointPitches& pitch, float* dst) {
  constexpr int kWidth = kIsRest ? kRest : kNativeLanes;
  NativeF32 sums[kCount][kVectors] = {};
  const float* own[kCount];
  for (int k = 0; k < kCount; ++k) own[k] = weights + outputs[k] * pitch.output;
  for (std::int64_t i = 0; i < open.count; ++i) {
    const std::int64_t channel = open.channels[i], at = channel * kWidth;
    const float* const own_src = src + channel * kVectors * kNativeLanes;
    NativeF32 w[kCount];
#pragma GCC unroll 8
    for (int k = 0; k < kCount; ++k) w[k] = kIsRest ? load_rest(own[k] + at) : load_part(own[k] + at);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const NativeF32 x = load_part(own_src + v * kNativeLanes);
#pragma GCC unroll 8
      for (int k = 0; k < kCount; ++k) sums[k][v] += w[k] * x;
    }
  }
  for (int k = 0; k < kCount; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store_part(dst + k * pitch.sums + v * kNativeLanes, sums[k][v]);
  }
}

/// The same for all open outputs and tiles.
template <int kVectors, bool kIsRest, class At>
SLUICE_INLINE void multiply_all(const OpenList& open, const OpenList& outputs, const float* weights,
                                const PointPitches& pitch, std::int64_t fours, At&& src_of, float* dst) {
  constexpr int kTogether = kSums / kVectors;
  std::int64_t o = 0;
  for (; o + kTogether <= outputs.count; o += kTogether) {
    for (std::int64_t four = 0; four < fours; ++four) {
      multiply_outputs<kTogether, kVectors, kIsRest>(src_of(four), open, weights, outputs.channels + o, pitch,
                                                     dst + o * pitch.sums + four * kFourTiles);
    }
  }
  for (; o < outputs.count; ++o) {
    for (std::int64_t four = 0; four < fours; ++four) {
      multiply_outputs<1, kVectors, kIsRest>(src_of(four), open, weights, outputs.channels + o, pitch,
                                             dst + o * pitch.sums + four * kFourTiles);
    }
  }
}

/// Where an image's points and products begin.
struct ImagePitches {
  std::int64_t points, products;
};

/// Products of open outputs, image by image: [output][four tiles][36 points of each].
void multiply_points(const WinogradShape& s, const OpenPart& part, const PointLayout& layout, const OpenLists& open,
                     const OpenLists& outputs, const ImagePitches& pitch, const float* src, const float* weights,
                     float* dst) {
  const std::int64_t inputs = s.src.blocks * kLanes, all = s.dst.blocks * kLanes, sums = layout.fours * kFourTiles;
  for (int v = 0; v < kWhole; ++v) {
    for (std::int64_t n = 0; n < part.images; ++n) {
      const float* const own = src + n * pitch.points;
      multiply_all<kFour, false>(
          open.of[n], outputs.of[n], weights + v * all * inputs * kNativeLanes, {inputs * kNativeLanes, sums},
          layout.fours, [&](std::int64_t four) { return own + layout.whole(v, four, 0); },
          dst + n * pitch.products + v * kPointStep);
    }
  }
  if constexpr (kRest > 0) {
    for (std::int64_t n = 0; n < part.images; ++n) {
      const float* const own = src + n * pitch.points;
      multiply_all<kRestVectors, true>(
          open.of[n], outputs.of[n], weights + kWhole * all * inputs * kNativeLanes, {inputs * kRest, sums},
          layout.fours, [&](std::int64_t four) { return own + layout.rest(four, 0); },
          dst + n * pitch.products + kWhole * kPointStep);
    }
  }
}

/// Open outputs of one image side by side.
void reduce_points(const WinogradShape& s, const OpenPart& part, const OpenOperands& o, const OpenList& outputs,
                   const float* products, std::int64_t pitch, float* bias, const SideBySide& to) {
  alignas(64) float points[kPoints * kNativeLanes];
  const WinogradEpilogue epilogue = gather_epilogue(o.epilogue, outputs, bias);
  WinogradShape compact = s;
  compact.dst.pixel = to.pixel;
  compact.dst.row = to.row;
  for (std::int64_t first = 0; first < outputs.count; first += kNativeLanes) {
    const FullEnding ending(epilogue, first);
    const float* sums[kNativeLanes];  // behind the last output comes that one again
    for (std::int64_t i = 0; i < kNativeLanes; ++i)
      sums[i] = products + (first + i < outputs.count ? first + i : outputs.count - 1) * pitch;
    for_tiles(
        part, [&](std::int64_t tile, std::int64_t y, std::int64_t x) __attribute__((always_inline)) {
          gather_points(sums, tile, points);
          reduce_dst<Rounding::kGeneric>(compact, {0, y, x}, points, kNativeLanes, ending, to.image + first);
        });
  }
}

void open_outputs(const WinogradShape& s, const OpenPart& part, const OpenOperands& o, const OpenMemory& m) {
  const std::int64_t inputs = s.src.blocks * kLanes, all = s.dst.blocks * kLanes;
  const OpenLists outputs = list_images(part, o.outputs, all, part.block * kLanes, part.end_block * kLanes, m.outputs);
  const OpenLists open = list_images(part, o.inputs, inputs, 0, inputs, m.inputs);
  const PointLayout layout{(part.tiles() + kFour - 1) / kFour, inputs};
  const std::int64_t sums = layout.fours * kFourTiles;
  const ImagePitches pitch{sums * inputs, sums * (part.end_block - part.block) * kLanes};
  alignas(64) float points[kPoints * kNativeLanes];
  for (std::int64_t n = 0; n < part.images; ++n) {
    if (outputs.of[n].count == 0) continue;
    expand_open(
        s, part, open.of[n], o.src + n * s.src.image,
        [&](std::int64_t tile, std::int64_t channel, auto&& expand) __attribute__((always_inline)) {
          expand(points, kNativeLanes);
          scatter_points(points, layout, tile, channel, m.expanded + n * pitch.points);
        });
  }
  multiply_points(s, part, layout, open, outputs, pitch, m.expanded, o.weights, m.products);
  const Pixels made = made_by(s, part);
  for (std::int64_t n = 0; n < part.images; ++n) {
    const SideBySide image = side_by_side(outputs.of[n].count, made, m.dst);
    reduce_points(s, part, o, outputs.of[n], m.products + n * pitch.products, sums, m.bias, image);
    spread(s.dst, {part.block, part.end_block}, made, outputs.of[n], o.outputs + n * all, image,
           o.dst + n * s.dst.image);
  }
}

void order(const WinogradShape& s, const float* packed, float* ordered) {
  const std::int64_t inputs = s.src.blocks * kLanes, outputs = s.dst.blocks * kLanes;
  for (std::int64_t p = 0; p < kPoints; ++p) {
    const std::int64_t vector = p / kNativeLanes, width = vector < kWhole ? kNativeLanes : kRest;
    float* const to = ordered + vector * outputs * inputs * kNativeLanes + p % kNativeLanes;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const float* const from = packed + (o / kLanes * kPoints + p) * inputs * kLanes + o % kLanes;
      for (std::int64_t c = 0; c < inputs; ++c) to[(o * inputs + c) * width] = from[c * kLanes];
    }
  }
}

/// Tiles that either kernel multiplies together.
constexpr int kMultiple = kTiles > kFour ? kTiles : kFour;

}  // namespace

extern const OpenKernels open_channels = {kMultiple, all_outputs, open_outputs, order};

}  // namespace sluice::SLUICE_ISA
