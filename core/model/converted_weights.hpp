// Weights of another network with the same layers, in the forms in which this one's layers want them.
#pragma once

#include <string>
#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// What became of a layer.
struct ConvertedLayer {
  std::string layer;
  bool reordered = false;  ///< its filters: it reads its source in another order
  std::string norm;        ///< the batch normalisation that both of its own begin as; or ""
  /// "LAYER/NAME" of tensors that were set by the norm's, and of those of the norm.
  std::vector<std::string> set, taken;
};

/// Whether layers of the network may have weights in a form of their own.
bool has_own_forms(const Network& network);

/// To be called once `network` has the tensors that it has in common with `other`. Goes by attributes of layers:
///   shuffle, partitions (p): input j p + i of a filter reads channel i I / p + j of the source; without, channel k is
///     input k
///   two_norms: of the parameters full_weight, full_bias, base_weight and base_bias, and the buffers full_running_mean
///     and full_running_var; they become those of the batch normalisation that reads the layer in `other` as the only
///     one, where `network` has none of that name
/// Where a gated layer's gates are all open it then computes what `other` does.
std::vector<ConvertedLayer> convert_weights(const Network& other, Network& network);

}  // namespace sluice
