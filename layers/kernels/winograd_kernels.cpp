// Winograd's F(4x4, 3x3) for one instruction set.
#include "layers/kernels/winograd_kernels.hpp"

#include "layers/kernels/tables.hpp"
#include "layers/kernels/winograd_tiles.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;
using namespace winograd;

constexpr int kMatrix = kLanes * kLanes;
/// Native vectors of sums that a product keeps in registers: half of those that there are.
constexpr int kSums = kNativeBytes == 64 ? 16 : 8;
/// Tiles whose sums those are, and channels in a gradient.
constexpr int kTiles = kSums / kParts < kGroup ? kSums / kParts : kGroup, kChannels = kSums / kParts;
/// From one point to the next: a line more than there is, because a cache has few places for powers of two.
constexpr std::int64_t kProductStep = kStep + kLanes;
constexpr std::int64_t kMostSteps = kPoints * (WinogradShape::kMostBlocks * kStep + kLanes);
SLUICE_INLINE std::int64_t src_step_of(const WinogradShape& s) {
  return s.src.blocks * kStep + kLanes;
}
/// A bit for each block of the source's channels that a block of the result's is made from.
SLUICE_INLINE std::uint32_t sources_of(const WinogradShape& s, std::int64_t block) {
  return s.mask.sources(block) & static_cast<std::uint32_t>((std::uint64_t{1} << s.src.blocks) - 1);
}

// A y A^T of one tile.
template <class T>
SLUICE_INLINE void expand_diff(const Strip<T>& strip, std::int64_t tile, float* to, std::int64_t step) {
  NativeF32 t[kEdge][kTile];
  const std::int64_t first = tile * kTile;
  const bool whole = strip.end == kTile && first + kTile <= strip.right;
#pragma GCC unroll 4
  for (int i = 0; i < kTile; ++i) {
    NativeF32 y[kTile] = {}, m[kEdge];
    const T* const from = strip.first + i * strip.row + first * strip.pixel;
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      if (whole || (i < strip.end && first + j < strip.right)) y[j] = load_part(from + j * strip.pixel);
    }
    transform_diff(y, m);
#pragma GCC unroll 6
    for (int j = 0; j < kEdge; ++j) t[j][i] = m[j];
  }
#pragma GCC unroll 6
  for (int j = 0; j < kEdge; ++j) {
    NativeF32 m[kEdge];
    transform_diff(t[j], m);
#pragma GCC unroll 6
    for (int i = 0; i < kEdge; ++i) store_part(to + (i * kEdge + j) * step, m[i]);
  }
}

// Sources of a group's tiles: [point][block][tile][16], points `step` floats apart.
template <class T>
SLUICE_INLINE void expand_sources(const WinogradShape& s, std::int64_t tile, std::int64_t count, const T* src,
                                  float* to, std::int64_t step) {
  Columns columns[kParts];
  for (std::int64_t block = 0; block < s.src.blocks; ++block) {
    Place place = place_of(s, tile);
    for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
      const T* const plane = plane_of(s.src, src, place.image, block);
      const Strip<T> strip = strip_of(s, s.src, plane, place.row * kTile - 1, kEdge);
      float* const own = to + block * kStep + t * kLanes;
#pragma GCC unroll 1
      for (int k = 0; k < kParts; ++k) {
        expand_src(strip.part(k), place.column, t == 0 || place.column == 0, columns[k], own + k * kNativeLanes, step);
      }
    }
  }
}

