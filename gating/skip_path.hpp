// How a channel-gated layer runs where it may skip (Setup::may_skip): SkipConv with the layers fused behind it, in the
// ways that a plan can choose from.
#pragma once

#include <vector>

#include "core/graph/layer.hpp"
#include "gating/skip_conv.hpp"

namespace sluice {

class SkipPath {
 public:
  SkipPath() = default;
  /// Takes the post-ops that conv_accepts lets through.
  SkipPath(Setup& setup, const ConvGeometry& geometry, const PathMask& paths, Granularity granularity);
  bool empty() const { return ways_.empty(); }

  /// `weights`: O x I x KH x KW. `norms`: of open and closed outputs; null where there are none.
  void refresh(Context& c, const float* weights, const GateConstants& gate, const NormPair* norms);
  /// Returns how many outputs are open.
  std::int64_t forward(Context& c);

 private:
  enum Array { kLimit, kSlope, kOpenScale, kOpenShift, kClosedScale, kClosedShift, kZero, kOne, kArrays };
  static void* kept(const Context& c, int which) { return c.kept[static_cast<std::size_t>(which)]; }
  float* array(const Context& c, Array which) const {
    return static_cast<float*>(kept(c, constants_)) + which * padded_;
  }

  void set_up_whole(Setup& setup, const ConvGeometry& geometry);
  void record(Context& c) const;

  std::vector<SkipConv> ways_;  ///< by alternative
  ConvForward whole_;           ///< Yp + Yr, for the way that is given them
  PathMask paths_;
  std::int64_t whole_bytes_ = 0, weight_bytes_ = 0;  ///< of scratch memory: its result, its weights unshuffled
  SkipConv recorder_;                                ///< has the decisions for its result
  std::optional<int> decisions_;
  std::int64_t channels_ = 0, padded_ = 0;
  int packed_ = 0, whole_packed_ = 0, constants_ = 0;  ///< kept
  bool differ_ = false;                                ///< numbers of what is closed from those of what is open
  bool floats_ = true;                                 ///< source and result are not in bytes: there is a whole_
};

}  // namespace sluice
