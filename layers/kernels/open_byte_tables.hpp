// The tables of kernels over open bytes that each instruction set's build defines.
#pragma once

#include "layers/kernels/open_byte_kernels.hpp"

#define SLUICE_DECLARE_OPEN_BYTES(isa)     \
  namespace sluice::isa {                  \
  extern const OpenByteKernels open_bytes; \
  }

SLUICE_DECLARE_OPEN_BYTES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_OPEN_BYTES(avx2)
SLUICE_DECLARE_OPEN_BYTES(avx512)
SLUICE_DECLARE_OPEN_BYTES(avx512_vnni)
#endif
