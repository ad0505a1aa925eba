// Rounding to bipolar levels, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// From numbers to levels 2 k - count with k = round((x + 1) count / 2), ties to even, and x clamped to [-1, 1]: odd
/// whole numbers, of an odd count. A NaN stays one.
template <class T, class L>
struct BipolarKernels {
  void (*quantize)(std::int64_t n, const T* src, float count, L* levels);
  /// The same level as base + rest: with j = k modulo `step`, a power of two, rest = 2 j - (step - 1).
  void (*split)(std::int64_t n, const T* src, float count, float step, L* base, L* rest);
};

/// For float to float, float to BFloat16 and BFloat16 to BFloat16.
template <class T, class L>
const BipolarKernels<T, L>& bipolar_kernels(Isa isa = cpu_isa());

}  // namespace sluice
