// RPReLU over one channel group (layers/kernels/kernels.hpp), built once for each instruction set and chosen at run
// time.
#pragma once

#include "layers/kernels/kernels.hpp"

namespace sluice {

/// Numbers by channel: the parameters, or the sums of their gradients.
template <class Number>
struct RPReluParameters {
  Number *shift_x = nullptr, *slope = nullptr, *shift_y = nullptr;
};

/// See layers/rprelu.cpp. A NaN goes through.
template <class T>
struct RPReluKernels {
  /// dst may be src.
  void (*forward)(ChannelGroup, const RPReluParameters<const float>&, const T* src, T* dst);
  /// Writes diff_src, unless it is null, and adds to `sums`.
  void (*backward)(ChannelGroup, const RPReluParameters<const float>&, const T* src, const T* diff_dst, T* diff_src,
                   const RPReluParameters<double>& sums);
};

template <class T>
const RPReluKernels<T>& rprelu_kernels(Isa isa = cpu_isa());

}  // namespace sluice
