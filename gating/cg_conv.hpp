// What the operations of a channel-gated convolution have in common (gating/cg_conv.cpp has the layer and its
// formulas).
#pragma once

#include <memory>

#include "core/graph/op.hpp"
#include "gating/channel_rows.hpp"
#include "gating/gate.hpp"
#include "gating/path_mask.hpp"
#include "gating/two_norms.hpp"
#include "layers/convolution.hpp"

namespace sluice {

struct CgOptions {
  ConvGeometry geometry;
  PathOptions paths;
  GateOptions gate;
  double eps = 1e-5, momentum = 0.1;  ///< of the gate's normalisation, and of those of two_norms
  bool two_norms = false;

  PathMask mask(const Shape& src) const { return PathMask(paths, geometry.weights_shape(src)); }
};

/// Both products everywhere, and their gradients.
std::unique_ptr<Op> make_cg_training(const OpRequest& request, const CgOptions& options, OpNeeds& needs);
/// Inference that computes both products everywhere.
std::unique_ptr<Op> make_cg_inference(const OpRequest& request, const CgOptions& options, OpNeeds& needs);
/// Inference that computes the conditional product where gates are open.
std::unique_ptr<Op> make_cg_skipping(const OpRequest& request, const CgOptions& options, OpNeeds& needs);

/// What the gate of a channel compares with, from the statistics of its normalisation: BN0(Yp) > threshold is
/// Yp > mean + threshold sqrt(variance + eps), which is the limit; the slope is 1 / sqrt(variance + eps).
struct GateLimit {
  float limit, slope;
};
GateLimit gate_limit(float mean, float variance, float threshold, double eps);

/// The same for all channels.
class CgLimits {
 public:
  CgLimits() = default;
  CgLimits(SlotBook& book, std::int64_t channels, double eps) : channels_(channels), eps_(eps), rows_(book, channels) {}
  void set(const Context& c, const float* mean, const float* variance) const;
  GateConstants of(const Memory& memory) const { return {rows_(memory, kLimit), rows_(memory, kSlope)}; }

 private:
  enum Row { kLimit, kSlope, kRows };
  std::int64_t channels_ = 0;
  double eps_ = 0;
  ChannelRows<Row> rows_;
};

/// The constants of inference: from the running statistics, after each change of the parameters.
class CgConstants {
 public:
  CgConstants() = default;
  CgConstants(const OpRequest& request, const CgOptions& options, OpNeeds& needs);
  void refresh(const Context& c) const;
  GateConstants gate(const Memory& memory) const { return limits_.of(memory); }
  bool has_norms() const { return two_norms_; }
  NormPair norms(const Memory& memory) const { return norms_.constants(memory); }

 private:
  bool two_norms_ = false;
  CgLimits limits_;
  TwoNorms norms_;
};

}  // namespace sluice
