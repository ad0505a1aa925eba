// The convolution of precision gating with weights of one bit and a source of two, by population count: products of the
// high bits everywhere, those of the low bits where a gate is open.
//
//   source image
//      | pack              two planes of bits, zeros around the image       kernels/sign_kernels
//      v
//   planes
//      | multiply          a pixel's taps are gathered, whatever the number of channels, to whole words; the bits that
//      |                   differ from those of the weights are counted, and decide; then, for open outputs, those of
//      v                   the low plane
//   sums
//      | epilogue          scale, shift, addend and clip, row by row        layers/epilogue
//      v
//   result
//
// All sums are whole numbers, the same on every processor and in every way.
#pragma once

#include <vector>

#include "gating/kernels/sign_kernels.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/epilogue.hpp"

namespace sluice {

class SignConv {
 public:
  /// What comes with each run. Scales and shifts by channel, in whole groups of 16.
  struct Operands {
    const float* scale = nullptr;
    const float* shift = nullptr;
    const float* addend = nullptr;
    const float* bound = nullptr;  ///< Context::bound
  };

  SignConv() = default;
  /// Source, result and addend are in fp32.
  SignConv(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst, const Epilogue& epilogue,
           Isa isa = cpu_isa());

  /// Whether the sizes are those that the kernels are made for.
  static bool fits(const ConvGeometry& geometry, const Shape& src);

  /// To be called once, before what follows.
  void book(SlotBook& book, Scratch& forward);
  /// `levels` of the weights, O x I x KH x KW, -1 or 1. An output is open where the sum of its high bits, in levels of
  /// the source, is above its limit, a whole number; where that is a NaN it never is.
  void pack(const Memory& memory, const float* levels, const float* limits) const;
  /// Returns how many outputs are open. The results of an image that holds what is no number are none, either.
  /// Allocates nothing.
  std::int64_t run(const Memory& memory, const float* src, SignWay way, const Operands& operands, float* dst) const;
  /// 1 for outputs that were open in the last run, 0 for the others; like the result.
  void decisions(const Memory& memory, float* dst) const;

 private:
  /// Of the taps of rows (or columns) of results, a bit for each that lies outside the image; equal ones stand once.
  struct Outside {
    Outside() = default;
    Outside(const ConvGeometry& geometry, std::int64_t src_size, std::int64_t dst_size);
    std::vector<std::uint32_t> masks;
    std::vector<std::int32_t> of;  ///< by row: its mask
  };

  SignShape shape() const;
  bool pack_planes(const Memory& memory, const float* src) const;
  std::int64_t multiply_row(const Memory& memory, std::int64_t row, SignWay way, float* dst) const;
  void finish_row(std::int64_t row, const Operands& operands, float* dst) const;
  std::int64_t place(std::int64_t row, std::int64_t channel) const;

  ConvGeometry geometry_;
  TensorDesc src_, dst_;
  Epilogue epilogue_;
  const SignKernels* kernels_ = nullptr;
  SignShape shape_;
  std::vector<std::int64_t> offsets_;
  Outside rows_, columns_;
  std::int64_t pitch_ = 0, plane_rows_ = 0;  ///< of a plane: words of a row, rows of an image
  Slot<std::uint64_t> lanes_, plain_, high_, low_;
  Slot<std::int32_t> limit_, first_;
};

}  // namespace sluice
