// Convolutions of bytes over open channels, for one instruction set.
#include "layers/kernels/open_byte_kernels.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "layers/kernels/byte_sums.hpp"
#include "layers/kernels/open_byte_tables.hpp"
#include "layers/kernels/open_channels_detail.hpp"

namespace sluice::SLUICE_ISA {
namespace {

constexpr std::int64_t kStep = 16;  // channels that are brought together at a time
constexpr std::int64_t kQuad = 4;
constexpr std::uint8_t kNone = 0x80;  // a pick: a zero

typedef std::uint8_t Bytes __attribute__((vector_size(16)));
typedef std::uint16_t Shorts __attribute__((vector_size(16)));

std::int64_t quads_of(std::int64_t channels) {
  return (channels + kQuad - 1) / kQuad;
}

/// Four rows of 16 bytes, column by column.
SLUICE_INLINE void interleave(const std::uint8_t* const (&rows)[kQuad], std::int32_t* to) {
  const Bytes low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  const Bytes high = low + 8;
  const Shorts low_pairs = {0, 8, 1, 9, 2, 10, 3, 11};
  const Shorts high_pairs = low_pairs + 4;
  const auto a = load_native<Bytes>(rows[0]), b = load_native<Bytes>(rows[1]), c = load_native<Bytes>(rows[2]),
             d = load_native<Bytes>(rows[3]);
  const auto ab = reinterpret_cast<Shorts>(__builtin_shuffle(a, b, low)),
             ab2 = reinterpret_cast<Shorts>(__builtin_shuffle(a, b, high)),
             cd = reinterpret_cast<Shorts>(__builtin_shuffle(c, d, low)),
             cd2 = reinterpret_cast<Shorts>(__builtin_shuffle(c, d, high));
  store_native(to, __builtin_shuffle(ab, cd, low_pairs));
  store_native(to + 4, __builtin_shuffle(ab, cd, high_pairs));
  store_native(to + 8, __builtin_shuffle(ab2, cd2, low_pairs));
  store_native(to + 12, __builtin_shuffle(ab2, cd2, high_pairs));
}

/// The bytes that a pick names.
SLUICE_INLINE Bytes picked(Bytes from, Bytes pick) {
#ifdef __SSSE3__
  return reinterpret_cast<Bytes>(_mm_shuffle_epi8(reinterpret_cast<__m128i>(from), reinterpret_cast<__m128i>(pick)));
#else
  for (int i = 0; i < kStep; ++i) pick[i] = pick[i] == kNone ? 0 : from[pick[i]];
  return pick;
#endif
}

/// Lanes of each vector of outputs that are open, in front of the others.
SLUICE_INLINE void compact(const std::int32_t* row, std::int64_t all, const OpenByteMemory& m, std::int32_t* to) {
  for (std::int64_t channel = 0; channel < all; channel += kNativeLanes, row += kNativeLanes) {
    const std::int64_t start = m.output_starts[channel / kNativeLanes];
    const auto lanes = load_native<NativeI32>(m.outputs + start);
    store_native(to + start, permuted(load_native<NativeF32>(row), lanes));
  }
}

/// Weights of four open inputs at a tap, for all outputs.
void interleave_open(const OpenList& inputs, std::int64_t first, const std::uint8_t* tap, std::int64_t outputs,
                     std::int32_t* to) {
  const std::uint8_t* rows[kQuad];  // behind the last input is the first one, which the source has zeros for
  for (std::int64_t i = 0; i < kQuad; ++i) rows[i] = tap + inputs.channels[first + i] * outputs;
  for (std::int64_t o = 0; o < outputs; o += kStep, to += kStep) {
    interleave(rows, to);
    for (const std::uint8_t*& row : rows) row += kStep;
  }
}

/// How many are open before every `each` channels.
void count_starts(const OpenList& open, std::int64_t all, std::int64_t each, std::int32_t* starts) {
  std::int64_t from = 0;
  for (std::int64_t channel = 0; channel < all; channel += each) {
    *starts++ = static_cast<std::int32_t>(from);
    while (from < open.count && open.channels[from] < channel + each) ++from;
  }
}

void make_picks(const OpenList& inputs, std::int64_t all, const OpenByteMemory& m) {
  count_starts(inputs, all, kStep, m.input_starts);
  std::fill_n(m.picks, all, kNone);
  for (std::int64_t i = 0; i < inputs.count; ++i) {
    const std::int64_t block = inputs.channels[i] / kStep;
    m.picks[block * kStep + i - m.input_starts[block]] = static_cast<std::uint8_t>(inputs.channels[i] % kStep);
  }
}

/// Open outputs of all inputs.
ByteWeights choose_outputs(const DirectShape& s, const OpenByteWeights& w, const OpenList& outputs,
                           const OpenByteMemory& m) {
  const std::int64_t all = s.dst.blocks * kLanes, units = s.kernel * s.kernel * s.src.blocks * kLanes / kQuad;
  const std::int64_t pitch = round_up(outputs.count, kNativeLanes);
  for (std::int64_t k = 0; k < units && outputs.count < all; ++k)
    compact(w.quads + k * all, all, m, m.units + k * pitch);
  return {outputs.count < all ? m.units : w.quads, w.places, w.pairs, units - 2 * w.pairs};
}

/// Open inputs and outputs.
ByteWeights choose_inputs(const DirectShape& s, const OpenByteWeights& w, const OpenList& inputs,
                          const OpenList& outputs, const OpenByteMemory& m) {
  const std::int64_t all = s.dst.blocks * kLanes, filter = s.src.blocks * kLanes * all;
  const std::int64_t quads = quads_of(inputs.count), pitch = round_up(outputs.count, kNativeLanes);
  std::int32_t *to = m.units, *place = m.places;
  const std::uint8_t* tap = w.bytes;
  for (std::int64_t y = 0; y < s.kernel; ++y) {
    for (std::int64_t x = 0; x < s.kernel; ++x, tap += filter) {
      const std::int64_t first = s.dilation * (y * patch_columns(s) + x) * quads * kQuad;
      for (std::int64_t i = 0; i < quads * kQuad; i += kQuad, to += pitch) {
        *place++ = static_cast<std::int32_t>(first + i);
        interleave_open(inputs, i, tap, all, outputs.count < all ? m.row : to);
        if (outputs.count < all) compact(m.row, all, m, to);
      }
    }
  }
  return {m.units, m.places, 0, s.kernel * s.kernel * quads};
}

void choose(const DirectShape& s, const OpenByteWeights& w, OpenByteImage& image, const OpenByteMemory& m) {
  const std::int64_t all_inputs = s.src.blocks * kLanes, all_outputs = s.dst.blocks * kLanes;
  const OpenList inputs = list_open(image.inputs, 0, all_inputs, m.inputs);
  const OpenList outputs = list_open(image.outputs, 0, all_outputs, m.outputs);
  image.open_inputs = inputs.count;
  image.open_outputs = outputs.count;
  if (image.inputs != nullptr) make_picks(inputs, all_inputs, m);
  count_starts(outputs, all_outputs, kNativeLanes, m.output_starts);
  image.weights = w.bytes == nullptr ? choose_outputs(s, w, outputs, m) : choose_inputs(s, w, inputs, outputs, m);
  if (image.outputs == nullptr) return;
  for (std::int64_t i = 0; i < round_up(outputs.count, kNativeLanes); ++i) {
    m.scale[i] = image.ending.scale[outputs.channels[i]];
    m.shift[i] = image.ending.shift[outputs.channels[i]];
  }
}

/// Open channels of pixels side by side. What is written behind a pixel's last one is zero, or comes next.
void pick_pixels(const DirectShape& s, const std::uint8_t* src, std::int64_t count, std::int64_t open,
                 const OpenByteMemory& m, std::uint8_t* to) {
  for (std::int64_t x = 0; x < count; ++x, src += s.src.pixel, to += quads_of(open) * kQuad) {
    for (std::int64_t b = 0; b < s.src.blocks; ++b) {
      const auto pick = load_native<Bytes>(m.picks + b * kStep);
      store_native(to + m.input_starts[b], picked(load_native<Bytes>(src + b * kStep), pick));
    }
    std::memset(to + open, 0, kQuad);
  }
}

/// Open channels of all that the filter sees of some rows of the result.
void fill_patch(const DirectShape& s, const OpenByteImage& image, std::int64_t row, std::int64_t rows,
                const OpenByteMemory& m) {
  const std::int64_t columns = patch_columns(s), pixel = quads_of(image.open_inputs) * kQuad;
  const std::int64_t begin = std::min(s.pad, columns), end = std::clamp(s.src_width + s.pad, begin, columns);
  std::uint8_t* to = m.patch;
  for (std::int64_t r = 0; r < s.src_rows(rows); ++r, to += columns * pixel) {
    const std::int64_t y = row * s.stride - s.pad + r;
    if (y < 0 || y >= s.src_height) {
      std::memset(to, 0, static_cast<std::size_t>(columns * pixel));
      continue;
    }
    std::memset(to, 0, static_cast<std::size_t>(begin * pixel));
    const std::uint8_t* const src =
        image.src + image.index * s.src.image + y * s.src.row + (begin - s.pad) * s.src.pixel;
    if (image.inputs == nullptr) std::memcpy(to + begin * pixel, src, static_cast<std::size_t>((end - begin) * pixel));
    if (image.inputs != nullptr) pick_pixels(s, src, end - begin, image.open_inputs, m, to + begin * pixel);
    std::memset(to + end * pixel, 0, static_cast<std::size_t>((columns - end) * pixel));
  }
}

template <int vectors, class T>
void multiply_some(const ByteRows& rows, const ByteWeights& w, std::int64_t pitch, const ByteEnding& e,
                   std::int64_t first, std::int64_t outputs, T* dst) {
  constexpr int kTogether = vectors == 1 || kNativeBytes == 64 ? 8 : 4;  // their sums fill the registers
  if constexpr (vectors == 1) {
    const Ending<T> endings[1] = {{e, first, 0, outputs, dst}};
    multiply_all<kTogether>(rows, w, pitch, endings);
  } else {
    const Ending<T> endings[2] = {{e, first, 0, outputs, dst}, {e, first, 1, outputs, dst}};
    multiply_all<kTogether>(rows, w, pitch, endings);
  }
}

/// All of some rows' pixels. `outputs`: whole vectors of them; `first`: the place of the first pixel in dst.
template <class T>
void multiply_pixels(const DirectShape& s, const OpenByteImage& image, std::int64_t rows, std::int64_t outputs,
                     const ByteEnding& ending, std::int64_t first, T* dst, const OpenByteMemory& m) {
  const std::int64_t quads = quads_of(image.open_inputs), pixel = quads * kQuad, row = patch_columns(s) * pixel;
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < s.dst_width; ++x)
      m.pixels[y * s.dst_width + x] = m.patch + s.stride * (y * row + x * pixel);
  }
  const ByteRows pixels{m.pixels, rows * s.dst_width, first};
  for (std::int64_t o = 0; o < outputs; o += 2 * kNativeLanes) {
    ByteEnding own = ending;
    own.scale += o;
    own.shift += o;
    ByteWeights weights = image.weights;
    weights.units += o;
    if (outputs - o > kNativeLanes) {
      multiply_some<2>(pixels, weights, outputs, own, o, outputs - o, dst);
    } else {
      multiply_some<1>(pixels, weights, outputs, own, o, outputs - o, dst);
    }
  }
}

template <class T>
void convolve(const DirectShape& s, const OpenByteImage& image, std::int64_t row, std::int64_t end_row,
              const OpenByteMemory& m) {
  const std::int64_t rows = end_row - row, outputs = round_up(image.open_outputs, kNativeLanes);
  if (outputs > 0) fill_patch(s, image, row, rows, m);
  if constexpr (std::is_same_v<T, float>) {
    if (image.outputs != nullptr) {
      const Pixels made{row, end_row, 0, s.dst_width};
      ByteEnding ending = image.ending;
      ending.scale = m.scale;
      ending.shift = m.shift;
      ending.channels = outputs;
      multiply_pixels(s, image, rows, outputs, ending, 0, m.dst, m);
      return spread(s.dst, {0, s.dst.blocks}, made, {m.outputs, image.open_outputs}, image.outputs,
                    side_by_side(image.open_outputs, made, m.dst),
                    static_cast<float*>(image.dst) + image.index * s.dst.image);
    }
  }
  multiply_pixels(s, image, rows, outputs, image.ending, (image.index * s.dst_height + row) * s.dst_width,
                  static_cast<T*>(image.dst), m);
}

}  // namespace

extern const OpenByteKernels open_bytes = {choose, convolve<float>, convolve<std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
