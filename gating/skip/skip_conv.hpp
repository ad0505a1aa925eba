// The convolution of a channel-gated layer in inference: the base product everywhere, the conditional one only where a
// gate is open.
//
// One tile of the image goes through, piece by piece of the work, each in memory of its own:
//
//   source image
//      | load              rows that the tile needs, channels in the order of the paths    kernels/skip_kernels_edges
//      v
//   patch
//      | base              Yp for every output: direct, or by Winograd's algorithm         kernels/skip_products_*
//      v
//   sums
//      | gate              (Yp - limit) slope > 0                                          kernels/skip_kernels
//      v
//   words of open gates -> lists of open pixels, or whole vectors of outputs
//      | completion        Yr where gates are open alone                                   kernels/skip_products_*
//      v
//   sums
//      | epilogue          scale and shift of open or closed, addend, clip                 kernels/skip_kernels_edges
//      v
//   result
//
// skip_tiling.hpp says how it is cut, skip_path.hpp which of the ways to complete is taken.
//
// For image n, output channel o and pixel (h, w), with the base product Yp and the conditional one Yr
// (gating/path_mask.hpp):
//   d = 1 where the mean of (Yp - limit[o]) slope[o] over the decision's channels is above 0, else 0
//   y = d ? open_scale[o] (Yp + Yr) + open_shift[o] : closed_scale[o] Yp + closed_shift[o]
//   dst = clip(y + addend, low, high)
// All arithmetic is fp32, whatever the activations are. Base products of 3x3 filters at stride 1 come from Winograd's
// algorithm (layers/kernels/winograd_kernels.hpp) where it saves time, which depends on the batch too: a gate within
// rounding of its limit may then differ. Or, with a scale for the source, the products are those of int8,
//   src ~ src_scale * round(src / src_scale), levels 0 to 127,   W[o] ~ scale[o] * round(W[o] / scale[o]), -127 to 127,
// with scale[o] = max |W[o]| / 127: their sums are exact (and in fp32, where they are kept, up to 2^24). (Seven bits of
// the source: two products then fit the 16 bits in which AVX2 adds pairs of them, so that every processor gives the
// same sums.)
//
// Precision gating (SkipLevels) takes its two paths from the bits of the source instead: Yp is the product of its
// levels with their high bits alone, and an open output becomes the product of all levels. The weights are whole
// numbers too, and as long as sums stay below 2^24 every way, and any processor, gives the same ones. Behind them
//   d = 1 where Yp unit > limit[o] (or the mean of that), and unit (sum) takes the place of Yp and of Yp + Yr.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "core/base/cpu.hpp"
#include "gating/gate.hpp"
#include "gating/path_mask.hpp"
#include "layers/convolution.hpp"

namespace sluice {

/// The source of precision gating (layers/kernels/quantize_kernels.hpp).
struct SkipLevels {
  std::int64_t count = 0;  ///< its levels on each side of 0, below 2^15; 0: channel gating is meant
  std::int64_t step = 1;   ///< a power of 2: base products see multiples of it
  /// Above 0: the result is in so many levels of the next layer (kU8), as OpRequest::dst_levels. (A source in kU8 is
  /// levels.)
  int dst_count = 0;
  /// Levels of the weights on each side of 0, and whether the source holds no number below 0: few of both fit bytes.
  std::int64_t weight_count = std::numeric_limits<std::int16_t>::max();
  bool nonnegative = false;
};

struct SkipProblem {
  /// SkipProblem::lanes_from for scalar products alone: no vector has so many open lanes.
  static constexpr int kNever = 1 << 20;
  /// SkipProblem::lanes_from for nothing: another convolution has made Yp + Yr for all outputs. (Not for int8.)
  static constexpr int kGiven = -1;

  ConvGeometry geometry;  ///< no groups
  TensorDesc src, dst;    ///< fp32, bf16 or int8 (TensorDesc::scale), each by itself
  PathMask paths;         ///< of channel gating
  SkipLevels levels;      ///< of precision gating: source and result are fp32 or levels, an addend is fp32
  Granularity granularity = Granularity::kElement;
  float src_scale = 0;         ///< above 0: products of int8, for a source without numbers below 0; one in int8 has it
  bool allow_winograd = true;  ///< for base products of floats, where it is faster: their sums round otherwise
  /// Of precision gating, where SkipConv::transforms_levels: whole vectors of products, of the high bits and of all, by
  /// Winograd's algorithm in whole numbers, to the same sums.
  bool transforms_levels = false;
  std::optional<TensorDesc> addend;  ///< that run gets: like dst, or one of the two is in int8 and the other in fp32
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  /// How open outputs are computed. Outputs of a pixel lie in vectors of SkipConv::lanes channels; a vector with at
  /// least so many open gates is computed as a whole, what is open in others one by one. kNever: all one by one; 1:
  /// whole vectors, unless all are closed; 0: everything, and closed outputs are dropped (for high densities); kGiven.
  int lanes_from = kNever;
};

/// Numbers by output channel, at least as many as there are channels. Null scales are 1, null shifts 0; slopes matter
/// to shared decisions only.
struct SkipConstants {
  GateConstants gate;
  const float* open_scale = nullptr;
  const float* open_shift = nullptr;
  const float* closed_scale = nullptr;
  const float* closed_shift = nullptr;
  float most = std::numeric_limits<float>::infinity();  ///< a second upper bound
  // Of precision gating: the scale of the source, what 1 of a sum of products of levels stands for, and the scale of a
  // result in levels.
  float src_scale = 1, unit = 1, dst_scale = 1;
};

struct SkipTiling;

class SkipConv {
 public:
  SkipConv() = default;
  /// Made for the threads there are now.
  explicit SkipConv(const SkipProblem& problem, Isa isa = cpu_isa());

  static constexpr std::int64_t kMostWidth = 1 << 16;  ///< of results: a tile's pixels have numbers of 16 bits

  /// Channels in a vector of an instruction set: 4, 8 or 16.
  static int lanes(Isa isa = cpu_isa());

  static bool transforms_levels(const SkipProblem& problem);

  /// Name of the kernels, for the layer table.
  std::string kernel() const;
  std::int64_t packed_count() const;  ///< floats of packed weights
  /// Scratch memory of pack and of run. To be called once, before these.
  void book(Scratch refresh, Scratch forward);
  /// `weights`: plain fp32, O x I x KH x KW, of both paths (or levels, below 2^15). What comes out serves all problems
  /// that differ in lanes_from (with shared decisions up to 1), types, adds and clips alone, made for as many threads.
  void pack(const Memory& memory, const float* weights, float* packed) const;
  /// Whether it is by SkipProblem::transforms_levels.
  bool transforms() const;
  /// Whether run needs `given` (SkipProblem::kGiven).
  bool takes_products() const;
  /// Returns how many of the outputs are open. `addend` may be `dst` if both have the same type; `dst` must not overlap
  /// `src`. `given`: Yp + Yr of all outputs, like dst (which is not in int8), for kGiven alone; without it open
  /// outputs are Yp. Allocates nothing.
  std::int64_t run(const Memory& memory, const void* src, const float* packed, const SkipConstants& constants,
                   const void* addend, void* dst, const void* given = nullptr) const;

 private:
  std::shared_ptr<const SkipTiling> tiling_;
  Slot<float> plain_;    ///< weights in pack, before Winograd's transform
  Slot<float> numbers_;  ///< by channel
  Blocks pieces_;        ///< memory of pieces of work
};

}  // namespace sluice
