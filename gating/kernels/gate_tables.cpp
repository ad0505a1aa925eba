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
  return SLUICE_CHOOSE(isa, skip);
}
const SkipProducts& skip_products(bool bytes, Isa isa) {
  if (!bytes) return SLUICE_CHOOSE(isa, skip_products_f32);
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && __builtin_cpu_supports("avx512vnni")) return avx512_vnni::skip_products_bytes;
#endif
  return SLUICE_CHOOSE(isa, skip_products_bytes);
}
template <>
const SkipEdgeKernels<float>& skip_edge_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_edges_f32);
}
template <>
const SkipEdgeKernels<BFloat16>& skip_edge_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_edges_bf16);
}

}  // namespace sluice
