#include "core/data/interleave.hpp"

namespace sluice {
namespace {

/// A loop of its own, so that the compiler knows the stride and makes vectors of it.
void interleave_3(const std::uint8_t* __restrict__ planes, std::int64_t area, std::uint8_t* __restrict__ pixels) {
  for (std::int64_t i = 0; i < area; ++i) {
    pixels[3 * i] = planes[i];
    pixels[3 * i + 1] = planes[area + i];
    pixels[3 * i + 2] = planes[2 * area + i];
  }
}

}  // namespace

void interleave(const std::uint8_t* planes, std::int64_t channels, std::int64_t area, std::uint8_t* pixels) {
  if (channels == 3) return interleave_3(planes, area, pixels);
  for (std::int64_t i = 0; i < area; ++i) {
    for (std::int64_t c = 0; c < channels; ++c) pixels[i * channels + c] = planes[c * area + i];
  }
}

}  // namespace sluice
