// How a convolution that skips is cut into tiles, and where its weights and its memory lie.
#pragma once

#include <vector>

#include "gating/kernels/skip_kernels.hpp"
#include "gating/skip/skip_conv.hpp"
#include "layers/kernels/winograd_kernels.hpp"
#include "layers/level_winograd.hpp"

namespace sluice {

/// Weights of whole vectors over some ranges of units; one for each vector of outputs.
struct SkipVectorWeights {
  std::int64_t first_range = 0, range_count = 0, units = 0;
  bool spread = false, quads = false;
  std::int64_t weights = 0;  ///< their place among the packed ones
};

/// Base products by Winograd's algorithm, in blocks of 16 channels: outputs that read the same blocks of the patch.
struct SkipWinogradBlocks {
  std::int64_t first = 0, count = 0;          ///< blocks of outputs
  std::int64_t first_src = 0, src_count = 0;  ///< blocks of units
  std::int64_t weights = 0;                   ///< their place among the packed ones
};

/// Outputs one by one: those of consecutive channels whose weights lie in the same vectors of the patch, in one pass.
struct SkipDotOutputs {
  std::int64_t first = 0, end = 0;  ///< output channels
  std::int64_t first_offset = 0, vector_count = 0;
  std::int64_t weights = 0;        ///< of the conditional path
  std::int64_t whole_weights = 0;  ///< of both, if there are such
};

struct SkipTiling {
  SkipTiling(const SkipProblem& problem, Isa isa);

  SkipProblem problem;
  Isa isa;
  SkipUnits kind;
  const SkipKernels& kernels;
  const SkipProducts& products;
  SkipShape shape;
  std::int64_t places = 1;           ///< of channels in a unit
  std::vector<std::int64_t> inputs;  ///< by place of all units: the position of the input channel there, or -1
  std::vector<std::int32_t> order;   ///< SkipShape::order

  // Channels: which outputs share their base inputs.
  bool grouped = false;
  std::int64_t vectors = 0;  ///< of outputs

  // Tiles: all but the last ones have these sizes.
  std::int64_t images = 0, rows = 0, part = 0;  ///< part: vectors of outputs
  std::int64_t image_tiles = 0, row_tiles = 0, parts = 0;
  std::int64_t tiles() const { return image_tiles * row_tiles * parts; }
  std::int64_t pixels() const { return images * rows * shape.dst_width; }
  std::int64_t pieces = 0;  ///< of work that may run side by side

  // Pixels of a tile of full size: places in the patch, and those that are in no run.
  std::vector<std::int32_t> taps;
  std::vector<SkipPixel> rest;
  std::int64_t run_columns = 0;

  // Weights.
  std::vector<SkipRange> ranges;
  std::vector<SkipVectorWeights> base, conditional;
  std::vector<SkipWinogradBlocks> winograd;  ///< instead of `base`, where that is faster
  std::int64_t plain_count = 0;              ///< plain weights of the largest of them
  LevelWinograd transforms;                  ///< of levels; empty unless they are transformed
  std::int64_t transformed_weights = 0;      ///< their place among the packed ones
  std::vector<std::uint32_t> offsets;
  std::vector<SkipDotOutputs> dots;  ///< pass by pass
  bool whole_dots = false;           ///< have weights of both paths too
  std::int64_t weights = 0;          ///< units of all

  // Memory of one piece of work.
  SlotBook piece;
  Slot<std::byte> patch, open, single;
  Slot<float> sums;
  Slot<std::int32_t> work;  ///< of transforms
  Slot<SkipPixel> lists;
  Slot<std::int32_t> ends;
  static constexpr int kNumbers = 6;  ///< rows by channel: those of SkipEnding
  std::int64_t number_row = 0;        ///< floats of one

  bool int8() const { return kind == SkipUnits::kInt8; }
  bool levels() const { return kind == SkipUnits::kLevels || kind == SkipUnits::kLevelBytes; }
  // Input channels by position: of precision gating the source stands there twice, for the high bits and for all.
  std::int64_t positions() const { return levels() ? 2 * shape.src_channels : shape.src_channels; }
  std::int64_t base_inputs() const { return levels() ? shape.src_channels : problem.paths.base_inputs(); }
  bool is_base(std::int64_t output, std::int64_t input) const {
    return levels() ? input < shape.src_channels : problem.paths.is_base(output, input);
  }
  /// The patch holds a pixel's units and nothing else: vectors reach over several pixels.
  bool compact() const { return shape.wrap >= 0; }
  bool transforms_levels() const { return transforms.src_blocks > 0; }
  /// All products of a tile, those of levels by Winograd's algorithm.
  bool transforms_all() const { return transforms_levels() && problem.lanes_from == 0; }
  bool uses_lanes() const {
    return problem.lanes_from >= 0 && problem.lanes_from <= kernels.lanes && !transforms_all();
  }
  bool uses_dots() const { return problem.lanes_from > 1; }
  /// Results go where they belong at once.
  bool direct() const;
  /// Results may go past the caches.
  bool streams() const;
  /// A tile as Winograd's kernels see it.
  WinogradShape winograd_shape(const SkipWinogradBlocks& p, std::int64_t tile_images, std::int64_t tile_rows) const;

 private:
  void make_shape();
  void make_units();
  void make_order();
  std::int32_t shuffles() const;
  void make_winograd();
  void make_tiles();
  void set_tile(std::int64_t most_pixels, std::int64_t wanted_parts);
  double tile_cost() const;
  void make_pixels();
  void make_vectors();
  void make_dots();
  void make_whole_dots();
  void make_memory();
  bool winograd_halves() const;
  bool winograd_pays(const SkipWinogradBlocks& p) const;
  std::int64_t chunk_of(std::int64_t output) const { return grouped ? output / shape.dst_chunk : 0; }
  SkipVectorWeights make_vector(std::int64_t vector, bool is_base);
  std::int64_t pass_vectors() const;
};

}  // namespace sluice
