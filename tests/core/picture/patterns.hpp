// Pictures to test with.
#pragma once

#include <cstdint>

#include "core/picture/picture.hpp"

namespace sluice {

/// Blocks with noise on them, as in golden.py.
Picture noise(std::int64_t height, std::int64_t width, std::int64_t channels);
/// Smooth, so that lossy formats keep it: red grows to the right, green down, blue is 60.
Picture gradient(std::int64_t height, std::int64_t width);

}  // namespace sluice
