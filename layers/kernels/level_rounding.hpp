// Numbers to levels, a native vector at a time: those of layers/kernels/quantize_kernels.hpp to the last bit. Only for
// files that are compiled without contraction to fused multiply-adds: a product that ends halfway between two levels
// must be rounded as a product first.
#pragma once

#include "layers/kernels/level_kernels.hpp"
#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA::simd {

class LevelRounding {
 public:
  SLUICE_INLINE explicit LevelRounding(LevelRange range)
      : scale_(broadcast(range.scale)), count_(broadcast(range.count)) {}

  /// The level of |x|; 0 for what is no number, which it remembers.
  SLUICE_INLINE NativeI32 magnitude(NativeF32 x) {
    const NativeF32 share = share_of(x);
    const NativeI32 none = share != share;
    nans_ |= none;
    return bits_of(share) & 0x7fffff & ~none;
  }
  /// The same with the sign of x.
  SLUICE_INLINE NativeI32 level(NativeF32 x) {
    const NativeI32 negative = x < NativeF32{};
    return (magnitude(x) ^ negative) - negative;
  }
  /// The byte of the level of |x|, or kNoLevel, in the lowest one of each lane.
  SLUICE_INLINE NativeU32 byte(NativeF32 x) const {
    const NativeF32 share = share_of(x);
    const NativeI32 none = share != share;
    return reinterpret_cast<NativeU32>(bits_of(share) | (none & kNoLevel));
  }

  SLUICE_INLINE bool has_nan() const {
    std::int32_t any = 0;
    for (int l = 0; l < kNativeLanes; ++l) any |= nans_[l];
    return any != 0;
  }

 private:
  SLUICE_INLINE NativeF32 share_of(NativeF32 x) const {
    const NativeF32 one = broadcast(1.0F);
    const NativeF32 share = reinterpret_cast<NativeF32>(reinterpret_cast<NativeI32>(x) & 0x7fffffff) / scale_;
    return share > one ? one : share;
  }
  /// Behind 2^23 floats are whole: the lowest bits are the number.
  SLUICE_INLINE NativeI32 bits_of(NativeF32 share) const {
    return reinterpret_cast<NativeI32>(share * count_ + broadcast(8388608.0F));
  }

  NativeF32 scale_, count_;
  NativeI32 nans_{};
};

/// Reads levels that lie in bytes, and remembers whether there was what is no number.
class LevelBytes {
 public:
  typedef std::uint8_t Vector __attribute__((vector_size(kNativeLanes)));
  SLUICE_INLINE Vector load(const std::uint8_t* from) {
    const Vector bytes = load_native<Vector>(from);
    seen_ |= bytes;
    return bytes;
  }
  SLUICE_INLINE bool has_nan() const {
    unsigned all = 0;
    for (int l = 0; l < kNativeLanes; ++l) all |= seen_[l];
    return all > 127;
  }

 private:
  Vector seen_{};
};

}  // namespace sluice::SLUICE_ISA::simd
