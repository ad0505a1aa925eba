// The tables of bipolar kernels that each instruction set's build defines.
#pragma once

#include "layers/kernels/bipolar_kernels.hpp"

#define SLUICE_DECLARE_BIPOLAR_TABLES(isa)                       \
  namespace sluice::isa {                                        \
  extern const BipolarKernels<float, float> bipolar_f32;         \
  extern const BipolarKernels<float, BFloat16> bipolar_f32_bf16; \
  extern const BipolarKernels<BFloat16, BFloat16> bipolar_bf16;  \
  }

SLUICE_DECLARE_BIPOLAR_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_BIPOLAR_TABLES(avx2)
SLUICE_DECLARE_BIPOLAR_TABLES(avx512)
#endif
