#include "gating/skip/skip_tiling.hpp"

#include <algorithm>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "layers/level_convolution.hpp"
#include "layers/patch_shape.hpp"
#include "layers/winograd.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostPixels = 512;  // of a tile, unless one row has more
constexpr std::int64_t kBlock = WinogradShape::kBlock, kTile = WinogradShape::kTile;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

SkipUnits units_of(const SkipProblem& p) {
  const SkipLevels& levels = p.levels;
  if (levels.count > 0 && !p.transforms_levels && levels.nonnegative &&
      level_quads_together(levels.count, levels.weight_count) >= 3)
    return SkipUnits::kLevelBytes;
  if (levels.count > 0) return SkipUnits::kLevels;
  return p.src_scale > 0 ? SkipUnits::kInt8 : SkipUnits::kFloats;
}

/// Channels in a unit.
std::int64_t places_of(SkipUnits units) {
  switch (units) {
    case SkipUnits::kFloats:
      return 1;
    case SkipUnits::kInt8:
    case SkipUnits::kLevelBytes:
      return 4;
    case SkipUnits::kLevels:
      return 2;
  }
  return 1;
}

}  // namespace

SkipTiling::SkipTiling(const SkipProblem& p, Isa wanted)
    : problem(p),
      isa(wanted),
      kind(units_of(p)),
      kernels(skip_kernels(wanted)),
      products(skip_products(kind, wanted)),
      places(places_of(kind)) {
  make_shape();
  make_winograd();
  make_tiles();
  make_pixels();
  make_vectors();
  make_dots();
  make_memory();
}

void SkipTiling::make_shape() {
  const Shape &src = problem.src.shape, &dst = problem.dst.shape;
  if (problem.transforms_levels) transforms = {src[kC], dst[kC]};
  static_cast<PatchShape&>(shape) = patch_shape(problem.geometry, problem.src, problem.dst);
  shape.together = level_quads_together(problem.levels.count, problem.levels.weight_count);
  vectors = ceil_div(dst[kC], kernels.lanes);
  grouped = !is_base(dst[kC] - 1, 0);
  shape.dst_chunk = grouped ? dst[kC] / (src[kC] / base_inputs()) : dst[kC];
  make_units();
  for (std::int64_t lane = 0; lane < kernels.lanes; ++lane)
    shape.lane_units[lane] = static_cast<std::int32_t>(lane / shape.dst_chunk * shape.src_chunk);
  const std::int64_t together = kernels.lanes / shape.dst_chunk;  // chunks in a vector
  const bool power_of_two = (shape.units & (shape.units - 1)) == 0;
  if (int8() && kernels.lanes > 4 && shape.units < kernels.lanes && power_of_two && shape.dilation == 1)
    shape.wrap = static_cast<std::int32_t>(shape.units - 1);
  if (grouped && together > 1 && uses_lanes() && !compact())
    shape.repeated = std::min((together - 1) * shape.src_chunk, shape.units);
  shape.pitch = compact() ? shape.units : ceil_div(shape.units + shape.repeated, kernels.lanes) * kernels.lanes;
  // Parts of pixels that lie a power of two apart would share few places of a cache.
  if (shape.pitch >= 64) shape.pitch = shape.pitch / 32 * 32 + 16;
  if (shape.pitch < shape.units + shape.repeated) shape.pitch += 32;
  shape.dst_pitch = vectors * kernels.lanes;
  if (shape.dst_pitch >= 64) shape.dst_pitch = ceil_div(shape.dst_pitch, 16) * 16 + 16;
}

// Inputs that belong together (the base inputs of some outputs, or what is left of them) share no unit with others.
void SkipTiling::make_units() {
  const std::int64_t channels = positions(), own = base_inputs();
  for (std::int64_t begin = 0; begin < channels;) {
    const std::int64_t end = grouped || begin == 0 ? std::min(begin + own, channels) : channels;
    for (std::int64_t i = begin; i < begin + ceil_div(end - begin, places) * places; ++i)
      inputs.push_back(i < end ? i : -1);
    begin = end;
  }
  if (!levels()) make_order();
  shape.units = static_cast<std::int64_t>(inputs.size()) / places;
  shape.src_chunk = ceil_div(own, places);
  shape.src_factor = problem.src_scale > 0 ? 1 / problem.src_scale : 1;
}

