#include "layers/open_channels.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/convolution.hpp"
#include "layers/folded_weights.hpp"
#include "layers/open_convolution.hpp"

namespace sluice {
namespace {

/// The ways.
constexpr char kDense[] = "dense", kOpen[] = "channels";

const float* factors_of(const Context& c, int source) {
  return source < 0 ? nullptr : c.src[static_cast<std::size_t>(source)].as<const float>();
}

/// dst = dst factors, by image and channel.
void multiply_channels(const float* factors, const Tensor& dst) {
  constexpr std::int64_t kGrain = 1 << 13;  // numbers
  const std::int64_t block = dst.desc.block, plane = dst.shape()[kH] * dst.shape()[kW];
  float* const data = dst.as<float>();
  parallel_for(dst.desc.count() / block, std::max<std::int64_t>(1, kGrain / block),
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t pixel = begin; pixel < end; ++pixel) {
                   const float* const own = factors + pixel / plane * block;
                   for (std::int64_t c = 0; c < block; ++c) data[pixel * block + c] *= own[c];
                 }
               });
}

/// Another operation, whose result is then multiplied by channel.
class Multiplied : public Op {
 public:
  Multiplied(std::unique_ptr<Op> op, int factors) : op_(std::move(op)), factors_(factors) {}

  void refresh(const Context& c) override { op_->refresh(c); }
  void forward(const Context& c) override {
    op_->forward(c);
    if (factors_ >= 0) multiply_channels(factors_of(c, factors_), c.dst);
  }

 private:
  std::unique_ptr<Op> op_;
  int factors_;
};

OpenProblem problem_of(const OpRequest& request, const ChannelFactors& factors, const ConvGeometry& geometry) {
  const Epilogue epilogue(request.post_ops);
  OpenProblem problem;
  problem.geometry = geometry;
  problem.src = request.src[0];
  problem.dst = request.dst;
  problem.closes_inputs = factors.inputs >= 0;
  problem.closes_outputs = factors.outputs >= 0;
  problem.adds = epilogue.adds;
  problem.allow_winograd = request.allow_winograd;
  problem.low = epilogue.low;
  problem.high = epilogue.high;
  return problem;
}

class OpenChannels : public Op {
 public:
  OpenChannels(const OpRequest& request, const ChannelFactors& factors, const ConvGeometry& geometry, bool bias,
               OpNeeds& needs)
      : factors_(factors), weights_(request, geometry, bias), convolution_(problem_of(request, factors, geometry)) {
    Frames frames = needs.slots.frames();
    weights_.book(needs.slots, frames.refresh);
    convolution_.book(needs.slots, frames.refresh, frames.forward);
    needs.kernel = convolution_.kernel();
  }

  void refresh(const Context& c) override { convolution_.pack(c.memory, weights_.fold(c)); }
  void forward(const Context& c) override {
    convolution_.run(c.memory, c.src[0].as<const float>(),
                     {factors_of(c, factors_.inputs), factors_of(c, factors_.outputs)}, weights_.bias(c),
                     c.dst.as<float>());
  }

 private:
  ChannelFactors factors_;
  FoldedWeights weights_;
  OpenConvolution convolution_;
};

}  // namespace

std::unique_ptr<Op> make_open_channels(const OpRequest& request, const ChannelFactors& factors,
                                       const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                       const std::function<std::unique_ptr<Op>()>& make_dense) {
  const bool fits = OpenConvolution::fits(problem_of(request, factors, geometry));
  if (fits && request.way == kOpen) return std::make_unique<OpenChannels>(request, factors, geometry, bias, needs);
  auto dense = std::make_unique<Multiplied>(make_dense(), factors.outputs);
  if (!fits || request.way == kDense) return dense;
  const std::string dense_kernel = needs.kernel;
  auto ways = std::make_unique<Ways>();
  ways->add(std::move(dense));
  ways->add(std::make_unique<OpenChannels>(request, factors, geometry, bias, needs));
  needs.kernel = dense_kernel + " " + needs.kernel;
  needs.alternatives = {kDense, kOpen};
  needs.alternative = 1;
  return ways;
}

}  // namespace sluice
