#include "layers/int8_product.hpp"

#include <algorithm>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/byte_units.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostRows = 192;        // of a tile
constexpr std::int64_t kTileBytes = 24 << 10;  // of its source: it shares the first cache with weights

std::int64_t pieces_of(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

bool Int8Product::fits(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst) {
  return geometry.kernel == 1 && geometry.pad == 0 && geometry.groups == 1 && src.shape[kC] % 4 == 0 &&
         src.block == src.shape[kC] && dst.block == dst.shape[kC];
}

Int8Product::Int8Product(const Problem& problem, Isa isa)
    : problem_(problem),
      isa_(isa),
      products_(&byte_products(isa)),
      blocks_(pieces_of(problem.dst.shape[kC], products_->outputs)) {}

std::string Int8Product::kernel() const {
  return concat("product:", to_string(isa_));
}

void Int8Product::book(SlotBook& book) {
  weights_ = book.kept<std::int32_t>(blocks_ * units() * products_->outputs);
  places_ = book.kept<std::int32_t>(blocks_ * units());
  pairs_ = book.kept<std::int32_t>(blocks_);
}

void Int8Product::pack(const Memory& memory, const float* levels) const {
  parallel_for(blocks_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) pack_block(memory, levels, block);
  });
}

void Int8Product::pack_block(const Memory& memory, const float* levels, std::int64_t block) const {
  const std::int64_t first = block * products_->outputs, own = std::min(products_->outputs, outputs() - first);
  const float* const from = levels + first * inputs();
  std::int32_t pairs = 0;
  const std::vector<std::size_t> order = order_units(from, own, inputs(), pairs);
  memory[pairs_][block] = pairs;
  std::int32_t* place = memory[places_] + block * units();
  std::int32_t* to = memory[weights_] + block * units() * products_->outputs;
  for (const std::size_t unit : order) {
    const std::int64_t input = 4 * static_cast<std::int64_t>(unit);
    *place++ = static_cast<std::int32_t>(input);
    for (std::int64_t o = 0; o < products_->outputs; ++o) {
      std::uint32_t bytes = 0;
      for (std::int64_t i = 0; i < 4 && o < own; ++i) {
        const auto level = static_cast<std::int32_t>(from[o * inputs() + input + i]);
        bytes |= (static_cast<std::uint32_t>(level) & 0xffU) << (8 * i);
      }
      *to++ = static_cast<std::int32_t>(bytes);
    }
  }
}

ByteEnding ending_of(const Int8Product::Problem& problem, const Int8Product::Operands& operands) {
  const bool to_bytes = problem.dst.type == DataType::kU8;
  ByteEnding ending;
  ending.scale = operands.scale;
  ending.shift = operands.shift;
  ending.low = problem.epilogue.low;
  ending.high = problem.epilogue.high;
  ending.channels = problem.dst.shape[kC];
  if (!problem.epilogue.adds) return ending;
  if (problem.addend.type == DataType::kU8) {
    ending.addend_bytes = static_cast<const std::uint8_t*>(operands.addend);
    ending.addend_scale = problem.addend.scale / (to_bytes ? problem.dst.scale : 1.0F);
  } else {
    ending.addend = static_cast<const float*>(operands.addend);
    ending.factor = to_bytes ? 1 / problem.dst.scale : 1.0F;
  }
  return ending;
}

/// The source's pixel that a row of the result is made of.
const std::uint8_t* Int8Product::row(const void* src, std::int64_t index) const {
  const auto* const bytes = static_cast<const std::uint8_t*>(src);
  const std::int64_t stride = problem_.geometry.stride;
  if (stride == 1) return bytes + index * inputs();
  const Shape &dst = problem_.dst.shape, &from = problem_.src.shape;
  const std::int64_t x = index % dst[kW], y = index / dst[kW] % dst[kH], n = index / (dst[kW] * dst[kH]);
  return bytes + ((n * from[kH] + y * stride) * from[kW] + x * stride) * inputs();
}

void Int8Product::multiply(const ByteRows& rows, const ByteWeights& weights, const ByteEnding& ending,
                           std::int64_t block, void* dst) const {
  const std::int64_t first = block * products_->outputs, own = std::min(products_->outputs, outputs() - first);
  if (problem_.dst.type == DataType::kU8) {
    products_->bytes(rows, weights, ending, first, own, static_cast<std::uint8_t*>(dst));
  } else {
    products_->floats(rows, weights, ending, first, own, static_cast<float*>(dst));
  }
}

void Int8Product::run(const Memory& memory, const void* src, const Operands& operands, void* dst) const {
  const Shape& shape = problem_.dst.shape;
  const std::int64_t all = shape[kN] * shape[kH] * shape[kW], together = products_->outputs;
  const std::int64_t most = std::clamp<std::int64_t>(kTileBytes / inputs(), 12, kMostRows) / 6 * 6;
  const std::int64_t tiles = pieces_of(all, most), threads = num_threads();
  // Where pixels are few, threads share the outputs.
  const std::int64_t parts = tiles >= 4 * threads ? 1 : std::min(blocks_, pieces_of(4 * threads, tiles));
  const std::int32_t *const weights = memory[weights_], *const places = memory[places_], *const pairs = memory[pairs_];
  const ByteEnding common = ending_of(problem_, operands);
  parallel_for(tiles * parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::uint8_t* pixels[kMostRows];
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t tile = i / parts, part = i % parts;
      const ByteRows rows{pixels, std::min(most, all - tile * most), tile * most};
      for (std::int64_t r = 0; r < rows.count; ++r) pixels[r] = row(src, rows.first + r);
      for (std::int64_t b = blocks_ * part / parts; b < blocks_ * (part + 1) / parts; ++b) {
        ByteEnding own = common;
        own.scale = operands.scale + b * together;
        own.shift = operands.shift + b * together;
        const ByteWeights block{weights + b * units() * together, places + b * units(), pairs[b],
                                units() - 2 * pairs[b]};
        multiply(rows, block, own, b, dst);
      }
    }
  });
}

}  // namespace sluice
