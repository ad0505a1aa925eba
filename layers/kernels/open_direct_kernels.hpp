// Convolutions of any geometry, of the channels alone that are open in an image, built once for each instruction set
// and chosen at run time: sums of products, with pixels of a row in the lanes of a vector, so that any input and any
// output can be left out. The source's channels are put on planes of their own first, the columns apart that a strided
// filter reads together.
#pragma once

#include "layers/kernels/open_channel_kernels.hpp"

namespace sluice {

/// One image.
struct DirectShape {
  std::int64_t kernel = 0, stride = 1, pad = 0, dilation = 1;
  std::int64_t src_height = 0, src_width = 0, dst_height = 0, dst_width = 0;
  WinogradChannels src, dst;

  // The planes of so many rows of the result, for vectors of so many lanes.
  std::int64_t phases() const { return kernel == 1 ? 1 : stride; }
  std::int64_t src_rows(std::int64_t rows) const { return (rows - 1) * stride + (kernel - 1) * dilation + 1; }
  std::int64_t vectors(std::int64_t lanes) const { return (dst_width + lanes - 1) / lanes; }
  std::int64_t pitch(std::int64_t lanes) const {
    return (vectors(lanes) + ((kernel - 1) * dilation / stride + lanes - 1) / lanes) * lanes;
  }
  std::int64_t plane(std::int64_t rows, std::int64_t lanes) const { return phases() * src_rows(rows) * pitch(lanes); }
};

struct DirectKernels {
  static constexpr std::int64_t kVectors = 4;  ///< of pixels, that are multiplied together

  std::int64_t lanes;
  /// Rows of pixels, all their columns, in whose part `row` and `end_row` are pixels'. Memory: expanded: a plane for
  /// each channel of the source; products: [output][vectors of pixels, a multiple of kVectors]. Weights:
  /// [output][tap][channel].
  void (*convolve)(const DirectShape&, const OpenPart&, const OpenOperands&, const OpenMemory&);
};

const DirectKernels& direct_kernels(Isa isa = cpu_isa());

}  // namespace sluice
