// Winograd's F(4x4, 3x3) for one instruction set.
#include "layers/kernels/winograd_kernels.hpp"

#include "core/base/simd.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr int kTile = WinogradShape::kTile, kGroup = WinogradShape::kGroup, kPoints = WinogradShape::kPoints;
constexpr int kEdge = 6;  // pixels that a tile sees in one direction
constexpr int kMatrix = kLanes * kLanes;
constexpr std::int64_t kStep = kGroup * kLanes;  // floats of one block of channels at one point

/// How results are stored: bf16 is rounded in one instruction where the processor has it.
enum class Rounding { kGeneric, kNative };

template <Rounding kRounding, class T>
SLUICE_INLINE void put(T* to, F32 x) {
  store(to, x);
}
#ifdef __AVX512F__
// In assembler: the instruction set of the whole file has no bf16, and what is inlined cannot have more.
template <>
SLUICE_INLINE void put<Rounding::kNative>(BFloat16* to, F32 x) {
  __m256i rounded;
  asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(x.part[0]));
  store_native(to, rounded);
}
#endif

/// Where a tile stands.
struct Place {
  std::int64_t image, row, column;
};

SLUICE_INLINE Place place_of(const WinogradShape& s, std::int64_t tile) {
  const std::int64_t columns = s.columns(), rows = s.rows();
  return {tile / columns / rows, tile / columns % rows, tile % columns};
}

SLUICE_INLINE void advance(const WinogradShape& s, Place& p) {
  if (++p.column < s.columns()) return;
  p.column = 0;
  if (++p.row < s.rows()) return;
  p.row = 0;
  ++p.image;
}

// The points of interpolation are 0, +-a, +-b and infinity. With 5/8 and 3/2, whose powers are exact, rounding errors
// are less than half of those with the usual 1 and 2 (measured: 5e-7 of the result's deviation, direct sums have 2e-7).
constexpr float kA = 0.625F, kB = 1.5F;
constexpr float kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;

// B^T d
SLUICE_INLINE void transform_src(F32 (&d)[kEdge]) {
  const F32 a = set(kA), b = set(kB), a2 = set(kA2), b2 = set(kB2);
  const F32 p = d[4] - b2 * d[2], q = d[3] - b2 * d[1], r = d[4] - a2 * d[2], s = d[3] - a2 * d[1];
  d[0] = r - b2 * (d[2] - a2 * d[0]);
  d[5] = (d[5] - a2 * d[3]) - b2 * s;
  d[1] = p + a * q;
  d[2] = p - a * q;
  d[3] = r + b * s;
  d[4] = r - b * s;
}

// A^T m
SLUICE_INLINE void transform_dst(const F32 (&m)[kEdge], F32 (&y)[kTile]) {
  const F32 p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
  y[0] = (m[0] + p) + r;
  y[1] = set(kA) * q + set(kB) * s;
  y[2] = set(kA2) * p + set(kB2) * r;
  y[3] = (m[5] + set(kA3) * q) + set(kB3) * s;
}

// A y
SLUICE_INLINE void transform_diff(const F32 (&y)[kTile], F32 (&m)[kEdge]) {
  const F32 a = set(kA), b = set(kB), a2 = set(kA2), b2 = set(kB2);
  const F32 p = y[0] + a2 * y[2], q = y[1] + a2 * y[3], r = y[0] + b2 * y[2], s = y[1] + b2 * y[3];
  m[0] = y[0];
  m[1] = p + a * q;
  m[2] = p - a * q;
  m[3] = r + b * s;
  m[4] = r - b * s;
  m[5] = y[3];
}

/// The part of an image's plane that a row of tiles sees.
template <class T>
struct Strip {
  const T* first;           ///< pixel (top, 0), which may lie outside of the plane
  std::int64_t begin, end;  ///< rows, counted from the top, inside of the plane
  std::int64_t width;
};

template <class T>
SLUICE_INLINE Strip<T> strip_of(const WinogradShape& s, const T* plane, std::int64_t top, std::int64_t rows) {
  const std::int64_t below = s.height - top;
  return {plane + top * s.width * kLanes, top < 0 ? -top : 0, below < rows ? below : rows, s.width};
}

