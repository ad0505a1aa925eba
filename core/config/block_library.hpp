// The blocks that a configuration declares.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/config/blocks.hpp"

namespace sluice {

struct Block {
  const Section* head = nullptr;       ///< `[block.NAME]`
  std::vector<const Section*> layers;  ///< `[block.NAME.LAYER]` in order
  std::vector<BlockParameter> parameters;
  std::set<std::string> first_only;  ///< parameters whose later repetitions take the default

  const BlockParameter* find_parameter(const std::string& name) const;
  std::vector<std::string> parameter_names() const;
};

/// Reads the `block.` sections; their mistakes go to config.diagnostics().
std::map<std::string, Block> read_blocks(Config& config);

}  // namespace sluice
