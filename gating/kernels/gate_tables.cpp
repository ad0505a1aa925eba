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
template <>
const SkipEdgeKernels<float>& skip_edge_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_edges_f32);
}
template <>
const SkipEdgeKernels<BFloat16>& skip_edge_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, skip_edges_bf16);
}

}  // namespace sluice
