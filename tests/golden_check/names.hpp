// From the names of a PyTorch state_dict to parameters and buffers of a network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// A parameter or buffer with its place in its arena.
struct NamedPlace {
  std::string path;  ///< ours: "layer1.0.conv1/weight"
  Shape shape;
  std::int64_t offset = 0;
  bool is_buffer = false;
};

class GoldenNames {
 public:
  explicit GoldenNames(const Network& network);
  /// "layer1.0.conv1.weight" is the parameter `weight` of layer `layer1.0.conv1`; "layer1.0.conv1.bn.running_mean",
  /// where there is no layer `layer1.0.conv1.bn`, the statistics of that layer's gate. Null where there is nothing.
  const NamedPlace* find(const std::string& state_dict_name) const;
  const std::vector<NamedPlace>& all() const { return places_; }

 private:
  const NamedPlace* at(const std::string& path) const;

  std::vector<NamedPlace> places_;
};

/// A buffer that the published layers do not have: running scales of quantisers, which nothing here uses.
bool is_ours(const std::string& buffer);
/// PyTorch's own counter of batches.
bool is_counter(const std::string& state_dict_name);
/// Without dimensions of size 1.
Shape squeezed(const Shape& shape);

}  // namespace sluice
