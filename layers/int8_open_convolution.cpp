#include "layers/int8_open_convolution.hpp"

#include <algorithm>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/byte_units.hpp"
#include "layers/winograd.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kWide = OpenMemory::kLanes;

bool is_wide(const TensorDesc& tensor) {
  return tensor.block == tensor.shape[kC] && tensor.block % kWide == 0;
}

std::uint8_t byte_of(float level) {
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(level) & 0xff);
}

}  // namespace

bool Int8OpenConvolution::fits(const Problem& problem) {
  const Int8Product::Problem& p = problem.product;
  const bool plain = p.dst.type == DataType::kF32 && !p.epilogue.adds;
  return p.geometry.groups == 1 && is_wide(p.src) && is_wide(p.dst) && (plain || !problem.closes_outputs);
}

Int8OpenConvolution::Int8OpenConvolution(const Problem& problem, Isa isa) : problem_(problem), isa_(isa) {
  const Int8Product::Problem& p = problem.product;
  const ConvGeometry& g = p.geometry;
  const Shape &src = p.src.shape, &dst = p.dst.shape;
  shape_ = {g.kernel,
            g.stride,
            g.pad,
            g.dilation,
            src[kH],
            src[kW],
            dst[kH],
            dst[kW],
            winograd_channels(p.src),
            winograd_channels(p.dst)};
  cut(num_threads());
  book_piece();
}

std::string Int8OpenConvolution::kernel() const {
  return concat(closes() ? "open:" : "direct:", to_string(isa_), ":int8");
}

/// Rows that stay near.
void Int8OpenConvolution::cut(std::int64_t threads) {
  constexpr std::int64_t kPatch = 32 << 10, kSums = 64 << 10;  // bytes
  const std::int64_t all = shape_.dst_height, images = problem_.product.src.shape[kN];
  const auto fits = [&](std::int64_t rows) {
    return shape_.src_rows(rows) * patch_columns(shape_) * inputs() <= kPatch &&
           rows * shape_.dst_width * outputs() * 4 <= kSums;
  };
  rows_ = 1;
  while (rows_ < all && fits(rows_ + 1)) ++rows_;
  while (rows_ > 1 && images * ((all + rows_ - 1) / rows_) < threads) rows_ = (rows_ + 1) / 2;
  parts_ = (all + rows_ - 1) / rows_;
  pieces_ = std::min(threads, images * parts_);
}

void Int8OpenConvolution::book_piece() {
  constexpr std::int64_t kSlack = OpenByteMemory::kSlack;
  const std::int64_t units = taps() * inputs() / 4, pixels = rows_ * shape_.dst_width;
  Scratch scratch = piece_.scratch();
  inputs_ = scratch.book<std::int32_t>(OpenByteMemory::listed(inputs()));
  outputs_ = scratch.book<std::int32_t>(OpenByteMemory::listed(outputs()));
  places_ = scratch.book<std::int32_t>(units);
  if (closes()) units_ = scratch.book<std::int32_t>(units * outputs() + kSlack);
  row_ = scratch.book<std::int32_t>(outputs());
  picks_ = scratch.book<std::uint8_t>(inputs());
  input_starts_ = scratch.book<std::int32_t>(inputs() / kWide);
  output_starts_ = scratch.book<std::int32_t>(outputs());
  patch_ = scratch.book<std::uint8_t>(shape_.src_rows(rows_) * patch_columns(shape_) * inputs() + kSlack);
  pixels_ = scratch.book<const std::uint8_t*>(pixels);
  if (!problem_.closes_outputs) return;
  scale_ = scratch.book<float>(outputs());
  shift_ = scratch.book<float>(outputs());
  dst_ = scratch.book<float>(pixels * outputs() + kSlack);
}

OpenByteMemory Int8OpenConvolution::memory_of(const Memory& piece) const {
  OpenByteMemory memory;
  memory.inputs = piece[inputs_];
  memory.outputs = piece[outputs_];
  memory.places = piece[places_];
  memory.units = piece[units_];
  memory.row = piece[row_];
  memory.picks = piece[picks_];
  memory.input_starts = piece[input_starts_];
  memory.output_starts = piece[output_starts_];
  memory.patch = piece[patch_];
  memory.pixels = piece[pixels_];
  memory.scale = piece[scale_];
  memory.shift = piece[shift_];
  memory.dst = piece[dst_];
  return memory;
}

