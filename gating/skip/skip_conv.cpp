#include "gating/skip/skip_conv.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "gating/level_limit.hpp"
#include "gating/skip/skip_tiling.hpp"
#include "layers/quantizer.hpp"

namespace sluice {
namespace {

/// One tile after the other, in one piece's memory.
class Worker {
 public:
  /// `src_scale`: of a source that becomes levels.
  Worker(const SkipTiling& tiling, const float* weights, const SkipEnding& ending, float src_scale,
         const Memory& memory)
      : tiling_(tiling),
        kernels_(tiling.kernels),
        products_(tiling.products),
        shape_(tiling.shape),
        weights_(weights),
        ending_(ending),
        range_{src_scale, static_cast<float>(tiling.problem.levels.count)} {
    tile_.taps = tiling.taps.data();
    tile_.patch = memory[tiling.patch];
    tile_.sums = memory[tiling.sums];
    tile_.open = memory[tiling.open];
    tile_.single = tiling.problem.lanes_from > 0 && tiling.uses_lanes() ? memory[tiling.single] : memory[tiling.open];
    lists_ = memory[tiling.lists];
    ends_ = memory[tiling.ends];
    if (tiling.transforms_levels()) work_ = memory[tiling.work];
  }

  std::int64_t run(std::int64_t tile, const void* src, const void* given, const void* addend, void* dst) {
    tile_.streams = tiling_.streams() && reinterpret_cast<std::uintptr_t>(dst) % kLine == 0;
    if (place(tile)) load(src);
    if (tiling_.direct() && addend != dst) return finish_at_once(tile, src, addend, dst);
    const void* const needed = tile_.streams ? addend : dst;  // when the tile is stored
    if (tiling_.transforms_levels()) {
      multiply_transformed(0, nullptr);
    } else if (tiling_.winograd.empty()) {
      multiply_base(tile, src, needed);
    }
    for (const SkipWinogradBlocks& p : tiling_.winograd) multiply_base(tile, p, src, needed);
    const std::int64_t open = kernels_.decide(shape_, tile_, ending_, shared());
    if (tiling_.transforms_all()) multiply_transformed(shape_.src_chunk, tile_.open);
    if (tiling_.uses_lanes()) add_vectors();
    if (tiling_.uses_dots()) add_dots();
    finish(given, addend, dst);
    return open;
  }

  /// Whether a source that becomes levels held a NaN.
  bool has_nan() const { return has_nan_; }

 private:
  static constexpr std::int64_t kLine = 64;  ///< bytes of a cache's line

  void finish(const void* given, const void* addend, void* dst) const {
    if (tiling_.problem.levels.dst_count > 0) {
      const auto* const added = tiling_.problem.addend ? static_cast<const float*>(addend) : nullptr;
      skip_level_edges(tiling_.kind, tiling_.isa).store(shape_, tile_, ending_, added, static_cast<std::uint8_t*>(dst));
    } else if (tiling_.problem.dst.type == DataType::kBF16) {
      store<BFloat16, BFloat16>(given, addend, dst);
    } else if (tiling_.problem.dst.type == DataType::kU8) {
      store_or_widen<std::uint8_t>(given, addend, dst);
    } else {
      store_or_widen<float>(given, addend, dst);
    }
  }

  /// Returns whether the tile has other pixels than the last one, those that the patch holds.
  bool place(std::int64_t tile) {
    const std::int64_t part = tile % tiling_.parts, row = tile / tiling_.parts % tiling_.row_tiles,
                       image = tile / tiling_.parts / tiling_.row_tiles;
    tile_.image = image * tiling_.images;
    tile_.images = std::min(tiling_.images, tiling_.problem.dst.shape[kN] - tile_.image);
    tile_.row = row * tiling_.rows;
    tile_.rows = std::min(tiling_.rows, shape_.dst_height - tile_.row);
    tile_.vector = part * tiling_.part;
    tile_.end_vector = std::min(tile_.vector + tiling_.part, tiling_.vectors);
    tile_.pixels = tile_.images * tile_.rows * shape_.dst_width;
    const std::int64_t before = pixels_;
    pixels_ = tile / tiling_.parts;
    return pixels_ != before;
  }

