// Counter-based random numbers (Philox 4x32-10): a value depends only on the seed, the purpose and the counters, never
// on who asks first.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

/// What a stream of random numbers is for: streams of different purposes never overlap.
enum class Purpose : std::uint32_t {
  kInit = 1,
  kShuffle = 2,
  kAugment = 3,
  kDropout = 4,
  kSplit = 5,
  kSynthetic = 6,
  kTest = 7,
  kMix = 8
};

/// A stream of numbers, addressed by (seed, purpose, a, b): for augmentation a = epoch and b = sample, for dropout a =
/// step and b = layer.
class Random {
 public:
  Random(std::uint64_t seed, Purpose purpose, std::uint64_t a = 0, std::uint32_t b = 0);
  std::uint32_t bits();                      ///< the next 32 uniform bits
  double uniform();                          ///< [0, 1)
  std::uint64_t below(std::uint64_t bound);  ///< [0, bound), without modulo bias
  double normal();                           ///< mean 0, variance 1 (Box-Muller)

 private:
  std::uint64_t seed_;
  std::uint32_t purpose_, b_;
  std::uint64_t a_;
  std::uint32_t block_ = 0;
  unsigned next_ = 4;
  std::array<std::uint32_t, 4> words_{};
};

}  // namespace sluice
