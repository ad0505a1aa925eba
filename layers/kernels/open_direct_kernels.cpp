// Direct sums over open channels, for one instruction set.
#include "layers/kernels/open_direct_kernels.hpp"

#include "layers/kernels/open_channels_detail.hpp"
#include "layers/kernels/tables.hpp"
#include "layers/kernels/winograd_tiles.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;
using winograd::FullEnding;

constexpr int kVectors = DirectKernels::kVectors;
/// Outputs that are multiplied together: with so many vectors each they fit the registers.
constexpr int kTogether = kNativeBytes == 64 ? 4 : 2;

/// What a part's planes look like.
struct Planes {
  std::int64_t rows, pitch, plane;  ///< rows of a phase; floats of a row, and of a channel
};

/// A vector of the source's channels to their planes; zeros around the image.
void fill_planes(const DirectShape& s, const OpenPart& part, const Planes& planes, const float* src, float* to) {
  for (std::int64_t r = 0; r < planes.rows; ++r) {
    const std::int64_t y = part.row * s.stride - s.pad + r;
    const bool inside = y >= 0 && y < s.src_height;
    for (std::int64_t phase = 0; phase < s.phases(); ++phase) {
      float* const row = to + (phase * planes.rows + r) * planes.pitch;
      for (std::int64_t first = 0; first < planes.pitch; first += kNativeLanes) {
        NativeF32 pixels[kNativeLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kNativeLanes; ++i) {
          const std::int64_t x = (first + i) * s.stride + phase - s.pad;
          pixels[i] =
              inside && x >= 0 && x < s.src_width ? load_part(src + y * s.src.row + x * s.src.pixel) : NativeF32{};
        }
        transpose(pixels);
#pragma GCC unroll 16
        for (int i = 0; i < kNativeLanes; ++i) store_part(row + i * planes.plane + first, pixels[i]);
      }
    }
  }
}

/// Of all vectors with an open channel.
void fill_open(const DirectShape& s, const OpenPart& part, const Planes& planes, const OpenList& open, const float* src,
               float* to) {
  std::int64_t from = 0;
  for (std::int64_t channel = 0; channel < s.src.blocks * kLanes; channel += kNativeLanes) {
    const std::int64_t end = end_of_vector(open, from, channel);
    if (end > from)
      fill_planes(s, part, planes, src + channel / kLanes * s.src.block + channel % kLanes,
                  to + channel * planes.plane);
    from = end;
  }
}

/// Sums of some outputs at some vectors of pixels, whose first taps are `at` in the first plane.
template <int kCount>
SLUICE_INLINE void multiply(const DirectShape& s, const Planes& planes, const OpenList& open,
                            const float* const (&at)[kVectors], const float* weights, const std::int32_t* outputs,
                            float* dst, std::int64_t pitch) {
  const std::int64_t inputs = s.src.blocks * kLanes;
  NativeF32 sums[kCount][kVectors] = {};
  const float* own[kCount];
  for (int k = 0; k < kCount; ++k) own[k] = weights + outputs[k] * s.kernel * s.kernel * inputs;
  for (std::int64_t ky = 0; ky < s.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < s.kernel; ++kx) {
      const std::int64_t column = kx * s.dilation;
      const std::int64_t offset =
          (column % s.stride * planes.rows + ky * s.dilation) * planes.pitch + column / s.stride;
      for (std::int64_t i = 0; i < open.count; ++i) {
        const std::int64_t channel = open.channels[i], place = offset + channel * planes.plane;
        NativeF32 x[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) x[v] = load_part(at[v] + place);
#pragma GCC unroll 4
        for (int k = 0; k < kCount; ++k) {
          const float w = own[k][channel];
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) sums[k][v] += x[v] * w;
        }
      }
      for (int k = 0; k < kCount; ++k) own[k] += inputs;
    }
  }
  for (int k = 0; k < kCount; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store_part(dst + k * pitch + v * kNativeLanes, sums[k][v]);
  }
}

