#include "core/base/random.hpp"

#include <Random123/philox.h>

#include <cmath>

namespace sluice {

// Counter = (purpose and block, b, a low, a high), key = seed.
Random::Random(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint32_t b)
    : seed_(seed), purpose_(static_cast<std::uint32_t>(purpose)), b_(b), a_(a) {}

std::uint32_t Random::bits() {
  if (next_ == 4) {
    r123::Philox4x32 philox;
    // Each stream has at most 2^24 blocks: the purpose shares the word of the block number.
    const r123::Philox4x32::ctr_type counter = {
        {block_++ | (purpose_ << 24), b_, static_cast<std::uint32_t>(a_), static_cast<std::uint32_t>(a_ >> 32)}};
    const r123::Philox4x32::key_type key = {
        {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
    const auto words = philox(counter, key);
    for (std::size_t i = 0; i < 4; ++i) words_[i] = words[i];
    next_ = 0;
  }
  return words_[next_++];
}

double Random::uniform() {
  return bits() * (1.0 / 4294967296.0);
}

std::uint64_t Random::below(std::uint64_t bound) {
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % bound;
  for (;;) {
    const std::uint64_t high = bits();
    const std::uint64_t value = high << 32 | bits();
    if (value < limit) return value % bound;
  }
}

double Random::normal() {
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  const double u = (bits() + 1.0) * (1.0 / 4294967296.0);  // (0, 1]: its logarithm is finite
  return std::sqrt(-2.0 * std::log(u)) * std::cos(kTwoPi * uniform());
}

}  // namespace sluice
