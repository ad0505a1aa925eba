#include "layers/kernels/kernels.hpp"

#include "core/base/isa_tables.hpp"
#include "layers/kernels/level_tables.hpp"
#include "layers/kernels/open_byte_tables.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice {

template <>
const NormKernels<float>& norm_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, norm_f32);
}
template <>
const NormKernels<BFloat16>& norm_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, norm_bf16);
}
template <>
const PointwiseKernels<float>& pointwise_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pointwise_f32);
}
template <>
const PointwiseKernels<BFloat16>& pointwise_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pointwise_bf16);
}
template <>
const ActivationKernels<float>& activation_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, activation_f32);
}
template <>
const ActivationKernels<BFloat16>& activation_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, activation_bf16);
}
template <>
const PoolKernels<float>& pool_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pool_f32);
}
template <>
const PoolKernels<BFloat16>& pool_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pool_bf16);
}
template <>
const PactKernels<float>& pact_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pact_f32);
}
template <>
const PactKernels<BFloat16>& pact_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, pact_bf16);
}
template <>
const RPReluKernels<float>& rprelu_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, rprelu_f32);
}
template <>
const RPReluKernels<BFloat16>& rprelu_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, rprelu_bf16);
}
template <>
const DropoutKernels<float>& dropout_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, dropout_f32);
}
template <>
const DropoutKernels<BFloat16>& dropout_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, dropout_bf16);
}
template <>
const DepthwiseKernels<float>& depthwise_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, depthwise_f32);
}
template <>
const DepthwiseKernels<BFloat16>& depthwise_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, depthwise_bf16);
}
template <>
const QuantizeKernels<float, float>& quantize_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, quantize_f32);
}
template <>
const QuantizeKernels<float, BFloat16>& quantize_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, quantize_f32_bf16);
}
template <>
const QuantizeKernels<BFloat16, BFloat16>& quantize_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, quantize_bf16);
}
template <>
const MagnitudeKernels<float>& magnitude_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, magnitude_f32);
}
const Int8Kernels& int8_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, narrow_f32);
}
template <>
const MagnitudeKernels<BFloat16>& magnitude_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, magnitude_bf16);
}
const LevelLoads& level_loads(LevelUnits units, Isa isa) {
  if (units == LevelUnits::kQuads) return SLUICE_CHOOSE(isa, level_loads_quads);
  return SLUICE_CHOOSE(isa, level_loads_pairs);
}
const LevelProducts& level_products(LevelUnits units, Isa isa) {
  const bool quads = units == LevelUnits::kQuads;
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && cpu_has_vnni())
    return quads ? avx512_vnni::level_products_quads : avx512_vnni::level_products_pairs;
#endif
  if (quads) return SLUICE_CHOOSE(isa, level_products_quads);
  return SLUICE_CHOOSE(isa, level_products_pairs);
}
const LevelWinogradKernels& level_winograd_kernels(Isa isa) {
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && cpu_has_vnni()) return avx512_vnni::level_winograd;
#endif
  return SLUICE_CHOOSE(isa, level_winograd);
}
const ByteProducts& byte_products(Isa isa) {
  return SLUICE_CHOOSE(isa, byte_products);
}
const DropoutBits& dropout_bits(Isa isa) {
  return SLUICE_CHOOSE(isa, dropout_bits);
}

const DirectKernels& direct_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, open_direct);
}
const OpenByteKernels& open_byte_kernels(Isa isa) {
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && cpu_has_vnni()) return avx512_vnni::open_bytes;
#endif
  return SLUICE_CHOOSE(isa, open_bytes);
}
const OpenKernels& open_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, open_channels);
}
const WinogradWeightKernels& winograd_weight_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, winograd_weights);
}
template <>
const WinogradKernels<float>& winograd_kernels(Isa isa) {
  return SLUICE_CHOOSE(isa, winograd_f32);
}
template <>
const WinogradKernels<BFloat16>& winograd_kernels(Isa isa) {
  if (isa == Isa::kAvx512 && cpu_has_bf16()) return SLUICE_CHOOSE(isa, winograd_native_bf16);
  return SLUICE_CHOOSE(isa, winograd_bf16);
}

}  // namespace sluice