void SkipTiling::make_order() {
  bool in_order = true;
  for (std::int64_t input : inputs) {
    in_order = in_order && (input < 0 ? static_cast<std::int64_t>(order.size()) >= shape.src_channels
                                      : input == static_cast<std::int64_t>(order.size()));
    order.push_back(input < 0 ? -1 : static_cast<std::int32_t>(problem.paths.source_channel(input)));
  }
  in_order = in_order && std::is_sorted(order.begin(), order.begin() + shape.src_channels);
  if (!in_order) shape.order = order.data();
  shape.shuffles = shuffles();
}

// A channel shuffle in 2^n groups is n perfect shuffles. Without padding channels are out of order for no other reason.
std::int32_t SkipTiling::shuffles() const {
  const std::int64_t channels = shape.src_channels, groups = channels / problem.paths.base_inputs();
  const std::int64_t lanes = int8() ? SkipShape::kShuffledInt8 : kernels.lanes;
  const bool padded = static_cast<std::int64_t>(order.size()) != channels;
  const bool fits = channels % (2 * lanes) == 0 && channels <= SkipShape::kMostShuffled;
  if (shape.order == nullptr || padded || !fits || (groups & (groups - 1)) != 0) return 0;
  std::int32_t count = 0;
  for (std::int64_t left = groups; left > 1; left /= 2) ++count;
  return count;
}

bool SkipTiling::winograd_halves() const {
  return grouped && shape.src_chunk == kBlock / 2 && shape.dst_chunk == kBlock / 2;
}

WinogradShape SkipTiling::winograd_shape(const SkipWinogradBlocks& p, std::int64_t tile_images,
                                         std::int64_t tile_rows) const {
  const std::int64_t width = shape.dst_width, row = width * shape.dst_pitch;
  return {tile_images,
          tile_rows,
          width,
          {p.src_count, shape.pitch, shape.row_pitch(), kBlock, shape.src_rows(tile_rows) * shape.row_pitch(), true},
          {p.count, shape.dst_pitch, row, kBlock, tile_rows * row, false},
          winograd_halves()};
}

// Winograd's kernels multiply whole blocks of channels, all but the base inputs by zeros, and groups of tiles, full or
// not.
void SkipTiling::make_winograd() {
  const bool fits = problem.allow_winograd && isa != Isa::kPortable && kind == SkipUnits::kFloats &&
                    is_winograd_geometry(problem.geometry) && shape.dst_channels % kBlock == 0 &&
                    shape.units % kBlock == 0 && shape.units <= kBlock * WinogradShape::kMostBlocks &&
                    kTile * shape.dst_width <= kMostPixels;
  if (!fits) return;
  for (std::int64_t block = 0; block * kBlock < shape.dst_channels; ++block) {
    const std::int64_t first = chunk_of(block * kBlock), last = chunk_of((block + 1) * kBlock - 1);
    const std::int64_t src = first * shape.src_chunk / kBlock;
    const std::int64_t src_count = ceil_div((last + 1) * shape.src_chunk, kBlock) - src;
    const bool goes_on = !winograd.empty() && winograd.back().first_src == src &&
                         winograd.back().src_count == src_count && winograd.back().count < WinogradShape::kMostBlocks;
    if (goes_on) {
      ++winograd.back().count;
    } else {
      winograd.push_back({block, 1, src, src_count, 0});
    }
  }
  if (!winograd_pays(winograd.front())) winograd.clear();
}

