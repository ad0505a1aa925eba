// The kernel tables that each instruction set's build defines.
#pragma once

#include "layers/kernels/kernels.hpp"

#define SLUICE_DECLARE_TABLES(isa)                        \
  namespace sluice::isa {                                 \
  extern const NormKernels<float> norm_f32;               \
  extern const NormKernels<BFloat16> norm_bf16;           \
  extern const PointwiseKernels<float> pointwise_f32;     \
  extern const PointwiseKernels<BFloat16> pointwise_bf16; \
  }

SLUICE_DECLARE_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_TABLES(avx2)
SLUICE_DECLARE_TABLES(avx512)
#endif
