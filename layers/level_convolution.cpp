#include "layers/level_convolution.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/patch_shape.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostPair = (1 << 15) - 1;  // a sum of two products of bytes
constexpr std::int64_t kPatchBytes = 24 << 10;     // of a tile: it shares the first cache with weights
constexpr std::int64_t kFewPixels = 64;            // of a tile: weights should serve more
// The same of Winograd's algorithm, which reads a patch once, and multiplies whole groups.
constexpr std::int64_t kWinogradPatchBytes = 64 << 10, kWinogradPixels = LevelWinograd::kGroup * 16;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

LevelUnits units_of(const LevelProblem& p) {
  const bool bytes =
      !p.winograd && p.src_nonnegative && level_quads_together(p.source.levels(), p.weights.levels()) >= 3;
  return bytes ? LevelUnits::kQuads : LevelUnits::kPairs;
}

}  // namespace

std::int64_t level_quads_together(std::int64_t source_levels, std::int64_t weight_levels) {
  const bool bytes = std::max(source_levels, weight_levels) <= kMostInt8Level && source_levels > 0;
  return bytes ? kMostPair / (2 * source_levels * weight_levels) : 0;
}

bool LevelConvolution::fits(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src) {
  if (geometry.groups != 1 || !options.activations().has_scale()) return false;
  const Shape shape = geometry.weights_shape(src);
  return options.has_exact_pairs(shape[1] * shape[2] * shape[3]);
}

bool LevelConvolution::winograd_fits(const LevelProblem& problem) {
  const std::int64_t inputs = problem.src.shape[kC];
  return level_winograd_fits(problem.geometry, problem.source.levels(), problem.weights.levels(), inputs) &&
         level_winograd_pays(inputs, problem.dst.shape[kH], problem.dst.shape[kW]);
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
  if (problem_.winograd) winograd_ = {inputs, outputs};
}

/// As many rows as the first cache holds, several images where these are small, and tiles enough for all threads.
void LevelConvolution::make_tiles() {
  const std::int64_t images = problem_.dst.shape[kN], height = shape_.dst_height;
  const std::int64_t most_bytes = problem_.winograd ? kWinogradPatchBytes : kPatchBytes,
                     few = problem_.winograd ? kWinogradPixels : kFewPixels,
                     step = problem_.winograd ? LevelWinograd::kTile : 1;
  const auto fits = [&](std::int64_t n, std::int64_t rows) { return patch_units(n, rows) * 4 <= most_bytes; };
  rows_ = ceil_div(height, ceil_div(num_threads(), images) * step) * step;
  while (rows_ > step && !fits(1, rows_)) rows_ -= step;
  rows_ = ceil_div(height, ceil_div(height, rows_) * step) * step;
  row_tiles_ = ceil_div(height, rows_);
  const std::int64_t most = ceil_div(images, num_threads()), pixels = height * shape_.dst_width;
  const bool in_order = problem_.dst.block == shape_.dst_channels;  // one image's results behind the other's
  while (row_tiles_ == 1 && in_order && images_ < most && images_ * pixels < few && fits(images_ + 1, rows_)) ++images_;
  tiles_ = ceil_div(images, images_) * row_tiles_;
  pieces_ = std::min<std::int64_t>(num_threads(), tiles_);
}

std::string LevelConvolution::kernel() const {
  const char* const how = problem_.winograd ? ":wino" : units_ == LevelUnits::kQuads ? ":bytes" : "";
  return concat("levels:", to_string(isa_), how);
}

void LevelConvolution::book(SlotBook& book, Scratch forward) {
  packed_ = book.kept<std::int32_t>(problem_.winograd ? winograd_.weights() : vectors_ * vector_units_);
  Scratch piece = piece_.scratch();
  const std::int64_t behind = std::max(products_->lanes, LevelWinograd::kUnits);  // may be read too
  patch_ = piece.book<std::byte>((patch_units(images_, rows_) + behind) * 4);
  if (problem_.winograd) work_ = piece.book<std::int32_t>(winograd_.work());
  blocks_ = forward.blocks(piece_, pieces_);
}

void LevelConvolution::pack(const Memory& memory, const float* levels) const {
  if (problem_.winograd)
    return pack_level_winograd(winograd_, shape_.dst_channels, shape_.src_channels, levels, memory[packed_]);
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

bool LevelConvolution::load(const LevelTile& tile, const void* src, float src_scale) const {
  if (problem_.src.type == DataType::kU8) return loads_->bytes(shape_, tile, static_cast<const std::uint8_t*>(src));
  const LevelRange range{src_scale, static_cast<float>(problem_.source.levels())};
  return loads_->floats(shape_, tile, range, static_cast<const float*>(src));
}

void LevelConvolution::multiply(const LevelTile& tile, const std::int32_t* weights, const LevelEnding& ending,
                                void* dst) const {
  for (std::int64_t v = 0; v < vectors_; ++v, weights += vector_units_) {
    if (problem_.dst_levels > 0) {
      products_->bytes(shape_, tile, ending, v, weights, static_cast<std::uint8_t*>(dst));
    } else {
      products_->floats(shape_, tile, ending, v, weights, static_cast<float*>(dst));
    }
  }
}

void LevelConvolution::multiply_winograd(const LevelTile& tile, const std::int32_t* weights, const LevelEnding& ending,
                                         std::int32_t* work, void* dst) const {
  const LevelWinogradKernels& kernels = level_winograd_kernels(isa_);
  if (problem_.dst_levels > 0) {
    kernels.bytes(shape_, tile, ending, weights, work, static_cast<std::uint8_t*>(dst));
  } else {
    kernels.floats(shape_, tile, ending, weights, work, static_cast<float*>(dst));
  }
}

void LevelConvolution::run(const Memory& memory, const void* src, const Operands& operands, void* dst) const {
  const LevelEnding ending = this->ending(operands);
  const std::int32_t* const weights = memory[packed_];
  std::atomic<bool> has_nan{false};
  parallel_for(pieces_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const Memory own_memory = memory.block(blocks_, piece);
      std::byte* const patch = own_memory[patch_];
      for (std::int64_t i = tiles_ * piece / pieces_; i < tiles_ * (piece + 1) / pieces_; ++i) {
        LevelTile own = tile(i);
        own.patch = patch;
        if (load(own, src, operands.src_scale)) has_nan = true;
        if (problem_.winograd) {
          multiply_winograd(own, weights, ending, own_memory[work_], dst);
        } else {
          multiply(own, weights, ending, dst);
        }
      }
    }
  });
  if (has_nan) spread_nans({problem_.src, const_cast<void*>(src)}, {problem_.dst, dst});
}

}  // namespace sluice