// Counts vectors of 16 multiplied and added for a tile of Winograd's and a block of outputs: products, and both
// transforms.
bool SkipTiling::winograd_pays(const SkipWinogradBlocks& p) const {
  const Shape& dst = problem.dst.shape;
  const std::int64_t tiles = dst[kN] * ceil_div(dst[kH], kTile) * ceil_div(dst[kW], kTile);
  const double filled =
      static_cast<double>(tiles) / static_cast<double>(ceil_div(tiles, WinogradShape::kGroup) * WinogradShape::kGroup);
  const double pixels_each = static_cast<double>(dst[kN] * dst[kH] * dst[kW]) / static_cast<double>(tiles);
  const double sources = static_cast<double>(p.src_count), share = winograd_halves() ? 0.5 : 1.0;
  const double cost = static_cast<double>(WinogradShape::kPoints * kBlock) * share * sources / filled +
                      160 * sources / static_cast<double>(p.count) + 130;
  const double direct = pixels_each * 9 * static_cast<double>(shape.src_chunk);
  return cost <= 0.85 * direct;
}

// Cycles of one tile, about: what an expected tenth of open gates costs, copies, and weights that come from far.
double SkipTiling::tile_cost() const {
  const double lanes = static_cast<double>(kernels.lanes), filter = static_cast<double>(shape.kernel * shape.kernel);
  const double count = static_cast<double>(pixels()), outputs = static_cast<double>(part * kernels.lanes);
  const double units = static_cast<double>(shape.units), own = static_cast<double>(shape.src_chunk);
  const double seen = static_cast<double>(images * shape.src_rows(rows) * shape.columns);
  const double base_cost = winograd.empty() && !transforms_levels() ? 1.0 : 0.5;
  const double math = count * outputs * filter * (base_cost * own + 0.1 * (units - own)) / lanes * 0.7;
  const double edges = 1.5 * seen * units / lanes + 4 * count * outputs / lanes;
  const double weights_read = outputs * filter * units * 0.2;
  return math + edges + weights_read + 25 * outputs + 500;
}

void SkipTiling::set_tile(std::int64_t most_pixels, std::int64_t wanted_parts) {
  const Shape& dst = problem.dst.shape;
  images = std::clamp<std::int64_t>(most_pixels / (dst[kH] * dst[kW]), 1, dst[kN]);
  rows = std::clamp<std::int64_t>(most_pixels / dst[kW], 1, dst[kH]);
  rows = ceil_div(dst[kH], ceil_div(dst[kH], rows));
  if (!winograd.empty() || transforms_levels()) rows = std::min(ceil_div(rows, kTile) * kTile, dst[kH]);
  const std::int64_t slice = std::max<std::int64_t>(1, 16 / kernels.lanes);  // vectors that may decide together
  part = ceil_div(ceil_div(vectors, slice), wanted_parts) * slice;
  image_tiles = ceil_div(dst[kN], images);
  row_tiles = ceil_div(dst[kH], rows);
  parts = ceil_div(vectors, part);
  pieces = std::min<std::int64_t>(num_threads(), tiles());
}

void SkipTiling::make_tiles() {
  std::int64_t most = kMostPixels;
  if (shape.units > 8) most = shape.units <= 32 || transforms_levels() ? 256 : 128;  // more do not fit the first cache
  const std::int64_t most_parts = problem.granularity == Granularity::kPixel ? 1 : num_threads();
  std::int64_t best_pixels = most, best_parts = 1;
  double least = 0;
  for (std::int64_t wanted = most; wanted >= 8; wanted /= 2) {
    for (std::int64_t n = 1; n <= most_parts; ++n) {
      set_tile(wanted, n);
      const double cost = static_cast<double>(ceil_div(tiles(), pieces)) * tile_cost();
      if (least > 0 && cost >= least) continue;
      least = cost;
      best_pixels = wanted;
      best_parts = n;
    }
  }
  set_tile(best_pixels, best_parts);
}

void SkipTiling::make_pixels() {
  const bool runs = shape.kernel == 3 && shape.stride == 1 && shape.dilation == 1;
  run_columns = runs ? shape.dst_width / SkipPixels::kRun * SkipPixels::kRun : 0;
  const std::int64_t image_pitch = shape.src_rows(rows) * shape.row_pitch();
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t y = 0; y < rows; ++y) {
      for (std::int64_t x = 0; x < shape.dst_width; ++x) {
        const auto pixel = static_cast<SkipPixel>(taps.size());
        taps.push_back(
            static_cast<std::int32_t>(n * image_pitch + shape.stride * (y * shape.row_pitch() + x * shape.pitch)));
        if (x >= run_columns) rest.push_back(pixel);
      }
    }
  }
}

