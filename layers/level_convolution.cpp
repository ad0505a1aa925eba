#include "layers/level_convolution.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/patch_shape.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostSum = 1 << 24;          // fp32 holds every whole number up to it
constexpr std::int64_t kMostLevel = (1 << 15) - 1;  // of a pair
constexpr std::int64_t kPatchBytes = 24 << 10;      // of a tile: it shares the first cache with weights
constexpr std::int64_t kFewPixels = 64;             // of a tile: weights should serve more

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

LevelUnits units_of(const LevelProblem& p) {
  const bool bytes = p.src_nonnegative && level_quads_together(p.source.levels(), p.weights.levels()) >= 3;
  return bytes ? LevelUnits::kQuads : LevelUnits::kPairs;
}

}  // namespace

std::int64_t level_quads_together(std::int64_t source_levels, std::int64_t weight_levels) {
  const bool bytes = std::max(source_levels, weight_levels) <= kMostInt8Level && source_levels > 0;
  return bytes ? kMostLevel / (2 * source_levels * weight_levels) : 0;
}

bool LevelConvolution::fits(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src) {
  const Quantizer weights = options.weights(), source = options.activations();
  if (geometry.groups != 1 || weights.is_identity() || !source.has_scale() || options.by_image()) return false;
  const Shape shape = geometry.weights_shape(src);
  const std::int64_t terms = shape[1] * shape[2] * shape[3];
  return weights.levels() <= kMostLevel && source.levels() <= kMostLevel &&
         weights.levels() * source.levels() * terms < kMostSum;
}

LevelConvolution::LevelConvolution(const LevelProblem& problem, Isa isa)
    : problem_(problem),
      isa_(isa),
      units_(units_of(problem)),
      loads_(&level_loads(units_, isa)),
      products_(&level_products(units_, isa)) {
  make_shape();
  make_tiles();
}

void LevelConvolution::make_shape() {
  const ConvGeometry& g = problem_.geometry;
  const std::int64_t inputs = problem_.src.shape[kC], outputs = problem_.dst.shape[kC];
  static_cast<PatchShape&>(shape_) = patch_shape(problem_.geometry, problem_.src, problem_.dst);
  shape_.pitch = ceil_div(inputs, places());
  shape_.together = level_quads_together(problem_.source.levels(), problem_.weights.levels());
  vectors_ = ceil_div(outputs, products_->lanes);
  vector_units_ = g.kernel * g.kernel * shape_.pitch * products_->lanes;
}

/// As many rows as the first cache holds, several images where these are small, and tiles enough for all threads.
void LevelConvolution::make_tiles() {
  const std::int64_t images = problem_.dst.shape[kN], height = shape_.dst_height;
  const auto fits = [this](std::int64_t n, std::int64_t rows) { return patch_units(n, rows) * 4 <= kPatchBytes; };
  rows_ = ceil_div(height, ceil_div(num_threads(), images));
  while (rows_ > 1 && !fits(1, rows_)) --rows_;
  rows_ = ceil_div(height, ceil_div(height, rows_));
  row_tiles_ = ceil_div(height, rows_);
  const std::int64_t most = ceil_div(images, num_threads()), pixels = height * shape_.dst_width;
  const bool in_order = problem_.dst.block == shape_.dst_channels;  // one image's results behind the other's
  while (row_tiles_ == 1 && in_order && images_ < most && images_ * pixels < kFewPixels && fits(images_ + 1, rows_))
    ++images_;
  tiles_ = ceil_div(images, images_) * row_tiles_;
  pieces_ = std::min<std::int64_t>(num_threads(), tiles_);
}

std::string LevelConvolution::kernel() const {
  return concat("levels:", to_string(isa_), units_ == LevelUnits::kQuads ? ":bytes" : "");
}

void LevelConvolution::book(SlotBook& book, Scratch forward) {
  packed_ = book.kept<std::int32_t>(vectors_ * vector_units_);
  patch_ = piece_.scratch().book<std::byte>((patch_units(images_, rows_) + products_->lanes) * 4);
  blocks_ = forward.blocks(piece_, pieces_);
}

