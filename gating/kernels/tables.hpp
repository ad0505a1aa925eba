// The kernel tables that each instruction set's build defines.
#pragma once

#include "gating/kernels/gate_kernels.hpp"
#include "gating/kernels/skip_kernels.hpp"

#define SLUICE_DECLARE_GATE_TABLES(isa)                             \
  namespace sluice::isa {                                           \
  extern const GateKernels<float> gate_f32;                         \
  extern const GateKernels<BFloat16> gate_bf16;                     \
  extern const SkipKernels skip;                                    \
  extern const SkipProducts skip_products_f32;                      \
  extern const SkipProducts skip_products_int8;                     \
  extern const SkipProducts skip_products_levels;                   \
  extern const SkipProducts skip_products_level_bytes;              \
  extern const SkipLevelEdges skip_level_edges;                     \
  extern const SkipLevelEdges skip_level_byte_edges;                \
  extern const SkipLoads<float> skip_loads_f32;                     \
  extern const SkipLoads<BFloat16> skip_loads_bf16;                 \
  extern const SkipLoads<std::uint8_t> skip_loads_u8;               \
  extern const SkipStore<float, float> skip_store_f32;              \
  extern const SkipStore<float, std::uint8_t> skip_store_f32_u8;    \
  extern const SkipStore<BFloat16, BFloat16> skip_store_bf16;       \
  extern const SkipStore<std::uint8_t, float> skip_store_u8_f32;    \
  extern const SkipStore<std::uint8_t, std::uint8_t> skip_store_u8; \
  }

SLUICE_DECLARE_GATE_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_GATE_TABLES(avx2)
SLUICE_DECLARE_GATE_TABLES(avx512)
namespace sluice::avx512 {
extern const SkipKernels skip_vbmi2;
}
namespace sluice::avx512_vnni {
extern const SkipProducts skip_products_int8;
extern const SkipProducts skip_products_levels;
extern const SkipProducts skip_products_level_bytes;
}  // namespace sluice::avx512_vnni
#endif
