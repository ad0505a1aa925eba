// Gates for the convolutions of a foreign model.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/onnx/layer_list.hpp"
#include "core/graph/network.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// A layer type that computes convolutions in part, and keys for all of its layers.
struct GateRequest {
  std::string type;
  std::vector<std::pair<std::string, std::string>> keys;
  bool two_norms = false;  ///< its layers stand for the batch normalisation behind them as well

  /// Of "cg_conv:partitions=4, granularity=slice". Throws Error(kUsage) with the reason alone where the type computes
  /// no convolutions in part.
  static GateRequest parse(const std::string& text, const Registry& registry);
};

/// The convolutions that the type can take the place of, by layer: with the sources that they have in `dense`, which is
/// made of the list. Those of the images themselves are left as they are; with two_norms also those without a
/// normalisation of their own behind them.
std::vector<bool> find_gateable(const LayerList& list, const Network& dense, const Registry& registry,
                                const GateRequest& request);

/// Gives these convolutions a batch normalisation that adds their biases in their place: gated ones have none.
/// `gateable` has the new layers as well afterwards.
void put_biases_behind(LayerList& list, std::vector<bool>& gateable);

/// Leaves out the batch normalisations behind these convolutions, which have one each.
void drop_norms(LayerList& list, std::vector<bool>& gateable);

/// Makes these convolutions layers of the type.
void gate_layers(LayerList& list, const std::vector<bool>& gateable, const GateRequest& request);

}  // namespace sluice
