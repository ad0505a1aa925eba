// Clamping to a learned bound, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// Kernels over flat arrays.
template <class T>
struct PactKernels {
  /// dst = min(max(src, 0), bound); a NaN goes through.
  void (*forward)(std::int64_t n, const T* src, T* dst, float bound);
  /// diff_src (unless null) = diff_dst where 0 <= src <= bound, else 0. Returns the sum of diff_dst where src > bound.
  double (*backward)(std::int64_t n, const T* src, const T* diff_dst, T* diff_src, float bound);
};

template <class T>
const PactKernels<T>& pact_kernels(Isa isa = cpu_isa());

}  // namespace sluice