// dst[tile][16] = sum over channels of src[block][tile][channel] weights[channel][16], at one point; `blocks` has a bit
// for each block to add.
SLUICE_INLINE void multiply(std::uint32_t blocks, const float* all_src, const float* all_weights, float* dst) {
  NativeF32 sums[kTiles][kParts] = {};
  for (; blocks != 0; blocks &= blocks - 1) {
    const int block = __builtin_ctz(blocks);
    const float *src = all_src + block * kStep, *weights = all_weights + block * kMatrix;
    asm("" : "+r"(src), "+r"(weights));  // or GCC keeps an address for each product
#pragma GCC unroll 16
    for (int c = 0; c < kLanes; ++c) {
      const F32 w = load(weights + c * kLanes);
#pragma GCC unroll 16
      for (int t = 0; t < kTiles; ++t) {
#pragma GCC unroll 4
        for (int k = 0; k < kParts; ++k) sums[t][k] += w.part[k] * src[t * kLanes + c];
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTiles; ++t) {
#pragma GCC unroll 4
    for (int k = 0; k < kParts; ++k) store_part(dst + t * kLanes + k * kNativeLanes, sums[t][k]);
  }
}

// The same of one block, where halves of channels see their own halves.
SLUICE_INLINE void multiply_halves(const float* src, const float* weights, float* dst) {
  typedef float Half __attribute__((vector_size(32)));
  constexpr int lanes = 8;
#pragma GCC unroll 1
  for (int first = 0; first < kLanes; first += lanes) {
    Half sums[kGroup] = {};
#pragma GCC unroll 8
    for (int c = first; c < first + lanes; ++c) {
      const Half w = load_native<Half>(weights + c * kLanes + first);
#pragma GCC unroll 8
      for (int t = 0; t < kGroup; ++t) sums[t] += w * src[t * kLanes + c];
    }
#pragma GCC unroll 8
    for (int t = 0; t < kGroup; ++t) store_native(dst + t * kLanes + first, sums[t]);
  }
}

// The same at all points, for one block of the result's channels and the tiles of a group. `between` is called after
// each point.
template <class Between>
SLUICE_INLINE void multiply_points(const WinogradShape& s, std::int64_t tiles, std::int64_t block, const float* src,
                                   const float* all_weights, float* dst, std::int64_t step, Between&& between) {
  const std::int64_t src_step = src_step_of(s), matrix = s.src.blocks * kMatrix;
  const float* const weights = all_weights + block * kPoints * matrix;
  const std::uint32_t blocks = sources_of(s, block);
  for (int p = 0; p < kPoints; ++p) {
    if (s.halves) multiply_halves(src + p * src_step, weights + p * matrix, dst + p * step);
    for (std::int64_t t = 0; t < tiles && !s.halves; t += kTiles) {
      multiply(blocks, src + p * src_step + t * kLanes, weights + p * matrix, dst + p * step + t * kLanes);
    }
    between();
  }
}

// One block of a group's results.
template <Rounding kRounding, class Ending, class T>
SLUICE_INLINE void reduce_dsts(const WinogradShape& s, std::int64_t tile, std::int64_t count, std::int64_t block,
                               const float* from, std::int64_t step, const WinogradEpilogue& epilogue, T* dst) {
#pragma GCC unroll 1
  for (int k = 0; k < kParts; ++k) {
    const Ending ending(epilogue, block * kLanes + k * kNativeLanes);
    Place place = place_of(s, tile);
    for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
      T* const plane = plane_of(s.dst, dst, place.image, block) + k * kNativeLanes;
      reduce_dst<kRounding>(s, place, from + t * kLanes + k * kNativeLanes, step, ending, plane);
    }
  }
}

template <Rounding kRounding, class Ending, class T>
SLUICE_INLINE void convolve_range(const WinogradShape& s, const WinogradRange& range, const T* src,
                                  const float* weights, const WinogradEpilogue& epilogue, T* dst) {
  alignas(64) float expanded[kMostSteps], products[kPoints * kProductStep];
  const std::int64_t src_step = src_step_of(s);
  for (std::int64_t group = range.begin; group < range.end; ++group) {
    const std::int64_t tile = group * kGroup, rest = s.tiles() - tile, count = rest < kGroup ? rest : kGroup;
    expand_sources(s, tile, count, src, expanded, src_step);
    // The first rows that the next tiles see were seen by those above them.
    Ahead next(s, s.src, src, group + 1, 1), own(s, s.dst, dst, group, 0);
    constexpr WinogradAhead nothing;
    const WinogradAhead& wanted = range.ahead != nullptr ? *range.ahead : nothing;
    for (std::int64_t block = range.first_block; block < range.last_block; ++block) {
      // The last products overwrite what they were made from: all of it stays in the first cache.
      const bool last = block + 1 == range.last_block;
      float* const to = last ? expanded : products;
      const std::int64_t step = last ? src_step : kProductStep;
      NamedAhead named(s, wanted, group, block);
      multiply_points(s, count, block, expanded, weights, to, step, [&] {
        if (range.ahead != nullptr) return named.fetch();
        if (block > range.first_block) return;
        next.fetch();
        own.fetch();
      });
      reduce_dsts<kRounding, Ending>(s, tile, count, block, to, step, epilogue, dst);
    }
  }
}

template <Rounding kRounding, class T>
void convolve(const WinogradShape& s, const WinogradRange& range, const T* src, const float* weights,
              const WinogradEpilogue& epilogue, T* dst) {
  if (epilogue.empty()) return convolve_range<kRounding, NoEnding>(s, range, src, weights, epilogue, dst);
  convolve_range<kRounding, FullEnding>(s, range, src, weights, epilogue, dst);
}

// sums[channel][16] += sum over tiles of src[tile][channel] diff[tile][16], at one point. (Loops that GCC unrolls
// further spill their sums.)
SLUICE_INLINE void multiply_transposed(const float* src, const float* diff, float* sums) {
#pragma GCC unroll 1
  for (int first = 0; first < kLanes; first += kChannels) {
    NativeF32 own[kChannels][kParts];
#pragma GCC unroll 16
    for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) own[c][k] = load_part(sums + (first + c) * kLanes + k * kNativeLanes);
    }
#pragma GCC unroll 1
    for (int t = 0; t < kGroup; ++t) {
      const F32 d = load(diff + t * kLanes);
#pragma GCC unroll 16
      for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
        for (int k = 0; k < kParts; ++k) own[c][k] += d.part[k] * src[t * kLanes + first + c];
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) store_part(sums + (first + c) * kLanes + k * kNativeLanes, own[c][k]);
    }
  }
}

