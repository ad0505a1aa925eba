// What repeats in a list of layers, by the names that the model gave its parts.
#pragma once

#include <string>
#include <vector>

#include "apps/onnx/layer_list.hpp"

namespace sluice {

/// Layers that stand side by side under one name: "layer1.0" of layer1.0.conv1 to layer1.0.relu. All but one reading
/// each other, that one the input.
struct Unit {
  std::string name;
  std::size_t begin = 0, end = 0;  ///< into the layers
  LayerSource input;
  std::size_t block = 0;  ///< which it is a use of

  std::size_t size() const { return end - begin; }
};

/// A key of one of a block's layers.
struct KeyPlace {
  std::size_t layer = 0, key = 0;
  bool operator<(const KeyPlace& other) const { return layer != other.layer ? layer < other.layer : key < other.key; }
};

struct BlockArgument {
  std::string name;
  std::string usual;                ///< its default; "": none
  std::vector<KeyPlace> places;     ///< which take it
  std::vector<std::string> values;  ///< by use
};

struct FoundBlock {
  std::string name;
  std::vector<std::size_t> uses;  ///< units
  std::vector<BlockArgument> arguments;
};

struct RepeatedBlocks {
  std::vector<Unit> units;  ///< in order, none in another
  std::vector<FoundBlock> blocks;
};

/// Those that make the shortest text.
RepeatedBlocks find_blocks(const LayerList& list);

}  // namespace sluice
