// Expands the layer, block and type sections of a network's description into a flat list of layers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace sluice {

/// One item of a block's `parameters = channels, stride=1`.
struct BlockParameter {
  std::string name;
  std::optional<std::string> default_value;
};
std::vector<BlockParameter> parse_parameters(const std::string& list);

}  // namespace sluice