/// Sums of all open outputs, `pitch` floats apart.
void multiply_all(const DirectShape& s, const OpenPart& part, const Planes& planes, const OpenList& open,
                  const OpenList& outputs, const float* src, const float* weights, float* dst, std::int64_t pitch) {
  const std::int64_t in_row = s.vectors(kNativeLanes), vectors = (part.end_row - part.row) * in_row;
  for (std::int64_t first = 0; first < vectors; first += kVectors) {
    const float* at[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t own = first + v < vectors ? first + v : vectors - 1;
      at[v] = src + own / in_row * s.stride * planes.pitch + own % in_row * kNativeLanes;
    }
    float* const to = dst + first * kNativeLanes;
    std::int64_t o = 0;
    for (; o + kTogether <= outputs.count; o += kTogether)
      multiply<kTogether>(s, planes, open, at, weights, outputs.channels + o, to + o * pitch, pitch);
    for (; o < outputs.count; ++o)
      multiply<1>(s, planes, open, at, weights, outputs.channels + o, to + o * pitch, pitch);
  }
}

/// A vector of outputs to where they stand; behind the last one comes that one again.
void finish(const Pixels& made, const FullEnding& ending, const float* sums, std::int64_t pitch, std::int64_t first,
            std::int64_t last, const SideBySide& to) {
  for (std::int64_t y = made.row; y < made.end_row; ++y) {
    for (std::int64_t x = made.column; x < made.end_column; x += kNativeLanes, sums += kNativeLanes) {
      NativeF32 pixels[kNativeLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kNativeLanes; ++i)
        pixels[i] = load_part(sums + (first + i < last ? first + i : last) * pitch);
      transpose(pixels);
      float* at = to.image + y * to.row + x * to.pixel;
      const std::int64_t rest = made.end_column - x;
#pragma GCC unroll 16
      for (int i = 0; i < kNativeLanes; ++i, at += to.pixel) {
        if (i < rest) store_part(at, ending(pixels[i], at));
      }
    }
  }
}

void convolve(const DirectShape& s, const OpenPart& part, const OpenOperands& o, const OpenMemory& m) {
  const OpenList open = list_open(o.inputs, 0, s.src.blocks * kLanes, m.inputs);
  const OpenList outputs = list_open(o.outputs, part.block * kLanes, part.end_block * kLanes, m.outputs);
  const std::int64_t rows = part.end_row - part.row;
  const Planes planes{s.src_rows(rows), s.pitch(kNativeLanes), s.plane(rows, kNativeLanes)};
  const std::int64_t pitch = round_up(rows * s.vectors(kNativeLanes), kVectors) * kNativeLanes;
  if (outputs.count > 0) fill_open(s, part, planes, open, o.src, m.expanded);
  multiply_all(s, part, planes, open, outputs, m.expanded, o.weights, m.products, pitch);
  const Pixels made{part.row, part.end_row, 0, s.dst_width};
  const bool closes = o.outputs != nullptr;
  const SideBySide image = side_by_side(outputs.count, made, m.dst);
  const WinogradEpilogue epilogue = gather_epilogue(o.epilogue, outputs, m.bias);
  for (std::int64_t first = 0; first < outputs.count; first += kNativeLanes) {
    const std::int64_t channel = outputs.channels[first];
    float* const plane = o.dst + channel / kLanes * s.dst.block + channel % kLanes;
    const SideBySide to =
        closes ? SideBySide{image.image + first, image.pixel, image.row} : SideBySide{plane, s.dst.pixel, s.dst.row};
    finish(made, FullEnding(epilogue, first), m.products, pitch, first, outputs.count - 1, to);
  }
  if (closes) spread(s.dst, {part.block, part.end_block}, made, outputs, o.outputs, image, o.dst);
}

}  // namespace

extern const DirectKernels open_direct = {kNativeLanes, convolve};

}  // namespace sluice::SLUICE_ISA