SkipVectorWeights SkipTiling::make_vector(std::int64_t vector, bool is_base) {
  const std::int64_t first = vector * kernels.lanes, end = std::min(first + kernels.lanes, shape.dst_channels);
  const std::int64_t chunk = chunk_of(first), last = chunk_of(end - 1);
  const std::int64_t size = shape.src_chunk, units = shape.units, together = kernels.lanes / shape.dst_chunk;
  SkipVectorWeights v;
  v.first_range = static_cast<std::int64_t>(ranges.size());
  const auto add = [&](std::int64_t begin, std::int64_t count) {
    if (count > 0) ranges.push_back({static_cast<std::int32_t>(begin), static_cast<std::int32_t>(count)});
    v.units += std::max<std::int64_t>(count, 0);
  };
  // Lanes of several chunks read channels of their own where the kernels can do that; else all read all of them.
  v.spread = last > chunk && together * shape.dst_chunk == kernels.lanes && together * size <= kernels.lanes &&
             (kernels.lanes > 4 || size == shape.dst_chunk);
  v.quads = is_base && v.spread && kernels.lanes == 16 && int8() && together * size == 4 && shape.pitch % 4 == 0;
  if (is_base) {
    add(chunk * size, v.spread ? size : (last + 1 - chunk) * size);
  } else if (v.spread) {
    const std::int64_t chunks = units / size;
    for (std::int64_t step = 1; step < chunks; ++step) add((chunk + step) % chunks * size, size);
  } else if (last > chunk) {
    add(0, units);
  } else {
    add(0, chunk * size);
    add((chunk + 1) * size, units - (chunk + 1) * size);
  }
  v.range_count = static_cast<std::int64_t>(ranges.size()) - v.first_range;
  v.weights = weights;
  weights += shape.kernel * shape.kernel * v.units * kernels.lanes;
  return v;
}

void SkipTiling::make_vectors() {
  for (SkipWinogradBlocks& p : winograd) {
    const WinogradWeights packed{p.src_count, p.count, false};
    p.weights = weights;
    weights += packed.count();
    plain_count = std::max(plain_count, packed.count() / WinogradShape::kPoints * 9);
  }
  if (transforms_levels()) {
    transformed_weights = weights;
    weights += transforms.weights();
  }
  for (std::int64_t v = 0; v < vectors && winograd.empty() && !transforms_levels(); ++v)
    base.push_back(make_vector(v, true));
  for (std::int64_t v = 0; v < vectors; ++v) conditional.push_back(make_vector(v, false));
}

// Outputs one by one read the same pixels again and again: all vectors of them, if they nearly fit the first cache, or
// as many as do.
std::int64_t SkipTiling::pass_vectors() const {
  const std::int64_t all_vectors = ceil_div(shape.units, kernels.lanes);
  if (levels()) return all_vectors;  // half of them are read, and what is replaced is replaced once
  const std::int64_t cache = isa == Isa::kAvx512 ? 48 << 10 : 32 << 10;
  const std::int64_t bytes = images * shape.src_rows(rows) * shape.columns * kernels.lanes * 4;  // of one vector
  if (all_vectors * bytes <= 3 * cache / 2) return all_vectors;
  return ceil_div(all_vectors, ceil_div(all_vectors, std::max<std::int64_t>(1, cache * 7 / 8 / bytes)));
}

