// Convolutions of signs by exclusive or and population count, built once for each instruction set and chosen at run
// time.
//
// The numbers of a pixel are bits, in two planes: of level 2 h + l, with h and l of -1 or 1, the one has h, the other
// l, as a bit that is set where they are 1. A sum of products with weights of -1 and 1 is the number of terms less
// twice the number of bits that differ. Pixels outside the image are bits that are not set; what they add too much is
// in the sums' first terms (SignPixel::first).
#pragma once

#include <cstdint>
#include <string>

#include "core/base/cpu.hpp"

namespace sluice {

/// How the products of the low plane are computed where gates are open.
enum class SignWay {
  kDots,   ///< one by one
  kLanes,  ///< vectors of outputs, unless all of them are closed
  kAll,    ///< all vectors
  kNone    ///< not at all: sums of the high plane
};

struct SignShape {
  static constexpr std::int64_t kMostWords = 512, kMostOutputs = 2048;

  std::int64_t channels = 0;              ///< of the source
  std::int64_t pixel_words = 0;           ///< of 64 bits, of a pixel in a plane
  std::int64_t taps = 0;                  ///< of a filter
  const std::int64_t* offsets = nullptr;  ///< by tap: words from the first one of a pixel
  std::int64_t words = 0;                 ///< of all taps' channels, one behind the other; at most kMostWords
  std::int64_t outputs = 0;               ///< at most kMostOutputs
  std::int64_t padded = 0;                ///< outputs in whole vectors, of at most 8 words
};

struct SignWeights {
  /// By vector of outputs: word by word (SignKernels::splits of them), of each of its outputs.
  const std::uint64_t* lanes = nullptr;
  const std::uint64_t* plain = nullptr;  ///< by output
  const std::int32_t* limit = nullptr;   ///< by output, padded: open where twice the sum of the high plane is above it
};

/// One pixel of the result: where its first tap stands in both planes, and what its sums start with, by output.
struct SignPixel {
  const std::uint64_t *high = nullptr, *low = nullptr;
  const std::int32_t* first = nullptr;
};

struct SignKernels {
  static constexpr int kPixels = 4;  ///< that multiply takes at a time

  int lanes;  ///< outputs in a vector: words of one
  /// Words that one word of SignWeights::lanes stands as: 1, or 2, the low and the high halves of its bytes, which need
  /// not be taken apart then.
  int splits;
  /// The bits of a row of pixels: levels -3, -1, 1 and 3 of numbers as the bipolar quantiser rounds them. Pixels are
  /// `pixel` floats apart, blocks of `block` channels `plane` floats. True where there is a NaN.
  bool (*pack)(const SignShape&, std::int64_t pixels, std::int64_t pixel, std::int64_t block, std::int64_t plane,
               const float* src, std::uint64_t* high, std::uint64_t* low);
  /// Sums of levels of up to kPixels pixels: 2 H + d L, d = 1 where the gate is open, H and L the sums of both planes.
  /// `sums`: kPixels x padded. Returns how many gates are open.
  std::int64_t (*multiply)(const SignShape&, const SignWeights&, const SignPixel* pixels, int count, SignWay,
                           float* sums);
};

/// Of an instruction set; that of AVX-512 counts by VPOPCNTDQ where the processor has it.
const SignKernels& sign_kernels(Isa isa = cpu_isa());
/// "popcount:avx2", "popcount:avx512_vpopcntdq"
std::string sign_kernel_name(Isa isa = cpu_isa());

}  // namespace sluice
