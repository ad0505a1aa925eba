// How a gated layer runs where it may skip (OpRequest::may_skip): SkipConv with the layers fused behind it, in the ways
// that one can choose from.
#pragma once

#include <vector>

#include "core/graph/op.hpp"
#include "gating/channel_rows.hpp"
#include "gating/skip/skip_conv.hpp"

namespace sluice {

class SkipPath {
 public:
  /// `problem`: geometry, granularity, and paths or levels; the rest is the request's. Takes the post-ops that
  /// conv_accepts lets through. Books behind what stands in `frames`.
  SkipPath(const OpRequest& request, SkipProblem problem, OpNeeds& needs, const Frames& frames);

  /// `weights`: O x I x KH x KW (or their levels). `norms`: of open and closed outputs; null where there are none.
  void refresh(const Context& c, const float* weights, const GateConstants& gate, const NormPair* norms);
  /// Returns how many outputs are open. `src_scale`, `unit`: of levels (SkipConstants).
  std::int64_t forward(const Context& c, float src_scale = 1, float unit = 1);

 private:
  enum Row { kLimit, kSlope, kOpenScale, kOpenShift, kClosedScale, kClosedShift, kZero, kOne, kRows };

  void add_whole(const OpRequest& request, const ConvGeometry& geometry, OpNeeds& needs, Frames frames);
  const Slot<float>& weights_of(const SkipConv& way) const { return way.transforms() ? transformed_ : packed_; }
  void add_recorder(SkipProblem problem, OpNeeds& needs, const Frames& frames);
  void record(const Context& c, float src_scale, float unit) const;

  std::vector<SkipConv> ways_;  ///< by alternative
  PathMask paths_;
  std::int64_t channels_ = 0;
  bool differ_ = false;  ///< numbers of what is closed from those of what is open
  bool floats_ = true;   ///< neither products nor source and result are in whole numbers: there is a whole_
  ChannelRows<Row> rows_;
  Slot<float> packed_, transformed_;  ///< weights; the latter of ways that transform levels
  ConvForward whole_;                 ///< Yp + Yr, for the way that is given them
  BookedTensor whole_products_;       ///< its result
  Slot<float> whole_weights_;         ///< unshuffled, in refresh
  SkipConv recorder_;                 ///< has the decisions for its result
  std::optional<Slot<float>> decisions_;
};

}  // namespace sluice
