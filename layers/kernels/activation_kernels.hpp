// Activations beside relu and clip, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

struct Activation {
  enum class Function {
    kLeakyRelu,    ///< x where x > 0, else slope x (Maas et al. 2013); at 0 the gradient is that of the left side
    kSigmoid,      ///< 1 / (1 + exp(-x))
    kHardSigmoid,  ///< relu6(x + 3) / 6 (Howard et al. 2019); at both ends of the slope the gradient is 0
    kHardSwish,    ///< x hard_sigmoid(x) (Howard et al. 2019)
    kSilu          ///< x sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118)
  };
  Function function = Function::kSilu;
  float slope = 0;
};

/// Kernels over flat arrays; dst may be src, and diff_src may be diff_dst. A NaN goes through.
template <class T>
struct ActivationKernels {
  void (*forward)(Activation, std::int64_t n, const T* src, T* dst);
  void (*backward)(Activation, std::int64_t n, const T* src, const T* diff_dst, T* diff_src);
};

template <class T>
const ActivationKernels<T>& activation_kernels(Isa isa = cpu_isa());

}  // namespace sluice
