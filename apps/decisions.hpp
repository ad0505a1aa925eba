// What the gates of a network decide about an image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/configured_network.hpp"

namespace sluice {

/// Of one layer; a layer whose result has no pixels has one.
struct DecisionMap {
  std::string layer;
  std::int64_t height = 1, width = 1;
  std::vector<double> shares;  ///< height x width: of open gates over the channels of a pixel, 0 to 1
};
/// The mean of a map's shares.
double density_of(const DecisionMap& map);

/// One image after the other through a network that keeps its decisions.
class DecisionLooker {
 public:
  /// The network must outlive it.
  explicit DecisionLooker(ConfiguredNetwork& configured);

  /// The network's weights have changed.
  void refresh() { executor_.refresh(); }
  /// There are layers that decide.
  bool has_gates() const;
  /// Names of the layers that decide and do not keep what they decide.
  std::vector<std::string> silent() const;
  /// A normalised image, H x W x C; returns its logits, which hold until the next call.
  const float* look(const float* image);
  /// Of the last image: the layers that decide about their results, in the network's order.
  std::vector<DecisionMap> maps() const;
  /// Of the last image: the share of open gates of all; -1 where there are none.
  double density() const;

 private:
  template <class Use>
  void each(const Use& use) const;

  const Network& network_;
  Executor executor_;
};

}  // namespace sluice
