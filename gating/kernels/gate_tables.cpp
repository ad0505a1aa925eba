// Hands out the gate kernels that were built for an instruction set.
#include "core/base/isa_tables.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice {

template <>
const GateKernels<float>& gate_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, gate_f32);
}
template <>
const GateKernels<BFloat16>& gate_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, gate_bf16);
}

const SkipKernels& skip_kernels(Isa isa) {
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && cpu_has_vbmi2()) return avx512::skip_vbmi2;
#endif
  return SLUICE_CHOOSE(isa, skip);
}
#ifdef __x86_64__
#define SLUICE_CHOOSE_WITH_VNNI(isa, table) \
  (isa == Isa::kAvx512 && cpu_has_vnni() ? avx512_vnni::table : SLUICE_CHOOSE(isa, table))
#else
#define SLUICE_CHOOSE_WITH_VNNI(isa, table) SLUICE_CHOOSE(isa, table)
#endif

const SkipProducts& skip_products(SkipUnits units, Isa isa) {
  switch (units) {
    case SkipUnits::kFloats:
      return SLUICE_CHOOSE(isa, skip_products_f32);
    case SkipUnits::kInt8:
      return SLUICE_CHOOSE_WITH_VNNI(isa, skip_products_int8);
    case SkipUnits::kLevels:
      return SLUICE_CHOOSE_WITH_VNNI(isa, skip_products_levels);
    case SkipUnits::kLevelBytes:
      return SLUICE_CHOOSE_WITH_VNNI(isa, skip_products_level_bytes);
  }
  return SLUICE_CHOOSE(isa, skip_products_f32);
}
const SkipLevelEdges& skip_level_edges(SkipUnits units, Isa isa) {
  if (units == SkipUnits::kLevelBytes) return SLUICE_CHOOSE(isa, skip_level_byte_edges);
  return SLUICE_CHOOSE(isa, skip_level_edges);
}
template <>
const SkipLoads<float>& skip_loads(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_loads_f32);
}
template <>
const SkipLoads<BFloat16>& skip_loads(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_loads_bf16);
}
template <>
const SkipLoads<std::uint8_t>& skip_loads(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_loads_u8);
}
template <>
SkipStore<float, float> skip_store(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_store_f32);
}
template <>
SkipStore<float, std::uint8_t> skip_store(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_store_f32_u8);
}
template <>
SkipStore<BFloat16, BFloat16> skip_store(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_store_bf16);
}
template <>
SkipStore<std::uint8_t, float> skip_store(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_store_u8_f32);
}
template <>
SkipStore<std::uint8_t, std::uint8_t> skip_store(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_store_u8);
}

}  // namespace sluice
