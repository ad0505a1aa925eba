// The tables of sign kernels that each instruction set's build defines.
#pragma once

#include "gating/kernels/sign_kernels.hpp"

#define SLUICE_DECLARE_SIGN_TABLE(isa) \
  namespace sluice::isa {              \
  extern const SignKernels signs;      \
  }

SLUICE_DECLARE_SIGN_TABLE(portable)
#ifdef __x86_64__
SLUICE_DECLARE_SIGN_TABLE(avx2)
SLUICE_DECLARE_SIGN_TABLE(avx512)
SLUICE_DECLARE_SIGN_TABLE(avx512_vpopcntdq)
#endif
