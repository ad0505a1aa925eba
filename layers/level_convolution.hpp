// A dense convolution of levels in inference: whole numbers in 16 bits or in bytes, batch normalisation, addition,
// activation and the levels of the next layer on the way out.
//
//   dst = clip(scale[o] * conv(levels of src, levels of weight) + shift[o] + addend)
// Sums are exact, and every step behind them is rounded to fp32: so any build of the kernels gives the same bits as
// QuantizedConvolution does. Source and result are in fp32, or in levels (OpRequest::dst_levels).
#pragma once

#include <memory>
#include <string>

#include "core/base/cpu.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/epilogue.hpp"
#include "layers/kernels/level_kernels.hpp"
#include "layers/level_winograd.hpp"
#include "layers/quantizer.hpp"

namespace sluice {

/// Of how many units of four products each, in bytes, sums of two fit 16 bits, for so many levels on each side of 0.
/// They are worth it from 3 on, a row of a filter 3x3; 0: they are no bytes.
std::int64_t level_quads_together(std::int64_t source_levels, std::int64_t weight_levels);

struct LevelProblem {
  ConvGeometry geometry;
  Quantizer source, weights;
  TensorDesc src, dst;
  bool src_nonnegative = false;
  int dst_levels = 0;
  bool winograd = false;  ///< by Winograd's algorithm; see LevelConvolution::winograd_fits
  Epilogue epilogue;
};

class LevelConvolution {
 public:
  /// What comes with each run. Scales and shifts by channel, padded() of them, whatever stands behind the last one.
  struct Operands {
    float src_scale = 1;
    const float* scale = nullptr;
    const float* shift = nullptr;
    const void* addend = nullptr;
    const float* bound = nullptr;      ///< Context::bound
    const float* dst_scale = nullptr;  ///< Context::dst_scale
  };

  LevelConvolution() = default;
  /// Made for the threads there are now.
  explicit LevelConvolution(const LevelProblem& problem, Isa isa = cpu_isa());

  /// Whether there are levels of both sides, whose sums are exact in fp32, and no groups.
  static bool fits(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src);
  /// Whether Winograd's algorithm gives the same sums, and may be faster.
  static bool winograd_fits(const LevelProblem& problem);

  std::string kernel() const;
  std::int64_t padded() const { return vectors_ * products_->lanes; }
  /// To be called once, before what follows.
  void book(SlotBook& book, Scratch forward);
  /// `levels` of the weights, O x I x KH x KW.
  void pack(const Memory& memory, const float* levels) const;
  /// Where an image's source holds what is no number, so is its whole result. Allocates nothing.
  void run(const Memory& memory, const void* src, const Operands& operands, void* dst) const;

 private:
  std::int64_t places() const { return units_ == LevelUnits::kQuads ? 4 : 2; }  ///< channels of a unit
  void make_shape();
  void make_tiles();
  std::int64_t patch_units(std::int64_t images, std::int64_t rows) const {
    return images * shape_.src_rows(rows) * shape_.row_pitch();
  }
  LevelTile tile(std::int64_t index) const;
  LevelEnding ending(const Operands& operands) const;
  /// Makes the patch; returns whether there is what is no number.
  bool load(const LevelTile& tile, const void* src, float src_scale) const;
  void multiply(const LevelTile& tile, const std::int32_t* weights, const LevelEnding& ending, void* dst) const;
  void multiply_winograd(const LevelTile& tile, const std::int32_t* weights, const LevelEnding& ending,
                         std::int32_t* work, void* dst) const;

  LevelProblem problem_;
  Isa isa_ = Isa::kPortable;
  LevelUnits units_ = LevelUnits::kPairs;
  const LevelLoads* loads_ = nullptr;
  const LevelProducts* products_ = nullptr;
  LevelShape shape_;
  LevelWinograd winograd_;              ///< empty unless it is by that
  std::int64_t vectors_ = 0;            ///< of outputs
  std::int64_t vector_units_ = 0;       ///< weights of one
  std::int64_t images_ = 1, rows_ = 0;  ///< of a tile
  std::int64_t tiles_ = 0, row_tiles_ = 0, pieces_ = 0;
  Slot<std::int32_t> packed_;
  SlotBook piece_;  ///< of work that may run beside others
  Slot<std::byte> patch_;
  Slot<std::int32_t> work_;  ///< of Winograd's algorithm
  Blocks blocks_;
};

}  // namespace sluice