// One column of a strip, transformed: six vectors.
template <class T>
SLUICE_INLINE void transform_column(const Strip<T>& strip, std::int64_t column, float* to) {
  F32 d[kEdge] = {};
  if (column >= 0 && column < strip.width) {
    const T* const top = strip.first + column * kLanes;
    const std::int64_t pitch = strip.width * kLanes;
    if (strip.begin == 0 && strip.end == kEdge) {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) d[i] = load(top + i * pitch);
    } else {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) {
        if (i >= strip.begin && i < strip.end) d[i] = load(top + i * pitch);
      }
    }
    transform_src(d);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kEdge; ++i) store(to + i * kLanes, d[i]);
}

/// Columns of a strip that have been transformed: neighbouring tiles share two.
struct Columns {
  static constexpr int kColumn = kEdge * kLanes;
  alignas(64) float pairs[2][2 * kColumn];
  alignas(64) float middle[2 * kColumn];
};

template <class T>
SLUICE_INLINE void transform_pair(const Strip<T>& strip, std::int64_t column, float* to) {
  transform_column(strip, column, to);
  transform_column(strip, column + 1, to + Columns::kColumn);
}

// B^T d B of one tile; points are `step` floats apart. `fresh`: the tile to the left was not the previous one.
template <class T>
SLUICE_INLINE void expand_src(const Strip<T>& strip, std::int64_t tile, bool fresh, Columns& columns, float* to,
                              std::int64_t step) {
  float* const left = columns.pairs[tile & 1];
  float* const right = columns.pairs[~tile & 1];
  if (fresh) transform_pair(strip, kTile * tile - 1, left);
  transform_pair(strip, kTile * tile + 1, columns.middle);
  transform_pair(strip, kTile * tile + 3, right);
  for (int i = 0; i < kEdge; ++i) {
    const int at = i * kLanes, next = at + Columns::kColumn;
    F32 d[kEdge] = {load(left + at),  load(left + next), load(columns.middle + at), load(columns.middle + next),
                    load(right + at), load(right + next)};
    transform_src(d);
#pragma GCC unroll 6
    for (int j = 0; j < kEdge; ++j) store(to + (i * kEdge + j) * step, d[j]);
  }
}

// A y A^T of one tile.
template <class T>
SLUICE_INLINE void expand_diff(const Strip<T>& strip, std::int64_t tile, float* to, std::int64_t step) {
  F32 t[kEdge][kTile];
  const std::int64_t first = tile * kTile;
  const bool whole = strip.end == kTile && first + kTile <= strip.width;
#pragma GCC unroll 4
  for (int i = 0; i < kTile; ++i) {
    F32 y[kTile] = {}, m[kEdge];
    const T* const from = strip.first + (i * strip.width + first) * kLanes;
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      if (whole || (i < strip.end && first + j < strip.width)) y[j] = load(from + j * kLanes);
    }
    transform_diff(y, m);
#pragma GCC unroll 6
    for (int j = 0; j < kEdge; ++j) t[j][i] = m[j];
  }
#pragma GCC unroll 6
  for (int j = 0; j < kEdge; ++j) {
    F32 m[kEdge];
    transform_diff(t[j], m);
#pragma GCC unroll 6
    for (int i = 0; i < kEdge; ++i) store(to + (i * kEdge + j) * step, m[i]);
  }
}

// A^T m A of one tile, into the plane.
template <Rounding kRounding, class T>
SLUICE_INLINE void reduce_dst(const WinogradShape& s, const Place& place, const float* from, std::int64_t step,
                              T* plane) {
  F32 t[kTile][kEdge];
#pragma GCC unroll 6
  for (int j = 0; j < kEdge; ++j) {
    F32 m[kEdge], y[kTile];
#pragma GCC unroll 6
    for (int i = 0; i < kEdge; ++i) m[i] = load(from + (i * kEdge + j) * step);
    transform_dst(m, y);
#pragma GCC unroll 4
    for (int i = 0; i < kTile; ++i) t[i][j] = y[i];
  }
  const std::int64_t row = place.row * kTile, column = place.column * kTile;
  const bool whole = row + kTile <= s.height && column + kTile <= s.width;
#pragma GCC unroll 4
  for (int i = 0; i < kTile; ++i) {
    F32 y[kTile];
    transform_dst(t[i], y);
    T* const to = plane + ((row + i) * s.width + column) * kLanes;
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      if (whole || (row + i < s.height && column + j < s.width)) put<kRounding>(to + j * kLanes, y[j]);
    }
  }
}

