// Hands out the bipolar kernels that were built for an instruction set.
#include "layers/kernels/bipolar_tables.hpp"

#include "core/base/isa_tables.hpp"

namespace sluice {

template <>
const BipolarKernels<float, float>& bipolar_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, bipolar_f32);
}
template <>
const BipolarKernels<float, BFloat16>& bipolar_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, bipolar_f32_bf16);
}
template <>
const BipolarKernels<BFloat16, BFloat16>& bipolar_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, bipolar_bf16);
}

}  // namespace sluice
