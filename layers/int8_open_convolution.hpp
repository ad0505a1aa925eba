// The convolution of the channels that are open in an image, or of all, in int8 (layers/kernels/open_byte_kernels.hpp):
// products as layers/int8_convolution.hpp defines them, and what layers/int8_product.hpp does on the way out.
#pragma once

#include <string>

#include "layers/int8_product.hpp"
#include "layers/kernels/open_byte_kernels.hpp"
#include "layers/open_convolution.hpp"

namespace sluice {

class Int8OpenConvolution {
 public:
  struct Problem {
    Int8Product::Problem product;
    bool closes_inputs = false, closes_outputs = false;  ///< neither: all channels are open
  };

  /// No groups, NHWC, both widths multiples of 16; where outputs are closed the result is floats, and nothing is added.
  static bool fits(const Problem& problem);

  /// Made for the threads there are now.
  explicit Int8OpenConvolution(const Problem& problem, Isa isa = cpu_isa());
  std::string kernel() const;
  /// Kept memory for the weights, and scratch memory of `run`. To be called once, before these.
  void book(SlotBook& book, Scratch forward);
  /// `levels` of the weights, O x I x KH x KW.
  void pack(const Memory& memory, const float* levels) const;
  /// `operands`: of all outputs. Same bits as where everything is computed, and with any number of threads.
  void run(const Memory& memory, const void* src, const OpenFactors& factors, const Int8Product::Operands& operands,
           void* dst) const;

 private:
  bool closes() const { return problem_.closes_inputs || problem_.closes_outputs; }
  std::int64_t inputs() const { return problem_.product.src.shape[kC]; }
  std::int64_t outputs() const { return problem_.product.dst.shape[kC]; }
  std::int64_t taps() const { return shape_.kernel * shape_.kernel; }
  void cut(std::int64_t threads);
  void book_piece();
  void pack_quads(const Memory& memory, const float* levels) const;
  OpenByteWeights weights(const Memory& memory) const;
  OpenByteMemory memory_of(const Memory& piece) const;
  void run_part(const OpenByteImage& image, std::int64_t part, const OpenByteMemory& own) const;

  Problem problem_;
  Isa isa_;
  DirectShape shape_;                               ///< of one image
  std::int64_t rows_ = 0, parts_ = 0, pieces_ = 0;  ///< of a part; of an image; of work that may run side by side
  Slot<std::uint8_t> bytes_;
  Slot<std::int32_t> quads_, quad_places_, pairs_;
  Blocks piece_memory_;
  SlotBook piece_;
  Slot<std::int32_t> inputs_, outputs_, input_starts_, output_starts_, places_, units_, row_;
  Slot<std::uint8_t> picks_, patch_;
  Slot<const std::uint8_t*> pixels_;
  Slot<float> scale_, shift_, dst_;
};

}  // namespace sluice
