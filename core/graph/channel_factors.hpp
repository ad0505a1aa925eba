// Which channels of an image others close (Declarations::closes_channels), for operations that leave out the products
// of those. In inference in fp32 and int8 such an operation has sources behind its layer's own that say so.
#pragma once

#include <memory>
#include <vector>

#include "core/graph/op.hpp"

namespace sluice {

struct Node;

/// Which of an operation's sources hold a number for each channel of an image (N x C, fp32), 0 where it is closed; -1:
/// none does.
struct ChannelFactors {
  int inputs = -1;   ///< of source 0, whose closed channels are zeros
  int outputs = -1;  ///< of the result, which is multiplied by them behind all post-ops
  bool empty() const { return inputs < 0 && outputs < 0; }
};

/// What a layer is besides, if its operations can leave such products out.
class SkipsChannels {
 public:
  /// Instead of Layer::make_op, where there are factors.
  virtual std::unique_ptr<Op> make_skipping_op(const OpRequest& request, const ChannelFactors& factors,
                                               OpNeeds& needs) const = 0;

 protected:
  ~SkipsChannels() = default;
};

/// The node that closes channels of source 0 of a layer that multiplies channels by factors; -1: this is none, or
/// nobody closes any.
int closing_node(const std::vector<Node>& nodes, const Node& node);

}  // namespace sluice