void SkipTiling::make_dots() {
  if (problem.granularity != Granularity::kElement && !uses_dots()) return;  // see SkipConv::pack
  const std::int64_t lanes = kernels.lanes, each = pass_vectors(), units = shape.units;
  const std::int64_t chunks = grouped ? units / shape.src_chunk : 1;
  bool complete = each * lanes >= units;  // every output has all vectors in one pass
  for (std::int64_t begin = 0; begin * lanes < units; begin += each) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      SkipDotOutputs d;
      d.first = chunk * shape.dst_chunk;
      d.end = std::min(d.first + shape.dst_chunk, shape.dst_channels);
      d.first_offset = static_cast<std::int64_t>(offsets.size());
      for (std::int64_t row = 0; row < shape.kernel && compact(); ++row) {
        for (std::int64_t at = 0; at < shape.kernel * shape.pitch; at += lanes)
          offsets.push_back(static_cast<std::uint32_t>(row * shape.row_pitch() + at));
      }
      for (std::int64_t tap = 0; tap < shape.kernel * shape.kernel && !compact(); ++tap) {
        const std::int64_t at =
            shape.dilation * (tap / shape.kernel * shape.row_pitch() + tap % shape.kernel * shape.pitch);
        for (std::int64_t v = begin; v < begin + each && v * lanes < units; ++v) {
          const std::int64_t low = chunk * shape.src_chunk, high = low + shape.src_chunk;
          const bool is_base = v * lanes >= low && std::min((v + 1) * lanes, units) <= high;  // all of it
          complete = complete && !is_base;
          if (!is_base) offsets.push_back(static_cast<std::uint32_t>(at + v * lanes));
        }
      }
      d.vector_count = static_cast<std::int64_t>(offsets.size()) - d.first_offset;
      if (d.vector_count == 0) continue;
      d.weights = weights;
      weights += (d.end - d.first) * d.vector_count * lanes;
      dots.push_back(d);
    }
  }
  offsets.push_back(0);  // they are read in pairs
  if (levels()) {        // what replaces base products is a whole already
    whole_dots = problem.granularity == Granularity::kElement;
    for (SkipDotOutputs& d : dots) d.whole_weights = d.weights;
  } else if (complete) {
    make_whole_dots();
  }
}

// The base inputs may lie in the same vectors: with their weights, open outputs need no base products. In int8 that
// gives the same bits where all sums are exact.
void SkipTiling::make_whole_dots() {
  const double most = static_cast<double>(shape.src_channels * shape.kernel * shape.kernel) * 127 * 127;
  if (problem.granularity != Granularity::kElement || !winograd.empty() || (int8() && most >= (1 << 24))) return;
  whole_dots = true;
  for (SkipDotOutputs& d : dots) {
    d.whole_weights = weights;
    weights += (d.end - d.first) * d.vector_count * kernels.lanes;
  }
}

bool SkipTiling::direct() const {
  const TensorDesc &dst = problem.dst, &addend = problem.addend ? *problem.addend : dst;
  const DataType type = int8() ? DataType::kU8 : DataType::kF32;
  return whole_dots && !transforms_levels() && problem.lanes_from > kernels.lanes && dst.type == type &&
         addend.type == type && dst.shape[kC] % kernels.lanes == 0 && (images == 1 || dst.block == dst.shape[kC]);
}

bool SkipTiling::streams() const {
  constexpr std::int64_t kCached = 12 << 20;  // bytes: larger ones are gone before the next layer reads them
  const TensorDesc &dst = problem.dst, &addend = problem.addend ? *problem.addend : dst;
  return dst.type == DataType::kF32 && addend.type == DataType::kF32 && dst.block % 16 == 0 && dst.bytes() > kCached;
}

void SkipTiling::make_memory() {
  const std::int64_t lanes = kernels.lanes, count = pixels();
  Scratch scratch = piece.scratch();
  const std::int64_t behind = std::max(lanes, LevelWinograd::kUnits);  // may be read too
  patch = scratch.book<std::byte>((images * shape.src_rows(rows) * shape.row_pitch() + behind) * 4);
  if (transforms_levels()) work = scratch.book<std::int32_t>(transforms.work());
  sums = scratch.book<float>(count * shape.dst_pitch);
  open = scratch.book<std::byte>(vectors * count * kernels.word + 64);
  if (problem.lanes_from > 0 && uses_lanes()) single = scratch.book<std::byte>(vectors * count * kernels.word + 64);
  lists = scratch.book<SkipPixel>((uses_dots() ? vectors * lanes * count : count) + 32);
  ends = scratch.book<std::int32_t>(vectors * lanes);
  scratch.book<std::byte>(64);  // pieces do not lie side by side
  number_row = align_up(vectors * lanes * 4) / 4;
}

}  // namespace sluice
