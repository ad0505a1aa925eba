#include "layers/kernels/kernels.hpp"

#include "layers/kernels/tables.hpp"

namespace sluice {
namespace {

template <class Table>
const Table& choose(Isa isa, const Table& portable_table, const Table& avx2_table, const Table& avx512_table) {
  switch (isa) {
    case Isa::kPortable:
      return portable_table;
    case Isa::kAvx2:
      return avx2_table;
    case Isa::kAvx512:
      return avx512_table;
  }
  return portable_table;
}

}  // namespace

#ifdef __x86_64__
#define SLUICE_CHOOSE(isa, table) choose(isa, portable::table, avx2::table, avx512::table)
#else
#define SLUICE_CHOOSE(isa, table) choose(isa, portable::table, portable::table, portable::table)
#endif

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
const DropoutBits& dropout_bits(Isa isa) {
  return SLUICE_CHOOSE(isa, dropout_bits);
}

}  // namespace sluice
