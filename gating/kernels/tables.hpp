// The kernel tables that each instruction set's build defines.
#pragma once

#include "gating/kernels/gate_kernels.hpp"
#include "gating/kernels/skip_kernels.hpp"

#define SLUICE_DECLARE_GATE_TABLES(isa)                   \
  namespace sluice::isa {                                 \
  extern const GateKernels<float> gate_f32;               \
  extern const GateKernels<BFloat16> gate_bf16;           \
  extern const SkipKernels skip;                          \
  extern const SkipProducts skip_products_f32;            \
  extern const SkipProducts skip_products_bytes;          \
  extern const SkipEdgeKernels<float> skip_edges_f32;     \
  extern const SkipEdgeKernels<BFloat16> skip_edges_bf16; \
  }

SLUICE_DECLARE_GATE_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_GATE_TABLES(avx2)
SLUICE_DECLARE_GATE_TABLES(avx512)
namespace sluice::avx512_vnni {
extern const SkipProducts skip_products_bytes;
}
#endif
