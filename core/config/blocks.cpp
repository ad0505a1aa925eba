// Expands the layer, block and type sections of a network's description into a flat list of layers.
#include "core/config/blocks.hpp"

#include "core/config/text.hpp"

namespace sluice {

std::vector<BlockParameter> parse_parameters(const std::string& list) {
  std::vector<BlockParameter> parameters;
  for (const std::string& item : split_list(list)) {
    const std::size_t equals = item.find('=');
    BlockParameter parameter;
    parameter.name = trim(item.substr(0, equals));
    if (equals != std::string::npos) parameter.default_value = trim(item.substr(equals + 1));
    parameters.push_back(parameter);
  }
  return parameters;
}

}  // namespace sluice
