// The tables of kernels over levels that each instruction set's build defines.
#pragma once

#include "layers/kernels/level_kernels.hpp"
#include "layers/kernels/level_winograd.hpp"

#define SLUICE_DECLARE_LEVEL_TABLES(isa)            \
  namespace sluice::isa {                           \
  extern const LevelLoads level_loads_pairs;        \
  extern const LevelLoads level_loads_quads;        \
  extern const LevelProducts level_products_pairs;  \
  extern const LevelProducts level_products_quads;  \
  extern const LevelWinogradKernels level_winograd; \
  }

SLUICE_DECLARE_LEVEL_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_LEVEL_TABLES(avx2)
SLUICE_DECLARE_LEVEL_TABLES(avx512)
namespace sluice::avx512_vnni {
extern const LevelProducts level_products_pairs;
extern const LevelProducts level_products_quads;
extern const LevelWinogradKernels level_winograd;
}  // namespace sluice::avx512_vnni
#endif