void Int8OpenConvolution::book(SlotBook& book, Scratch forward) {
  const std::int64_t weights = taps() * inputs() * outputs();
  if (problem_.closes_inputs) {
    bytes_ = book.kept<std::uint8_t>(weights);
  } else {
    quads_ = book.kept<std::int32_t>(weights / 4);
    quad_places_ = book.kept<std::int32_t>(taps() * inputs() / 4);
    pairs_ = book.kept<std::int32_t>(1);
  }
  piece_memory_ = forward.blocks(piece_, pieces_);
}

void Int8OpenConvolution::pack(const Memory& memory, const float* levels) const {
  const std::int64_t in = inputs(), out = outputs(), filter = taps() * in;
  std::vector<float> ordered(static_cast<std::size_t>(filter * out));  // [output][tap][input]
  for (std::int64_t k = 0; k < filter * out; ++k)
    ordered[static_cast<std::size_t>(k / filter * filter + k % taps() * in + k % filter / taps())] = levels[k];
  if (!problem_.closes_inputs) return pack_quads(memory, ordered.data());
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t k = 0; k < filter; ++k)
      memory[bytes_][k * out + o] = byte_of(ordered[static_cast<std::size_t>(o * filter + k)]);
  }
}

/// `levels`: [output][tap][input].
void Int8OpenConvolution::pack_quads(const Memory& memory, const float* levels) const {
  const std::int64_t in = inputs(), out = outputs(), filter = taps() * in;
  auto* bytes = reinterpret_cast<std::uint8_t*>(memory[quads_]);
  std::int32_t* place = memory[quad_places_];
  for (const std::size_t unit : order_units(levels, out, filter, *memory[pairs_])) {
    const std::int64_t first = 4 * static_cast<std::int64_t>(unit), tap = first / in;
    const std::int64_t pixel = tap / shape_.kernel * patch_columns(shape_) + tap % shape_.kernel;
    *place++ = static_cast<std::int32_t>(shape_.dilation * pixel * in + first % in);
    for (std::int64_t k = 0; k < 4 * out; ++k) *bytes++ = byte_of(levels[k / 4 * filter + first + k % 4]);
  }
}

OpenByteWeights Int8OpenConvolution::weights(const Memory& memory) const {
  return {memory[bytes_], memory[quads_], memory[quad_places_], problem_.closes_inputs ? 0 : *memory[pairs_]};
}

void Int8OpenConvolution::run_part(const OpenByteImage& image, std::int64_t part, const OpenByteMemory& own) const {
  const OpenByteKernels& kernels = open_byte_kernels(isa_);
  const std::int64_t row = part * rows_, end_row = std::min(row + rows_, shape_.dst_height);
  if (problem_.product.dst.type == DataType::kU8) return kernels.bytes(shape_, image, row, end_row, own);
  kernels.floats(shape_, image, row, end_row, own);
}

void Int8OpenConvolution::run(const Memory& memory, const void* src, const OpenFactors& factors,
                              const Int8Product::Operands& operands, void* dst) const {
  const Int8Product::Problem& p = problem_.product;
  const std::int64_t all = p.src.shape[kN] * parts_;
  const OpenByteKernels& kernels = open_byte_kernels(isa_);
  const OpenByteWeights packed = weights(memory);
  parallel_for(pieces_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const OpenByteMemory own = memory_of(memory.block(piece_memory_, piece));
      const std::int64_t first = all * piece / pieces_;
      OpenByteImage image;
      image.src = static_cast<const std::uint8_t*>(src);
      image.dst = dst;
      image.ending = ending_of(p, operands);
      for (std::int64_t i = first; i < all * (piece + 1) / pieces_; ++i) {
        if (i == first || i % parts_ == 0) {
          image.index = i / parts_;
          image.inputs = factors_of(factors.inputs, p.src, image.index);
          image.outputs = factors_of(factors.outputs, p.dst, image.index);
          kernels.choose(shape_, packed, image, own);
        }
        run_part(image, i % parts_, own);
      }
    }
  });
}

}  // namespace sluice
