// What becomes of a result on its way out: the post-ops of a request in one form, for whoever does others' work.
#pragma once

#include <limits>
#include <vector>

#include "core/graph/op.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

/// y = clip(scale x + shift + addend), each part where it is wanted. Scale and shift are by channel, the addend is like
/// the result: they come with each call (Context::affine_scale, affine_shift and addend), and so does a learned bound
/// (Context::bound).
struct Epilogue {
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  Epilogue() = default;
  /// At most one kAdd and one kClip or kBound.
  explicit Epilogue(const std::vector<PostOp>& ops);

  bool affine = false;
  bool adds = false;
  bool clips_first = false;  ///< y = clip(scale x + shift) + addend
  float low = -kInfinity, high = kInfinity;
  bool bounded = false;  ///< clips at 0 and at the learned bound

  /// At numbers that are known.
  bool clips() const { return low > -kInfinity || high < kInfinity; }
  bool empty() const { return !affine && !adds && !clips() && !bounded; }
  /// As kernels of batch normalisation take it.
  Ending ending() const;
  /// `bound`: the learned one, where it is bounded.
  Clip clip(const float* bound = nullptr) const { return bounded ? Clip{0, *bound} : Clip{low, high}; }
};

/// dst = epilogue(dst), in place, for results of T: for kernels that end before it.
class EpiloguePass {
 public:
  EpiloguePass() = default;
  EpiloguePass(const OpRequest& request, OpNeeds& needs);
  template <class T>
  void run(const Context& c) const;
  /// With scale and shift of its own instead of the context's, whatever the post-ops.
  template <class T>
  void run(const Context& c, const float* scale, const float* shift) const;

 private:
  Epilogue epilogue_;
  Slot<float> ones_, zeros_;  ///< by channel, where nothing is affine
};

}  // namespace sluice
