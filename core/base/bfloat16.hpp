// bfloat16: the upper half of a float.
#pragma once

#include <cstdint>
#include <cstring>

namespace sluice {

struct BFloat16 {
  std::uint16_t bits;
};

// Static: kernel files are compiled for several instruction sets and must not share code.
static inline float widen(float x) {
  return x;
}
static inline float widen(std::uint8_t x) {
  return static_cast<float>(x);
}
static inline float widen(BFloat16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

static inline void narrow(float x, float& to) {
  to = x;
}
/// Rounds to nearest, ties to even; a NaN stays a NaN.
static inline void narrow(float x, BFloat16& to) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof(bits));
  to.bits = static_cast<std::uint16_t>(x != x ? (bits >> 16 | 0x40U) : (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace sluice
