// Levels in bytes to and from floats, for one instruction set.
#pragma once

#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA::simd {

SLUICE_INLINE NativeF32 widened(const std::uint8_t* from) {
  return __builtin_convertvector(reinterpret_cast<NativeI32>(load_widened(from)), NativeF32);
}

SLUICE_INLINE void store(float* to, NativeF32 x) {
  store_part(to, x);
}
/// Of numbers from 0 to 127, ties to even; 0 for what is no number. (Behind 2^23 floats are whole: the lowest bits are
/// the number.)
SLUICE_INLINE void store(std::uint8_t* to, NativeF32 x) {
  const NativeF32 known = x == x ? x : NativeF32{};
  store_narrowed(to, reinterpret_cast<NativeU32>(known + broadcast(8388608.0F)) & 0xffU);
}

}  // namespace sluice::SLUICE_ISA::simd
