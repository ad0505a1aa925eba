// Inference of channel-gated layers: with both products everywhere, or with the conditional one where gates are open.
#include <cmath>

#include "gating/cg_conv.hpp"
#include "gating/skip/skip_path.hpp"
#include "gating/split_convolution.hpp"
#include "gating/two_products.hpp"
#include "layers/epilogue.hpp"

namespace sluice {
namespace {

template <class T>
class CgInference : public Op {
 public:
  CgInference(const OpRequest& request, const CgOptions& options, OpNeeds& needs)
      : mask_(options.mask(request.src[0].shape)),
        constants_(request, options, needs),
        epilogue_(request, needs),
        products_(options.gate, request.src[0], request.dst),
        convolution_(request, options.geometry, products_.desc(), mask_.split_blocks()) {
    Frames frames = needs.slots.frames();
    products_.book_inference(needs, frames.forward, request.record_decisions);
    convolution_.book(needs, frames);
  }

  void refresh(const Context& c) override {
    constants_.refresh(c);
    convolution_.refresh(c, mask_);
  }

  void forward(const Context& c) override {
    convolution_.forward(c, products_.products(c.memory));
    const GateNorms norms = constants_.has_norms() ? GateNorms{constants_.norms(c.memory)} : GateNorms{};
    products_.select(c, constants_.gate(c.memory), constants_.has_norms() ? &norms : nullptr);
    epilogue_.run<T>(c);
  }

 private:
  PathMask mask_;
  CgConstants constants_;
  EpiloguePass epilogue_;
  TwoProducts<T> products_;
  SplitConvolution convolution_;
};

class CgSkipping : public Op {
 public:
  CgSkipping(const OpRequest& request, const CgOptions& options, OpNeeds& needs)
      : constants_(request, options, needs),
        skip_(request, problem_of(request, options), needs, needs.slots.frames()) {}

  void refresh(const Context& c) override {
    constants_.refresh(c);
    const NormPair norms = constants_.has_norms() ? constants_.norms(c.memory) : NormPair{};
    skip_.refresh(c, c.param[0], constants_.gate(c.memory), constants_.has_norms() ? &norms : nullptr);
  }

  void forward(const Context& c) override {
    c.counts[0] += skip_.forward(c);
    c.counts[1] += c.dst.desc.count();
  }

 private:
  static SkipProblem problem_of(const OpRequest& request, const CgOptions& options) {
    SkipProblem problem;
    problem.geometry = options.geometry;
    problem.paths = options.mask(request.src[0].shape);
    problem.granularity = options.gate.granularity;
    return problem;
  }

  CgConstants constants_;
  SkipPath skip_;
};

}  // namespace

GateLimit gate_limit(float mean, float variance, float threshold, double eps) {
  const double deviation = std::sqrt(static_cast<double>(variance) + eps);
  const double limit = static_cast<double>(mean) + static_cast<double>(threshold) * deviation;
  return {static_cast<float>(limit), static_cast<float>(1.0 / deviation)};
}

void CgLimits::set(const Context& c, const float* mean, const float* variance) const {
  float *const limits = rows_(c.memory, kLimit), *const slopes = rows_(c.memory, kSlope);
  for (std::int64_t o = 0; o < channels_; ++o) {
    const GateLimit gate = gate_limit(mean[o], variance[o], c.param[1][o], eps_);
    limits[o] = gate.limit;
    slopes[o] = gate.slope;
  }
}

CgConstants::CgConstants(const OpRequest& request, const CgOptions& options, OpNeeds& needs)
    : two_norms_(options.two_norms), limits_(needs.slots, options.geometry.channels, options.eps) {
  if (two_norms_) norms_ = TwoNorms(needs.slots, ChannelGroups(request.dst), options.eps, options.momentum);
}

void CgConstants::refresh(const Context& c) const {
  limits_.set(c, c.buffer[0], c.buffer[1]);
  if (two_norms_) norms_.use_running(c, c.buffer[0], c.buffer[1]);
}

std::unique_ptr<Op> make_cg_inference(const OpRequest& request, const CgOptions& options, OpNeeds& needs) {
  return make_typed<CgInference>(request.dst.type, request, options, needs);
}

std::unique_ptr<Op> make_cg_skipping(const OpRequest& request, const CgOptions& options, OpNeeds& needs) {
  return std::make_unique<CgSkipping>(request, options, needs);
}

}  // namespace sluice