template <class T>
SLUICE_INLINE void expand_diffs(const WinogradShape& s, std::int64_t tile, std::int64_t count, std::int64_t block,
                                const T* diff_dst, float* to) {
  Place place = place_of(s, tile);
  for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
    const T* const plane = plane_of(s.dst, diff_dst, place.image, block);
    const Strip<T> strip = strip_of(s, s.dst, plane, place.row * kTile, kTile);
#pragma GCC unroll 1
    for (int k = 0; k < kParts; ++k) {
      expand_diff(strip.part(k), place.column, to + t * kLanes + k * kNativeLanes, kProductStep);
    }
  }
}

SLUICE_INLINE void clear(float* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes) store(to + i, F32{});
}

template <class T>
void weight_gradient(const WinogradShape& s, const WinogradRange& range, const T* src, const T* diff_dst, float* sums) {
  alignas(64) float expanded[kMostSteps], diffs[kPoints * kProductStep];
  const std::int64_t src_step = src_step_of(s), matrix = s.src.blocks * kMatrix,
                     own_blocks = range.last_block - range.first_block;
  clear(sums + range.first_block * kPoints * matrix, own_blocks * kPoints * matrix);
  for (std::int64_t group = range.begin; group < range.end; ++group) {
    const std::int64_t tile = group * kGroup, rest = s.tiles() - tile, count = rest < kGroup ? rest : kGroup;
    if (count < kGroup) clear(expanded, kPoints * src_step);  // tiles that are not there add nothing
    if (count < kGroup) clear(diffs, kPoints * kProductStep);
    expand_sources(s, tile, count, src, expanded, src_step);
    Ahead next(s, s.src, src, group + 1, 1), next_diffs(s, s.dst, diff_dst, group + 1, 0);
    for (std::int64_t dst_block = range.first_block; dst_block < range.last_block; ++dst_block) {
      expand_diffs(s, tile, count, dst_block, diff_dst, diffs);
      float* const own = sums + dst_block * kPoints * matrix;
      for (int p = 0; p < kPoints; ++p) {
        if (dst_block == range.first_block) next.fetch();
        if (dst_block == range.first_block) next_diffs.fetch();
        for (std::uint32_t blocks = sources_of(s, dst_block); blocks != 0; blocks &= blocks - 1) {
          const int block = __builtin_ctz(blocks);
          multiply_transposed(expanded + p * src_step + block * kStep, diffs + p * kProductStep,
                              own + p * matrix + block * kMatrix);
        }
      }
    }
  }
}

