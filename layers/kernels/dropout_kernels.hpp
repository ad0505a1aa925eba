// Random bits of dropout and their use, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// The stream Random(seed, Purpose::kDropout, step, layer), 16 bits for each element: element i looks at the lower (i
/// even) or upper half of word i / 2, and stays where that is below `threshold`.
struct DropoutStream {
  std::uint64_t seed = 0, step = 0;
  std::uint32_t layer = 0;
  std::int32_t threshold = 0;  ///< 0 to 65536
};

/// Elements whose bits are drawn together: 16 blocks of Philox.
constexpr std::int64_t kDropoutGroup = 128;

struct DropoutBits {
  /// Bit i % 8 of byte i / 8 becomes 1 where element i stays. `bits` is that of group `begin`.
  void (*draw)(const DropoutStream&, std::int64_t begin, std::int64_t end, std::uint8_t* bits);
};

template <class T>
struct DropoutKernels {
  /// dst = scale * src where the bit is set, else 0. Vector v of 16 elements takes its bits from the two bytes at
  /// `bits`
  /// + v * stride.
  void (*apply)(std::int64_t n, const std::uint8_t* bits, std::int64_t stride, float scale, const T* src, T* dst);
};

const DropoutBits& dropout_bits(Isa isa = cpu_isa());
template <class T>
const DropoutKernels<T>& dropout_kernels(Isa isa = cpu_isa());

}  // namespace sluice
