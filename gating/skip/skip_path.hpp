// How a channel-gated layer runs where it may skip (OpRequest::may_skip): SkipConv with the layers fused behind it, in
// the ways that one can choose from.
#pragma once

#include <vector>

#include "core/graph/op.hpp"
#include "gating/channel_rows.hpp"
#include "gating/skip/skip_conv.hpp"

namespace sluice {

class SkipPath {
 public:
  /// Takes the post-ops that conv_accepts lets through. All ways share their weights.
  SkipPath(const OpRequest& request, const ConvGeometry& geometry, const PathMask& paths, Granularity granularity,
           OpNeeds& needs);

  /// `weights`: O x I x KH x KW. `norms`: of open and closed outputs; null where there are none.
  void refresh(const Context& c, const float* weights, const GateConstants& gate, const NormPair* norms);
  /// Returns how many outputs are open.
  std::int64_t forward(const Context& c);

 private:
  enum Row { kLimit, kSlope, kOpenScale, kOpenShift, kClosedScale, kClosedShift, kZero, kOne, kRows };

  void add_whole(const OpRequest& request, const ConvGeometry& geometry, OpNeeds& needs);
  void add_recorder(SkipProblem problem, OpNeeds& needs);
  void record(const Context& c) const;

  std::vector<SkipConv> ways_;  ///< by alternative
  PathMask paths_;
  std::int64_t channels_ = 0;
  bool differ_ = false;  ///< numbers of what is closed from those of what is open
  bool floats_ = true;   ///< source and result are not in int8: there is a whole_
  ChannelRows<Row> rows_;
  Slot<float> packed_;
  ConvForward whole_;            ///< Yp + Yr, for the way that is given them
  BookedTensor whole_products_;  ///< its result
  Slot<float> whole_weights_;    ///< unshuffled, in refresh
  SkipConv recorder_;            ///< has the decisions for its result
  std::optional<Slot<float>> decisions_;
};

}  // namespace sluice
