// A network of configs/networks, and numbers of it.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/graph/network.hpp"
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"

namespace sluice {

/// The types that configs/networks uses.
inline Registry shipped_types() {
  Registry types;
  register_layers(types);
  register_plugin(gating_plugin(), types);
  return types;
}

/// A network file with definitions changed on the command line.
struct Shipped {
  explicit Shipped(const std::string& file, const std::vector<std::string>& overrides = {}) {
    Config config = Config::load({std::string(SLUICE_SOURCE_DIR) + "/configs/networks/" + file}, overrides);
    network = std::make_unique<Network>(config, registry);
    config.check();
  }

  std::int64_t learned() const { return network->learned_count(); }
  std::int64_t macs() const { return network->macs(); }
  Shape shape(const std::string& layer) const {
    const int node = network->find(layer);
    if (node < 0) return Shape{};
    return network->nodes()[static_cast<std::size_t>(node)].declared.dst;
  }
  /// Parameters under PyTorch's names: "layer1.0.conv1.weight".
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const Parameter& p : network->parameters()) all.insert(p.layer + "." + p.name);
    return all;
  }

  Registry registry = shipped_types();
  std::unique_ptr<Network> network;
};

}  // namespace sluice
