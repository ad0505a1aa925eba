// Pictures as files: PNG, by libpng.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/picture/picture.hpp"

namespace sluice {

/// A PNG file of a picture of 1 or 3 channels, with texts under keywords ("Software"). Throws Error(kEnvironment) where
/// this build has no picture libraries.
std::string encode_png(const Picture& picture, const std::vector<std::pair<std::string, std::string>>& texts = {});

}  // namespace sluice
