#include "layers/int8_product.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/op.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostRows = 192;        // of a tile
constexpr std::int64_t kTileBytes = 24 << 10;  // of its source: it shares the first cache with weights
constexpr std::int64_t kMostShort = 32767;     // in 16 bits
constexpr std::size_t kPartners = 16;          // that are tried

std::int64_t pieces_of(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The largest magnitude of sums of products of one unit, or two, with levels up to kMostInt8Level: by output and half
/// of the unit, of what is above 0 and below 0.
class UnitSums {
 public:
  /// `levels`: of the block's outputs, `inputs` each.
  UnitSums(const float* levels, std::int64_t outputs, std::int64_t inputs, std::int64_t units)
      : each_(static_cast<std::size_t>(4 * outputs)), sums_(static_cast<std::size_t>(units) * each_) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const auto level = static_cast<int>(levels[o * inputs + i]);
        const std::int64_t half = i % 4 / 2, side = level < 0 ? 1 : 0;
        sums_[static_cast<std::size_t>(i / 4) * each_ + static_cast<std::size_t>(4 * o + 2 * half + side)] +=
            std::abs(level);
      }
    }
  }
  bool fit(std::size_t unit, std::size_t other) const {
    const int *const a = sums_.data() + unit * each_, *const b = sums_.data() + other * each_;
    for (std::size_t k = 0; k < each_; ++k) {
      if (kMostInt8Level * (a[k] + b[k]) > kMostShort) return false;
    }
    return true;
  }

 private:
  std::size_t each_;
  std::vector<int> sums_;
};

/// Units in the order of their work: pairs that fit, then the others. Sets the number of pairs.
std::vector<std::size_t> ordered(const UnitSums& sums, std::size_t units, std::int32_t& pairs) {
  std::vector<std::size_t> order, singles, rest(units);
  for (std::size_t u = 0; u < units; ++u) rest[u] = units - 1 - u;
  while (!rest.empty()) {
    const std::size_t unit = rest.back();
    rest.pop_back();
    const std::size_t tried = std::min(kPartners, rest.size());
    const auto partner = std::find_if(rest.rbegin(), rest.rbegin() + static_cast<std::ptrdiff_t>(tried),
                                      [&](std::size_t other) { return sums.fit(unit, other); });
    if (partner == rest.rbegin() + static_cast<std::ptrdiff_t>(tried)) {
      singles.push_back(unit);
      continue;
    }
    order.push_back(unit);
    order.push_back(*partner);
    rest.erase(std::next(partner).base());
  }
  pairs = static_cast<std::int32_t>(order.size() / 2);
  order.insert(order.end(), singles.begin(), singles.end());
  return order;
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
  const UnitSums sums(from, own, inputs(), units());
  const std::vector<std::size_t> order = ordered(sums, static_cast<std::size_t>(units()), pairs);
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

ByteEnding Int8Product::ending(const Operands& operands) const {
  const bool to_bytes = problem_.dst.type == DataType::kU8;
  ByteEnding ending;
  ending.low = problem_.epilogue.low;
  ending.high = problem_.epilogue.high;
  ending.channels = outputs();
  if (!problem_.epilogue.adds) return ending;
  if (problem_.addend.type == DataType::kU8) {
    ending.addend_bytes = static_cast<const std::uint8_t*>(operands.addend);
    ending.addend_scale = problem_.addend.scale / (to_bytes ? problem_.dst.scale : 1.0F);
  } else {
    ending.addend = static_cast<const float*>(operands.addend);
    ending.factor = to_bytes ? 1 / problem_.dst.scale : 1.0F;
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
  const ByteEnding common = ending(operands);
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