// Sources of a group's tiles: [point][block][tile][16].
template <class T>
SLUICE_INLINE void expand_sources(const WinogradShape& s, std::int64_t tile, std::int64_t count, const T* src,
                                  float* to) {
  Columns columns;
  for (std::int64_t block = 0; block < s.src_blocks; ++block) {
    Place place = place_of(s, tile);
    for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
      const T* const plane = src + (place.image * s.src_blocks + block) * s.height * s.width * kLanes;
      const Strip<T> strip = strip_of(s, plane, place.row * kTile - 1, kEdge);
      expand_src(strip, place.column, t == 0 || place.column == 0, columns, to + block * kStep + t * kLanes,
                 s.src_blocks * kStep);
    }
  }
}

/// Fetches the memory that the next group's tiles are made from, or that this one's go to, between products: the
/// processor would stand still for it later. The pixels of tiles side by side are one piece, or nearly.
class Ahead {
 public:
  template <class T>
  SLUICE_INLINE Ahead(const WinogradShape& s, const T* planes, std::int64_t blocks, std::int64_t group,
                      std::int64_t first_row)
      : blocks_(group < s.groups() ? blocks : 0) {
    const Place place = place_of(s, group * kGroup);
    const std::int64_t pixels = s.height * s.width, pixel = (place.row * kTile + first_row) * s.width;
    at_ = reinterpret_cast<const char*>(planes + (place.image * blocks * pixels + pixel) * kLanes);
    plane_ = pixels * kLanes * static_cast<std::int64_t>(sizeof(T));
    step_ = (kLines<T> + kPoints - 1) / kPoints * kLine;
  }
  SLUICE_INLINE void fetch() {
    for (std::int64_t block = 0; block < blocks_; ++block) {
      for (std::int64_t i = 0; i < step_; i += kLine) __builtin_prefetch(at_ + block * plane_ + i);
    }
    at_ += step_;
  }

 private:
  static constexpr std::int64_t kLine = 64;
  template <class T>
  static constexpr std::int64_t kLines = kTile* kTile* kStep* static_cast<std::int64_t>(sizeof(T)) / kLine;
  const char* at_ = nullptr;
  std::int64_t plane_ = 0, blocks_ = 0, step_ = 0;
};