// One source channel's filters to results, tap by tap: lane l is taps[l * pitch + tap].
SLUICE_INLINE void expand_weights(const float* taps, std::int64_t pitch, bool turned, float* to, std::int64_t step) {
  NativeF32 w[9], t[3][kEdge];
  alignas(64) float lanes[kNativeLanes];
  for (int tap = 0; tap < 9; ++tap) {
    for (int l = 0; l < kNativeLanes; ++l) lanes[l] = taps[l * pitch + (turned ? 8 - tap : tap)];
    w[tap] = load_part(lanes);
  }
  for (int j = 0; j < 3; ++j) transform_weights(w[j], w[3 + j], w[6 + j], t[j]);
  for (int i = 0; i < kEdge; ++i) {
    NativeF32 u[kEdge];
    transform_weights(t[0][i], t[1][i], t[2][i], u);
    for (int j = 0; j < kEdge; ++j) store_part(to + (i * kEdge + j) * step, u[j]);
  }
}

void pack(const WinogradWeights& s, std::int64_t dst_block, const float* plain, float* packed) {
  const std::int64_t channels = s.src_blocks * kLanes, matrix = channels * kLanes;
  const std::int64_t outer = 9 * (s.turned ? s.dst_blocks * kLanes : channels);
  const std::int64_t of_dst = s.turned ? 9 : outer, of_src = s.turned ? outer : 9;
  for (std::int64_t c = 0; c < channels; ++c) {
    const float* const taps = plain + dst_block * kLanes * of_dst + c * of_src;
    float* const to = packed + dst_block * kPoints * matrix + c * kLanes;
    for (int l = 0; l < kLanes; l += kNativeLanes) expand_weights(taps + l * of_dst, of_dst, s.turned, to + l, matrix);
  }
}

// The gradient of one source channel's filters to results.
SLUICE_INLINE void reduce_gradient(const float* sums, float* taps, std::int64_t pitch) {
  NativeF32 t[3][kEdge];
  for (int i = 0; i < kEdge; ++i) {
    NativeF32 u[kEdge];
    for (int j = 0; j < kEdge; ++j) u[j] = load_part(sums + (i * kEdge + j) * kMatrix);
    transform_gradient(u, t[0][i], t[1][i], t[2][i]);
  }
  for (int j = 0; j < 3; ++j) {
    NativeF32 w[3];
    transform_gradient(t[j], w[0], w[1], w[2]);
    for (int i = 0; i < 3; ++i) {
      alignas(64) float lanes[kNativeLanes];
      store_part(lanes, w[i]);
      for (int l = 0; l < kNativeLanes; ++l) taps[l * pitch + i * 3 + j] += lanes[l];
    }
  }
}

void unpack(const WinogradShape& s, std::int64_t src_block, std::int64_t dst_block, const float* sums,
            std::int64_t parts, float* diff_plain) {
  const std::int64_t pitch = 9 * s.src.blocks * kLanes, point = s.src.blocks * kMatrix;
  // Other processors have written the parts: they are read in order, so that they are fetched ahead.
  alignas(64) float total[kPoints * kMatrix] = {};
  for (std::int64_t part = 0; part < parts; ++part, sums += s.part()) {
    const float* const own = sums + dst_block * kPoints * point + src_block * kMatrix;
    for (int p = 0; p < kPoints; ++p) {
      float* const to = total + p * kMatrix;
      for (int i = 0; i < kMatrix; i += kLanes) store(to + i, load(to + i) + load(own + p * point + i));
    }
  }
  for (int c = 0; c < kLanes; ++c) {
    float* const taps = diff_plain + dst_block * kLanes * pitch + 9 * (src_block * kLanes + c);
    for (int l = 0; l < kLanes; l += kNativeLanes) reduce_gradient(total + c * kLanes + l, taps + l * pitch, pitch);
  }
}

}  // namespace

extern const WinogradWeightKernels winograd_weights = {pack, unpack};
extern const WinogradKernels<float> winograd_f32 = {convolve<Rounding::kGeneric, float>, weight_gradient<float>};
extern const WinogradKernels<BFloat16> winograd_bf16 = {convolve<Rounding::kGeneric, BFloat16>,
                                                        weight_gradient<BFloat16>};
extern const WinogradKernels<BFloat16> winograd_native_bf16 = {convolve<Rounding::kNative, BFloat16>,
                                                               weight_gradient<BFloat16>};

}  // namespace sluice::SLUICE_ISA