  void multiply_base(std::int64_t tile, const void* src, const void* dst) {
    const SkipPixels all = all_pixels();
    for (std::int64_t v = tile_.vector; v < tile_.end_vector; ++v) {
      look_ahead(tile, v, src, dst);
      products_.multiply(shape_, tile_, v, vector(tiling_.base, v), all, false);
    }
  }

  /// Products of levels that stand so many units behind a pixel's first, by Winograd's algorithm; those that are open,
  /// unless it is null.
  void multiply_transformed(std::int64_t unit, const void* open) const {
    const std::int64_t channel = tile_.vector * kernels_.lanes, block = channel / LevelWinograd::kBlock;
    LevelShape shape;
    static_cast<PatchShape&>(shape) = shape_;
    shape.dst_channels = (tile_.end_vector - tile_.vector) * kernels_.lanes;
    shape.dst_height = tile_.rows;
    shape.dst_block = shape_.dst_pitch;
    LevelTile tile;
    tile.images = tile_.images;
    tile.rows = tile_.rows;
    tile.patch = static_cast<std::int32_t*>(tile_.patch) + unit;
    if (open != nullptr) open = &static_cast<const std::byte*>(open)[tile_.vector * tile_.pixels * kernels_.word];
    const auto* const weights = reinterpret_cast<const std::int32_t*>(weights_ + tiling_.transformed_weights);
    const std::int64_t of_block = tiling_.transforms.weights() / tiling_.transforms.dst_blocks;
    level_winograd_kernels(tiling_.isa)
        .sums(shape, tile, open, weights + block * of_block, work_, tile_.sums + channel);
  }

  /// Everything as if it were closed, and then what is open.
  std::int64_t finish_at_once(std::int64_t tile, const void* src, const void* addend, void* dst) {
    const TensorDesc& to = tiling_.problem.dst;
    SkipDirect direct{element(to, dst, tile_.image, 0, tile_.row, 0), nullptr};
    if (tiling_.problem.addend) direct.addend = element(to, addend, tile_.image, 0, tile_.row, 0);
    const SkipPixels all = all_pixels();
    for (std::int64_t v = tile_.vector; v < tile_.end_vector; ++v) {
      look_ahead(tile, v, src, dst);
      products_.finish_closed(shape_, tile_, ending_, v, vector(tiling_.base, v), all, direct);
    }
    std::int64_t open = 0;
    for_dots([&](std::int64_t o, const SkipDotOutputs& dot, const SkipPixel* list, std::int64_t count) {
      products_.finish_open(shape_, tile_, ending_, o, dot_of(dot, dot.whole_weights, o), list, count, direct);
      open += count;
    });
    return open;
  }

  void look_ahead(std::int64_t tile, std::int64_t v, const void* src, const void* dst) {
    tile_.ahead = starts_line(v) ? ahead(tile, v, src, dst) : SkipAhead{};
  }

  /// By Winograd's kernels.
  void multiply_base(std::int64_t tile, const SkipWinogradBlocks& p, const void* src, const void* dst) const {
    const std::int64_t each = WinogradShape::kBlock / kernels_.lanes, first = std::max(p.first, tile_.vector / each),
                       end = std::min(p.first + p.count, tile_.end_vector / each);
    if (first >= end) return;
    const auto of_block = [&](std::int64_t block) { return ahead(tile, block * each, src, dst); };
    const SkipAhead own = of_block(p.first), next = of_block(std::min(p.first + 1, end - 1)), last = of_block(end - 1);
    const WinogradAhead soon{own.src, own.dst, own.src_pitch, next.src - own.src, own.dst_pitch, next.dst - own.dst};
    const WinogradShape s = tiling_.winograd_shape(p, tile_.images, tile_.rows);
    const float* const patch = static_cast<const float*>(tile_.patch) + shape_.row_pitch() + shape_.pitch +
                               WinogradShape::kBlock * p.first_src;
    winograd_kernels<float>(tiling_.isa)
        .convolve(s, {0, s.groups(), first - p.first, end - p.first, last.src == nullptr ? nullptr : &soon}, patch,
                  weights_ + p.weights, {}, tile_.sums + WinogradShape::kBlock * p.first);
  }

  /// Whether a vector's memory is no other one's cache lines.
  bool starts_line(std::int64_t vector) const {
    const TensorDesc &from = tiling_.problem.src, &to = tiling_.problem.dst;
    return vector * kernels_.lanes % from.block * std::max(size_of(from.type), size_of(to.type)) % kLine == 0;
  }

