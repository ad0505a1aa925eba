// A convolution with filters of one pixel in int8, by kernels of ours: the product of a matrix of pixels with one of
// weights, as layers/int8_convolution.hpp defines it, with bias, normalisation, addition, clip and the result's levels
// on the way out.
#pragma once

#include <string>

#include "core/base/cpu.hpp"
#include "core/graph/slots.hpp"
#include "core/graph/tensor.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/epilogue.hpp"
#include "layers/kernels/byte_kernels.hpp"

namespace sluice {

class Int8Product {
 public:
  struct Problem {
    ConvGeometry geometry;
    TensorDesc src;     ///< in int8
    TensorDesc dst;     ///< in int8 or floats
    TensorDesc addend;  ///< of an epilogue that adds: in int8 or floats
    Epilogue epilogue;  ///< with the clip in the result's levels, and within them, where it is in int8
  };
  /// What comes with each run.
  struct Operands {
    const float* scale = nullptr;  ///< by output channel, padded() of them
    const float* shift = nullptr;  ///< the same; both of the result's levels, unless floats are added
    const void* addend = nullptr;  ///< may be the result's memory, where it has its type
  };

  Int8Product() = default;
  explicit Int8Product(const Problem& problem, Isa isa = cpu_isa());
  /// Filters of one pixel without groups, whose inputs are whole units of four, over channels that lie together.
  static bool fits(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst);

  std::string kernel() const;
  /// Scales and shifts that a run takes, whatever stands behind the last channel.
  std::int64_t padded() const { return blocks_ * products_->outputs; }
  /// To be called once, before what follows.
  void book(SlotBook& book);
  /// `levels` of the weights, O x I.
  void pack(const Memory& memory, const float* levels) const;
  void run(const Memory& memory, const void* src, const Operands& operands, void* dst) const;

 private:
  std::int64_t inputs() const { return problem_.src.shape[kC]; }
  std::int64_t outputs() const { return problem_.dst.shape[kC]; }
  std::int64_t units() const { return inputs() / 4; }
  void pack_block(const Memory& memory, const float* levels, std::int64_t block) const;
  const std::uint8_t* row(const void* src, std::int64_t index) const;
  void multiply(const ByteRows& rows, const ByteWeights& weights, const ByteEnding& ending, std::int64_t block,
                void* dst) const;

  Problem problem_;
  Isa isa_ = Isa::kPortable;
  const ByteProducts* products_ = nullptr;
  std::int64_t blocks_ = 0;
  Slot<std::int32_t> weights_, places_, pairs_;  ///< by block
};

/// What a run's operands say to kernels, of all outputs.
ByteEnding ending_of(const Int8Product::Problem& problem, const Int8Product::Operands& operands);

}  // namespace sluice
