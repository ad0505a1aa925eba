// From planes to pixels: channels x height x width becomes height x width x channels.
#pragma once

#include <cstdint>

namespace sluice {

/// planes: channels x area; pixels: area x channels. They do not overlap.
void interleave(const std::uint8_t* planes, std::int64_t channels, std::int64_t area, std::uint8_t* pixels);

}  // namespace sluice