// dst[tile][16] = sum over channels of src[block][tile][channel] weights[channel][16], at one point.
SLUICE_INLINE void multiply(std::int64_t blocks, const float* src, const float* weights, float* dst) {
  F32 sums[kGroup] = {};
  for (std::int64_t block = 0; block < blocks; ++block, src += kStep, weights += kMatrix) {
#pragma GCC unroll 16
    for (int c = 0; c < kLanes; ++c) {
      const F32 w = load(weights + c * kLanes);
#pragma GCC unroll 8
      for (int t = 0; t < kGroup; ++t) sums[t] += w * set(src[t * kLanes + c]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kGroup; ++t) store(dst + t * kLanes, sums[t]);
}

template <Rounding kRounding, class T>
void convolve(const WinogradShape& s, std::int64_t begin, std::int64_t end, const T* src, const float* weights,
              T* dst) {
  alignas(64) float expanded[kPoints * kStep * WinogradShape::kMostBlocks], products[kPoints * kStep];
  const std::int64_t src_step = s.src_blocks * kStep, matrix = s.src_blocks * kMatrix;
  for (std::int64_t group = begin; group < end; ++group) {
    const std::int64_t tile = group * kGroup, rest = s.tiles() - tile, count = rest < kGroup ? rest : kGroup;
    expand_sources(s, tile, count, src, expanded);
    // The first rows that the next tiles see were seen by those above them.
    Ahead next(s, src, s.src_blocks, group + 1, 1), own(s, dst, s.dst_blocks, group, 0);
    for (std::int64_t block = 0; block < s.dst_blocks; ++block) {
      // The last products overwrite what they were made from: all of it stays in the first cache.
      const bool last = block + 1 == s.dst_blocks;
      float* const to = last ? expanded : products;
      const std::int64_t step = last ? src_step : kStep;
      const float* const matrices = weights + block * kPoints * matrix;
      for (int p = 0; p < kPoints; ++p) {
        multiply(s.src_blocks, expanded + p * src_step, matrices + p * matrix, to + p * step);
        if (block > 0) continue;
        next.fetch();
        own.fetch();
      }
      Place place = place_of(s, tile);
      for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
        T* const plane = dst + (place.image * s.dst_blocks + block) * s.height * s.width * kLanes;
        reduce_dst<kRounding>(s, place, to + t * kLanes, step, plane);
      }
    }
  }
}

// sums[channel][16] += sum over tiles of src[tile][channel] diff[tile][16], at one point.
SLUICE_INLINE void multiply_transposed(const float* src, const float* diff, float* sums) {
  F32 own[kLanes];
#pragma GCC unroll 16
  for (int c = 0; c < kLanes; ++c) own[c] = load(sums + c * kLanes);
#pragma GCC unroll 8
  for (int t = 0; t < kGroup; ++t) {
    const F32 d = load(diff + t * kLanes);
#pragma GCC unroll 16
    for (int c = 0; c < kLanes; ++c) own[c] += d * set(src[t * kLanes + c]);
  }
#pragma GCC unroll 16
  for (int c = 0; c < kLanes; ++c) store(sums + c * kLanes, own[c]);
}

template <class T>
SLUICE_INLINE void expand_diffs(const WinogradShape& s, std::int64_t tile, std::int64_t count, std::int64_t block,
                                const T* diff_dst, float* to) {
  Place place = place_of(s, tile);
  for (std::int64_t t = 0; t < count; ++t, advance(s, place)) {
    const T* const plane = diff_dst + (place.image * s.dst_blocks + block) * s.height * s.width * kLanes;
    expand_diff(strip_of(s, plane, place.row * kTile, kTile), place.column, to + t * kLanes, kStep);
  }
}

SLUICE_INLINE void clear(float* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes) store(to + i, F32{});
}

template <class T>
void weight_gradient(const WinogradShape& s, std::int64_t begin, std::int64_t end, const T* src, const T* diff_dst,
                     float* sums) {
  alignas(64) float expanded[kPoints * kStep * WinogradShape::kMostBlocks], diffs[kPoints * kStep];
  const std::int64_t src_step = s.src_blocks * kStep, matrix = s.src_blocks * kMatrix;
  clear(sums, s.weights());
  for (std::int64_t group = begin; group < end; ++group) {
    const std::int64_t tile = group * kGroup, rest = s.tiles() - tile, count = rest < kGroup ? rest : kGroup;
    if (count < kGroup) clear(expanded, kPoints * src_step);  // tiles that are not there add nothing
    if (count < kGroup) clear(diffs, kPoints * kStep);
    expand_sources(s, tile, count, src, expanded);
    Ahead next(s, src, s.src_blocks, group + 1, 1), next_diffs(s, diff_dst, s.dst_blocks, group + 1, 0);
    for (std::int64_t dst_block = 0; dst_block < s.dst_blocks; ++dst_block) {
      expand_diffs(s, tile, count, dst_block, diff_dst, diffs);
      float* const own = sums + dst_block * kPoints * matrix;
      for (int p = 0; p < kPoints; ++p) {
        if (dst_block == 0) next.fetch();
        if (dst_block == 0) next_diffs.fetch();
        for (std::int64_t block = 0; block < s.src_blocks; ++block) {
          multiply_transposed(expanded + p * src_step + block * kStep, diffs + p * kStep,
                              own + p * matrix + block * kMatrix);
        }
      }
    }
  }
}

// Each point's weights are divided by the product of its distances to the others.
constexpr float kShare0 = 1 / (kA2 * kB2), kShareA = 0.5F / (kA2 * (kA2 - kB2)), kShareB = 0.5F / (kB2 * (kB2 - kA2));

