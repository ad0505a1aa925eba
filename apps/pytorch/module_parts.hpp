// A network as the parts of a PyTorch module: by the dots in the layers' names.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/graph/network.hpp"
#include "core/graph/torch_layer.hpp"

namespace sluice {

/// A value of the network: a node, and which of its results; the images are {-1, 0}.
using TorchValue = std::pair<int, int>;

/// A layer, or the layers whose names begin alike.
struct TorchPart {
  std::string path;       ///< in the class that it is a part of: "conv1"; "branch.conv" where `branch` is none
  std::string name;       ///< in the network: "layer1.0.conv1"
  int node = -1;          ///< of a layer
  TorchLayer layer;       ///< of a layer
  std::string same_as;    ///< the path of the part of this class that is the same module; empty: none
  bool is_chain = false;  ///< an nn.Sequential
  std::vector<TorchPart> parts = {};  ///< of others, each behind those whose values it takes
  std::vector<TorchValue> src = {}, dst = {};

  bool is_layer() const { return node >= 0; }
  /// It stands in the module, and not in its forward() alone.
  bool is_module() const { return !is_layer() || layer.has_state(); }
};

/// Parameters that one layer takes from another, where they are not one module: "layer2.conv", "weight".
struct SharedParameter {
  std::string layer, owner, name;
};

struct TorchParts {
  TorchPart network;
  std::vector<SharedParameter> shared;
  std::vector<std::string> layers;  ///< in it: those that the answer depends on
};

/// Throws Error(kUsage) for a layer that `layers` does not know, or whose name is in another's way.
TorchParts torch_parts(const Network& network, const TorchLayers& layers);

}  // namespace sluice