  /// `dst`: null if the tile will need nothing but its sums.
  SkipAhead ahead(std::int64_t tile, std::int64_t vector, const void* src, const void* dst) const {
    const TensorDesc &from = tiling_.problem.src, &to = tiling_.problem.dst;
    const std::int64_t channel = vector * kernels_.lanes, next = tile / tiling_.parts + 1;
    const std::int64_t from_bytes = size_of(from.type), to_bytes = size_of(to.type);
    const bool one_block = from.block == from.shape[kC] && to.block == to.shape[kC];
    if (from.shape[kH] != to.shape[kH] || from.shape[kW] != to.shape[kW] || channel >= from.shape[kC] ||
        next >= tiling_.image_tiles * tiling_.row_tiles || (tiling_.images > 1 && !one_block)) {
      return {};
    }
    const std::int64_t image = next / tiling_.row_tiles * tiling_.images, row = next % tiling_.row_tiles * tiling_.rows;
    const auto* const from_here = static_cast<const char*>(element(from, src, image, channel, row, 0));
    if (dst == nullptr) return {from_here, from_here, from.block * from_bytes, 0};
    const auto* const to_here = static_cast<const char*>(element(to, dst, tile_.image, channel, tile_.row, 0));
    return {from_here, to_here, from.block * from_bytes, to.block * to_bytes};
  }

  void load(const void* src) {
    if (tiling_.levels()) {
      has_nan_ |= split(skip_level_edges(tiling_.kind, tiling_.isa), src);
      return;
    }
    if (tiling_.problem.src.type == DataType::kBF16) {
      load_as(static_cast<const BFloat16*>(src));
    } else if (tiling_.problem.src.type == DataType::kU8) {
      load_as(static_cast<const std::uint8_t*>(src));
    } else {
      load_as(static_cast<const float*>(src));
    }
  }
  bool split(const SkipLevelEdges& edges, const void* src) const {
    const auto step = static_cast<float>(tiling_.problem.levels.step);
    if (tiling_.problem.src.type == DataType::kU8)
      return edges.split_bytes(shape_, tile_, step, static_cast<const std::uint8_t*>(src));
    return edges.split(shape_, tile_, range_, step, static_cast<const float*>(src));
  }
  template <class T>
  void load_as(const T* src) const {
    const SkipLoads<T>& loads = skip_loads<T>(tiling_.isa);
    (tiling_.int8() ? loads.int8 : loads.floats)(shape_, tile_, src);
  }

  SkipVector vector(const std::vector<SkipVectorWeights>& vectors, std::int64_t index) const {
    const SkipVectorWeights& v = vectors[static_cast<std::size_t>(index)];
    return {tiling_.ranges.data() + v.first_range, v.range_count, v.units, v.spread, v.quads, weights_ + v.weights};
  }

  std::int64_t shared() const {
    switch (tiling_.problem.granularity) {
      case Granularity::kElement:
        return 0;
      case Granularity::kSlice:
        return 16 / kernels_.lanes;
      case Granularity::kPixel:
        return tiling_.vectors;
      case Granularity::kChannel:
        assert(false);  // a tile cannot decide
        break;
    }
    return 0;
  }

  SkipPixels all_pixels() const {
    const auto& list = tiling_.rest;
    // A list of whole rows: what a smaller tile has of it stands in front.
    const auto count =
        tiling_.pixels() == 0 ? 0 : static_cast<std::int64_t>(list.size()) * tile_.pixels / tiling_.pixels();
    return {tiling_.run_columns, list.data(), count};
  }

  void add_vectors() {
    for (std::int64_t v = tile_.vector; v < tile_.end_vector; ++v) {
      SkipPixels pixels = all_pixels();
      if (tiling_.problem.lanes_from > 0) {
        pixels = {0, lists_, kernels_.split(tile_, v, tiling_.problem.lanes_from, lists_)};
      }
      products_.multiply(shape_, tile_, v, vector(tiling_.conditional, v), pixels, true);
    }
  }

  void add_dots() {
    for_dots([&](std::int64_t o, const SkipDotOutputs& dot, const SkipPixel* list, std::int64_t count) {
      products_.dot(shape_, tile_, o, dot_of(dot, dot.weights, o), list, count);
    });
  }

