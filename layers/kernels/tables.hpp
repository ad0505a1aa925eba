// The kernel tables that each instruction set's build defines.
#pragma once

#include "layers/kernels/activation_kernels.hpp"
#include "layers/kernels/byte_kernels.hpp"
#include "layers/kernels/depthwise_kernels.hpp"
#include "layers/kernels/dropout_kernels.hpp"
#include "layers/kernels/kernels.hpp"
#include "layers/kernels/open_channel_kernels.hpp"
#include "layers/kernels/open_direct_kernels.hpp"
#include "layers/kernels/pact_kernels.hpp"
#include "layers/kernels/pool_kernels.hpp"
#include "layers/kernels/quantize_kernels.hpp"
#include "layers/kernels/rprelu_kernels.hpp"
#include "layers/kernels/winograd_kernels.hpp"

#define SLUICE_DECLARE_TABLES(isa)                                 \
  namespace sluice::isa {                                          \
  extern const ActivationKernels<float> activation_f32;            \
  extern const ActivationKernels<BFloat16> activation_bf16;        \
  extern const NormKernels<float> norm_f32;                        \
  extern const NormKernels<BFloat16> norm_bf16;                    \
  extern const PointwiseKernels<float> pointwise_f32;              \
  extern const PointwiseKernels<BFloat16> pointwise_bf16;          \
  extern const PoolKernels<float> pool_f32;                        \
  extern const PoolKernels<BFloat16> pool_bf16;                    \
  extern const PactKernels<float> pact_f32;                        \
  extern const PactKernels<BFloat16> pact_bf16;                    \
  extern const RPReluKernels<float> rprelu_f32;                    \
  extern const RPReluKernels<BFloat16> rprelu_bf16;                \
  extern const DropoutBits dropout_bits;                           \
  extern const DepthwiseKernels<float> depthwise_f32;              \
  extern const DepthwiseKernels<BFloat16> depthwise_bf16;          \
  extern const DropoutKernels<float> dropout_f32;                  \
  extern const DropoutKernels<BFloat16> dropout_bf16;              \
  extern const QuantizeKernels<float, float> quantize_f32;         \
  extern const QuantizeKernels<float, BFloat16> quantize_f32_bf16; \
  extern const QuantizeKernels<BFloat16, BFloat16> quantize_bf16;  \
  extern const MagnitudeKernels<float> magnitude_f32;              \
  extern const Int8Kernels narrow_f32;                             \
  extern const ByteProducts byte_products;                         \
  extern const MagnitudeKernels<BFloat16> magnitude_bf16;          \
  extern const OpenKernels open_channels;                          \
  extern const DirectKernels open_direct;                          \
  extern const WinogradWeightKernels winograd_weights;             \
  extern const WinogradKernels<float> winograd_f32;                \
  extern const WinogradKernels<BFloat16> winograd_bf16;            \
  extern const WinogradKernels<BFloat16> winograd_native_bf16;     \
  }

SLUICE_DECLARE_TABLES(portable)
#ifdef __x86_64__
SLUICE_DECLARE_TABLES(avx2)
SLUICE_DECLARE_TABLES(avx512)
#endif