void LevelConvolution::pack(const Memory& memory, const float* levels) const {
  const std::int64_t lanes = products_->lanes, taps = shape_.kernel * shape_.kernel, inputs = shape_.src_channels;
  const std::int64_t bits = 32 / places();
  const auto part = [&](std::int64_t o, std::int64_t i, std::int64_t tap) -> std::uint32_t {
    if (o >= shape_.dst_channels || i >= inputs) return 0;
    const float level = levels[(o * inputs + i) * taps + tap];
    const auto whole = static_cast<std::int32_t>(std::isnan(level) ? 0.0F : level);
    return static_cast<std::uint32_t>(whole) & ((1U << bits) - 1);
  };
  std::int32_t* to = memory[packed_];
  for (std::int64_t row = 0; row < vectors_ * taps; ++row) {
    for (std::int64_t unit = 0; unit < shape_.pitch; ++unit) {
      for (std::int64_t o = row / taps * lanes; o < (row / taps + 1) * lanes; ++o, ++to) {
        std::uint32_t all = 0;
        for (std::int64_t place = 0; place < places(); ++place)
          all |= part(o, unit * places() + place, row % taps) << (bits * place);
        *to = static_cast<std::int32_t>(all);
      }
    }
  }
}

LevelTile LevelConvolution::tile(std::int64_t index) const {
  LevelTile tile;
  tile.image = index / row_tiles_ * images_;
  tile.images = std::min(images_, problem_.dst.shape[kN] - tile.image);
  tile.row = index % row_tiles_ * rows_;
  tile.rows = std::min(rows_, shape_.dst_height - tile.row);
  return tile;
}

LevelEnding LevelConvolution::ending(const Operands& operands) const {
  const Epilogue& epilogue = problem_.epilogue;
  LevelEnding ending;
  ending.scale = operands.scale;
  ending.shift = operands.shift;
  if (epilogue.adds) ending.addend = static_cast<const float*>(operands.addend);
  ending.clips = epilogue.clips() || epilogue.bounded;
  const Clip clip = epilogue.clip(operands.bound);
  ending.low = clip.low;
  ending.high = clip.high;
  if (problem_.dst_levels > 0) ending.range = {*operands.dst_scale, static_cast<float>(problem_.dst_levels)};
  return ending;
}

bool LevelConvolution::run_tile(const LevelTile& tile, const std::int32_t* weights, const void* src,
                                const LevelEnding& ending, float src_scale, void* dst) const {
  const LevelRange range{src_scale, static_cast<float>(problem_.source.levels())};
  const bool nans = problem_.src.type == DataType::kU8
                        ? loads_->bytes(shape_, tile, static_cast<const std::uint8_t*>(src))
                        : loads_->floats(shape_, tile, range, static_cast<const float*>(src));
  for (std::int64_t v = 0; v < vectors_; ++v, weights += vector_units_) {
    if (problem_.dst_levels > 0) {
      products_->bytes(shape_, tile, ending, v, weights, static_cast<std::uint8_t*>(dst));
    } else {
      products_->floats(shape_, tile, ending, v, weights, static_cast<float*>(dst));
    }
  }
  return nans;
}

void LevelConvolution::run(const Memory& memory, const void* src, const Operands& operands, void* dst) const {
  const LevelEnding ending = this->ending(operands);
  const std::int32_t* const weights = memory[packed_];
  std::atomic<bool> has_nan{false};
  parallel_for(pieces_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      std::byte* const patch = memory.block(blocks_, piece)[patch_];
      for (std::int64_t i = tiles_ * piece / pieces_; i < tiles_ * (piece + 1) / pieces_; ++i) {
        LevelTile own = tile(i);
        own.patch = patch;
        if (run_tile(own, weights, src, ending, operands.src_scale, dst)) has_nan = true;
      }
    }
  });
  if (has_nan) spread_nans({problem_.src, const_cast<void*>(src)}, {problem_.dst, dst});
}

}  // namespace sluice