  /// One of the outputs whose weights begin at `weights`.
  SkipDot dot_of(const SkipDotOutputs& dot, std::int64_t weights, std::int64_t o) const {
    const std::int64_t size = dot.vector_count * kernels_.lanes;
    return {tiling_.offsets.data() + dot.first_offset, dot.vector_count, weights_ + weights + (o - dot.first) * size};
  }

  /// Calls step(output, weights, pixels, their number) for what is computed one by one.
  template <class Step>
  void for_dots(Step&& step) {
    const std::int64_t lanes = kernels_.lanes;
    std::int64_t count = 0;
    for (std::int64_t v = tile_.vector; v < tile_.end_vector; ++v) {
      std::int32_t* const ends = ends_ + v * lanes;
      kernels_.list(tile_, v, tile_.single, lists_ + count, ends);
      for (std::int64_t lane = 0; lane < lanes; ++lane) ends[lane] += static_cast<std::int32_t>(count);
      count = ends[lanes - 1];
    }
    const std::int64_t first = tile_.vector * lanes, end = tile_.end_vector * lanes;
    for (const SkipDotOutputs& dot : tiling_.dots) {
      for (std::int64_t o = std::max(first, dot.first); o < std::min(end, dot.end); ++o) {
        const std::int64_t begin = o == first ? 0 : ends_[o - 1];
        step(o, dot, lists_ + begin, ends_[o] - begin);
      }
    }
  }

  template <class T>
  void store_or_widen(const void* given, const void* addend, void* dst) const {
    const bool in_int8 = tiling_.problem.addend && tiling_.problem.addend->type == DataType::kU8;
    in_int8 ? store<T, std::uint8_t>(given, addend, dst) : store<T, float>(given, addend, dst);
  }
  template <class T, class A>
  void store(const void* given, const void* addend, void* dst) const {
    skip_store<T, A>(tiling_.isa)(shape_, tile_, ending_, static_cast<const T*>(given),
                                  tiling_.problem.addend ? static_cast<const A*>(addend) : nullptr,
                                  static_cast<T*>(dst));
  }

