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

/// What the sections of a block are expanded in; for the network itself all of it is empty.
struct Scope {
  std::string prefix;                      ///< of the names of its layers: "layer1.0."
  std::map<std::string, Entry> arguments;  ///< values of the block's parameters
  std::vector<std::string> input;          ///< what `input` means
  std::vector<std::string> chain;          ///< the blocks around, to find recursion

  bool in_block() const { return !chain.empty(); }
};

/// Reads the `block.` sections; their mistakes go to config.diagnostics().
std::map<std::string, Block> read_blocks(Config& config);

}  // namespace sluice
