#include "layers/open_convolution.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/winograd.hpp"

namespace sluice {
namespace {

/// So many of `each` make `all`, the last may be smaller.
std::int64_t parts_of(std::int64_t all, std::int64_t each) {
  return (all + each - 1) / each;
}

bool in_blocks(const TensorDesc& tensor) {
  const std::int64_t channels = tensor.shape[kC];
  return tensor.type == DataType::kF32 && channels % WinogradShape::kBlock == 0 &&
         (tensor.block == WinogradShape::kBlock || tensor.block == channels) &&
         channels <= WinogradShape::kBlock * WinogradShape::kMostBlocks;
}

/// The first element of an image.
template <class T>
T* image_of(const TensorDesc& tensor, T* data, std::int64_t image) {
  return data + image * tensor.shape[kC] * tensor.shape[kH] * tensor.shape[kW];
}

/// O x I x KH x KW as [output][tap][channel].
void order_taps(const OpenProblem& problem, const float* weights, float* ordered) {
  const std::int64_t inputs = problem.src.shape[kC], taps = problem.geometry.kernel * problem.geometry.kernel;
  for (std::int64_t o = 0; o < problem.dst.shape[kC]; ++o, weights += taps * inputs, ordered += taps * inputs) {
    for (std::int64_t c = 0; c < inputs; ++c) {
      for (std::int64_t tap = 0; tap < taps; ++tap) ordered[tap * inputs + c] = weights[c * taps + tap];
    }
  }
}

}  // namespace

bool OpenConvolution::fits(const OpenProblem& problem) {
  return problem.geometry.groups == 1 && in_blocks(problem.src) && in_blocks(problem.dst) &&
         !(problem.closes_outputs && problem.adds);
}

OpenConvolution::OpenConvolution(const OpenProblem& problem, Isa isa)
    : problem_(problem), isa_(isa), winograd_(problem.allow_winograd && is_winograd_geometry(problem.geometry)) {
  make_shapes();
  cut(num_threads());
  book_piece();
}

void OpenConvolution::make_shapes() {
  const Shape &src = problem_.src.shape, &dst = problem_.dst.shape;
  shape_ = {1, src[kH], src[kW], winograd_channels(problem_.src), winograd_channels(problem_.dst)};
  const ConvGeometry& g = problem_.geometry;
  direct_ = {g.kernel, g.stride, g.pad, g.dilation, src[kH], src[kW], dst[kH], dst[kW], shape_.src, shape_.dst};
  all_rows_ = winograd_ ? shape_.rows() : dst[kH];
  all_columns_ = winograd_ ? shape_.columns() : 1;
}

/// Rows of pixels whose planes, and sums, stay near.
std::int64_t OpenConvolution::direct_rows() const {
  constexpr std::int64_t kMost = 24 << 10;  // floats
  const std::int64_t lanes = direct_kernels(isa_).lanes, inputs = problem_.src.shape[kC],
                     outputs = problem_.dst.shape[kC];
  std::int64_t rows = 1;
  while (rows < all_rows_ && inputs * direct_.plane(rows + 1, lanes) <= kMost &&
         outputs * (rows + 1) * direct_.vectors(lanes) * lanes <= kMost) {
    ++rows;
  }
  return rows;
}

// Whole rows of tiles, or what of one is not too much. Fewer parts than there are threads are cut smaller, in the end
// by the result's channels, whose source each part then transforms again.
void OpenConvolution::cut(std::int64_t threads) {
  const std::int64_t images = problem_.src.shape[kN];
  const std::int64_t few = winograd_ ? 4 : 1;  // that are multiplied together
  columns_ = std::min(all_columns_, OpenPart::kMostTiles);
  column_parts_ = parts_of(all_columns_, columns_);
  rows_ = winograd_ ? std::clamp<std::int64_t>(OpenPart::kMostTiles / columns_, 1, all_rows_) : direct_rows();
  while (images * column_parts_ * parts_of(all_rows_, rows_) < threads && rows_ > 1 && rows_ * columns_ > few)
    rows_ = parts_of(rows_, 2);
  row_parts_ = parts_of(all_rows_, rows_);
  images_ = whole_images(threads);
  const std::int64_t groups = parts_of(images, images_), parts = groups * row_parts_ * column_parts_,
                     blocks = shape_.dst.blocks;
  blocks_ = parts_of(blocks, std::min(blocks, parts_of(threads, parts)));
  parts_ = row_parts_ * column_parts_ * parts_of(blocks, blocks_);
  pieces_ = std::min(threads, groups * parts_);
}

/// How many small ones are a part's.
std::int64_t OpenConvolution::whole_images(std::int64_t threads) const {
  if (!winograd_ || row_parts_ * column_parts_ > 1) return 1;
  const std::int64_t together = open_kernels(isa_).together, all = problem_.src.shape[kN];
  const std::int64_t tiles = parts_of(rows_ * columns_, together) * together;
  std::int64_t images = std::clamp<std::int64_t>(OpenPart::kMostTiles / tiles, 1, OpenPart::kMostImages);
  while (images > 1 && parts_of(all, images) < threads) images /= 2;
  return images;
}

void OpenConvolution::book_piece() {
  const std::int64_t inputs = problem_.src.shape[kC], outputs = problem_.dst.shape[kC];
  const std::int64_t lanes = direct_kernels(isa_).lanes, vectors = rows_ * direct_.vectors(lanes);
  const std::int64_t summed = winograd_ && !problem_.closes_outputs ? WinogradShape::kBlock : outputs;
  Scratch scratch = piece_.scratch();
  expanded_ =
      scratch.book<float>(winograd_ ? OpenMemory::expanded_floats(inputs) : inputs * direct_.plane(rows_, lanes));
  products_ = scratch.book<float>(winograd_ ? OpenMemory::product_floats(summed)
                                            : outputs * (vectors + DirectKernels::kVectors) * lanes);
  const std::int64_t pixels =
      winograd_ ? OpenPart::kMostTiles * WinogradShape::kTile * WinogradShape::kTile : rows_ * direct_.dst_width;
  if (problem_.closes_outputs) dst_ = scratch.book<float>(OpenMemory::dst_floats(pixels, outputs));
  bias_ = scratch.book<float>(OpenMemory::listed(outputs));
  inputs_ = scratch.book<std::int32_t>(images_ * OpenMemory::listed(inputs));
  outputs_ = scratch.book<std::int32_t>(images_ * OpenMemory::listed(outputs));
}

OpenPart OpenConvolution::part(std::int64_t index) const {
  OpenPart part;
  part.column = index % column_parts_ * columns_;
  part.row = index / column_parts_ % row_parts_ * rows_;
  part.block = index / column_parts_ / row_parts_ * blocks_;
  part.end_column = std::min(part.column + columns_, all_columns_);
  part.end_row = std::min(part.row + rows_, all_rows_);
  part.end_block = std::min(part.block + blocks_, shape_.dst.blocks);
  return part;
}

std::string OpenConvolution::kernel() const {
  return concat("open:", to_string(isa_), winograd_ ? ":wino" : "");
}

void OpenConvolution::book(SlotBook& book, Scratch refresh, Scratch forward) {
  const std::int64_t filter = problem_.geometry.kernel * problem_.geometry.kernel;
  const std::int64_t plain = problem_.src.shape[kC] * problem_.dst.shape[kC] * filter;
  packed_ = book.kept<float>(winograd_ ? shape_.weights() : plain);
  if (winograd_ && problem_.closes_outputs) in_blocks_ = refresh.book<float>(shape_.weights());
  piece_memory_ = forward.blocks(piece_, pieces_);
}

void OpenConvolution::pack(const Memory& memory, const float* weights) const {
  float* const packed = memory[packed_];
  if (!winograd_) return order_taps(problem_, weights, packed);
  float* const in_blocks = problem_.closes_outputs ? memory[in_blocks_] : packed;
  pack_winograd({shape_.src.blocks, shape_.dst.blocks, false}, weights, in_blocks, isa_);
  if (problem_.closes_outputs) open_kernels(isa_).order(shape_, in_blocks, packed);
}

OpenMemory OpenConvolution::memory_of(const Memory& piece) const {
  return {piece[expanded_], piece[products_], piece[dst_], piece[bias_], piece[inputs_], piece[outputs_]};
}

void OpenConvolution::run(const Memory& memory, const float* src, const OpenFactors& factors, const float* bias,
                          float* dst) const {
  const OpenKernels& kernels = open_kernels(isa_);
  const auto by_winograd = problem_.closes_outputs ? kernels.open_outputs : kernels.all_outputs;
  const auto directly = direct_kernels(isa_).convolve;
  const std::int64_t images = problem_.src.shape[kN], all = parts_of(images, images_) * parts_;
  parallel_for(pieces_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const OpenMemory own = memory_of(memory.block(piece_memory_, piece));
      for (std::int64_t i = all * piece / pieces_; i < all * (piece + 1) / pieces_; ++i) {
        const std::int64_t image = i / parts_ * images_;
        OpenPart own_part = part(i % parts_);
        own_part.images = std::min(images_, images - image);
        OpenOperands operands;
        operands.src = image_of(problem_.src, src, image);
        operands.dst = image_of(problem_.dst, dst, image);
        operands.weights = memory[packed_];
        operands.inputs = factors_of(factors.inputs, problem_.src, image);
        operands.outputs = factors_of(factors.outputs, problem_.dst, image);
        operands.epilogue = {bias, problem_.adds, problem_.low, problem_.high};
        if (winograd_) by_winograd(shape_, own_part, operands, own);
        if (!winograd_) directly(direct_, own_part, operands, own);
      }
    }
  });
}

}  // namespace sluice