  const SkipTiling& tiling_;
  const SkipKernels& kernels_;
  const SkipProducts& products_;
  const SkipShape& shape_;
  const float* const weights_;
  const SkipEnding& ending_;
  const LevelRange range_;
  bool has_nan_ = false;
  SkipTile tile_;
  SkipPixel* lists_ = nullptr;
  std::int32_t* ends_ = nullptr;
  std::int32_t* work_ = nullptr;
  std::int64_t pixels_ = -1;  ///< which the patch holds
};

/// Copies numbers by channel up to whole vectors; null is `otherwise`, and so is what lies behind the channels.
float* padded(const float* values, float otherwise, std::int64_t channels, std::int64_t count, float* to) {
  std::fill_n(to, count, otherwise);
  if (values != nullptr) std::copy_n(values, channels, to);
  return to;
}

/// The constants in the units of sums and results, in `memory`.
SkipEnding ending_of(const SkipTiling& tiling, const float* packed, const SkipConstants& constants, float* numbers) {
  const std::int64_t channels = tiling.shape.dst_channels, count = tiling.vectors * tiling.kernels.lanes;
  int rows = 0;
  const auto copy = [&](const float* values, float otherwise) {
    return padded(values, otherwise, channels, count, numbers + tiling.number_row * rows++);
  };
  SkipEnding ending;
  float* const limit = copy(constants.gate.limit, 0);
  float* const slope = copy(constants.gate.slope, 0);
  float* const open_scale = copy(constants.open_scale, 1);
  float* const closed_scale = copy(constants.closed_scale, 1);
  float* const open_shift = copy(constants.open_shift, 0);
  float* const closed_shift = copy(constants.closed_shift, 0);
  if (tiling.int8()) {  // sums count in products of levels
    const float* const weight_scales = packed + tiling.weights;
    for (std::int64_t o = 0; o < channels; ++o) {
      const float scale = tiling.problem.src_scale * weight_scales[o];
      limit[o] /= scale;
      slope[o] *= scale;
      open_scale[o] *= scale;
      closed_scale[o] *= scale;
    }
  }
  if (tiling.levels()) {  // or of the levels of both
    const bool alone = tiling.problem.granularity == Granularity::kElement;
    for (std::int64_t o = 0; o < channels; ++o) {
      limit[o] = alone ? level_limit(limit[o], constants.unit) : limit[o] / constants.unit;  // scores count in levels
      open_scale[o] *= constants.unit;
      closed_scale[o] *= constants.unit;
    }
  }
  ending.limit = limit;
  ending.slope = slope;
  ending.open_scale = open_scale;
  ending.open_shift = open_shift;
  ending.closed_scale = closed_scale;
  ending.closed_shift = closed_shift;
  ending.differ = constants.closed_scale != constants.open_scale || constants.closed_shift != constants.open_shift;
  ending.low = tiling.problem.low;
  ending.high = tiling.problem.high;
  if (tiling.problem.addend && tiling.problem.addend->type == DataType::kU8)
    ending.addend_scale = tiling.problem.addend->scale;
  if (tiling.levels()) {
    ending.high = std::min(ending.high, constants.most);
    ending.levels = {constants.dst_scale, static_cast<float>(tiling.problem.levels.dst_count)};
  } else if (tiling.problem.dst.type == DataType::kU8) {  // results count in levels
    const float per_level = 1 / tiling.problem.dst.scale;
    for (float* const row : {open_scale, open_shift, closed_scale, closed_shift}) {
      for (std::int64_t o = 0; o < channels; ++o) row[o] *= per_level;
    }
    ending.addend_scale *= per_level;
    ending.low = std::max(ending.low * per_level, 0.0F);
    ending.high = std::min(ending.high * per_level, static_cast<float>(kMostInt8Level));
  }
  return ending;
}

}  // namespace

SkipConv::SkipConv(const SkipProblem& problem, Isa isa) : tiling_(std::make_shared<SkipTiling>(problem, isa)) {}

bool SkipConv::transforms_levels(const SkipProblem& p) {
  const std::int64_t inputs = p.src.shape[kC];
  return p.levels.count > 0 && level_winograd_fits(p.geometry, p.levels.count, p.levels.weight_count, inputs) &&
         level_winograd_pays(inputs, p.dst.shape[kH], p.dst.shape[kW]);
}

int SkipConv::lanes(Isa isa) {
  return static_cast<int>(skip_kernels(isa).lanes);
}

std::string SkipConv::kernel() const {
  const char* const name = tiling_->transforms_levels() ? ":levels:wino"
                           : tiling_->levels()          ? (tiling_->places == 4 ? ":levels:bytes" : ":levels")
                           : tiling_->int8()            ? ":int8"
                           : tiling_->winograd.empty()  ? ""
                                                        : ":wino";
  return concat("skip:", to_string(tiling_->isa), name);
}

std::int64_t SkipConv::packed_count() const {
  return tiling_->weights + (tiling_->int8() ? tiling_->shape.dst_channels : 0);
}

void SkipConv::book(Scratch refresh, Scratch forward) {
  plain_ = refresh.book<float>(tiling_->plain_count);
  numbers_ = forward.book<float>(SkipTiling::kNumbers * tiling_->number_row);
  pieces_ = forward.blocks(tiling_->piece, tiling_->pieces);
}

bool SkipConv::transforms() const {
  return tiling_->transforms_levels();
}

bool SkipConv::takes_products() const {
  return tiling_->problem.lanes_from == SkipProblem::kGiven;
}

std::int64_t SkipConv::run(const Memory& memory, const void* src, const float* packed, const SkipConstants& constants,
                           const void* addend, void* dst, const void* given) const {
  const SkipTiling& tiling = *tiling_;
  const SkipEnding ending = ending_of(tiling, packed, constants, memory[numbers_]);
  std::atomic<std::int64_t> open{0};
  std::atomic<bool> has_nan{false};
  parallel_for(tiling.pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      Worker worker(tiling, packed, ending, constants.src_scale, memory.block(pieces_, piece));
      std::int64_t own = 0;
      const std::int64_t tiles = tiling.tiles();
      for (std::int64_t tile = tiles * piece / tiling.pieces; tile < tiles * (piece + 1) / tiling.pieces; ++tile) {
        own += worker.run(tile, src, given, addend, dst);
      }
      open += own;
      if (worker.has_nan()) has_nan = true;
    }
  });
  if (has_nan) spread_nans({tiling.problem.src, const_cast<void*>(src)}, {tiling.problem.dst, dst});
  return open;
}

}  // namespace sluice