// G w
SLUICE_INLINE void transform_weights(F32 w0, F32 w1, F32 w2, F32 (&u)[kEdge]) {
  const F32 p = w0 + set(kA2) * w2, q = set(kA) * w1, r = w0 + set(kB2) * w2, s = set(kB) * w1;
  u[0] = set(kShare0) * w0;
  u[1] = set(kShareA) * (p + q);
  u[2] = set(kShareA) * (p - q);
  u[3] = set(kShareB) * (r + s);
  u[4] = set(kShareB) * (r - s);
  u[5] = w2;
}

// G^T u
SLUICE_INLINE void transform_gradient(const F32 (&u)[kEdge], F32& w0, F32& w1, F32& w2) {
  const F32 p = set(kShareA) * (u[1] + u[2]), q = set(kShareA) * (u[1] - u[2]);
  const F32 r = set(kShareB) * (u[3] + u[4]), s = set(kShareB) * (u[3] - u[4]);
  w0 = set(kShare0) * u[0] + (p + r);
  w1 = set(kA) * q + set(kB) * s;
  w2 = u[5] + (set(kA2) * p + set(kB2) * r);
}

// One source channel's filters to 16 results, tap by tap: lane l is taps[l * pitch + tap].
SLUICE_INLINE void expand_weights(const float* taps, std::int64_t pitch, bool turned, float* to, std::int64_t step) {
  F32 w[9], t[3][kEdge];
  alignas(64) float lanes[kLanes];
  for (int tap = 0; tap < 9; ++tap) {
    for (int l = 0; l < kLanes; ++l) lanes[l] = taps[l * pitch + (turned ? 8 - tap : tap)];
    w[tap] = load(lanes);
  }
  for (int j = 0; j < 3; ++j) transform_weights(w[j], w[3 + j], w[6 + j], t[j]);
  for (int i = 0; i < kEdge; ++i) {
    F32 u[kEdge];
    transform_weights(t[0][i], t[1][i], t[2][i], u);
    for (int j = 0; j < kEdge; ++j) store(to + (i * kEdge + j) * step, u[j]);
  }
}

void pack(const WinogradWeights& s, const float* plain, float* packed) {
  const std::int64_t channels = s.src_blocks * kLanes, matrix = channels * kLanes;
  const std::int64_t outer = 9 * (s.turned ? s.dst_blocks * kLanes : channels);
  const std::int64_t of_dst = s.turned ? 9 : outer, of_src = s.turned ? outer : 9;
  for (std::int64_t block = 0; block < s.dst_blocks; ++block) {
    for (std::int64_t c = 0; c < channels; ++c) {
      expand_weights(plain + block * kLanes * of_dst + c * of_src, of_dst, s.turned,
                     packed + block * kPoints * matrix + c * kLanes, matrix);
    }
  }
}

// The gradient of one source channel's filters to 16 results.
SLUICE_INLINE void reduce_gradient(const float* sums, float* taps, std::int64_t pitch) {
  F32 t[3][kEdge];
  for (int i = 0; i < kEdge; ++i) {
    F32 u[kEdge];
    for (int j = 0; j < kEdge; ++j) u[j] = load(sums + (i * kEdge + j) * kMatrix);
    transform_gradient(u, t[0][i], t[1][i], t[2][i]);
  }
  for (int j = 0; j < 3; ++j) {
    F32 w[3];
    transform_gradient(t[j], w[0], w[1], w[2]);
    for (int i = 0; i < 3; ++i) {
      alignas(64) float lanes[kLanes];
      store(lanes, w[i]);
      for (int l = 0; l < kLanes; ++l) taps[l * pitch + i * 3 + j] += lanes[l];
    }
  }
}

void unpack(const WinogradShape& s, std::int64_t src_block, std::int64_t dst_block, const float* sums,
            std::int64_t parts, float* diff_plain) {
  const std::int64_t pitch = 9 * s.src_blocks * kLanes, point = s.src_blocks * kMatrix;
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
    reduce_gradient(total + c * kLanes, diff_plain + dst_block * kLanes * pitch + 9 * (src_block * kLanes + c), pitch);
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
