#include "layers/open_channels.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/convolution.hpp"
#include "layers/folded_weights.hpp"
#include "layers/int8_convolution.hpp"
#include "layers/int8_edges.hpp"
#include "layers/open_convolution.hpp"
#include "layers/way_names.hpp"

namespace sluice {
namespace {

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

TensorDesc in_floats(TensorDesc tensor) {
  tensor.type = DataType::kF32;
  return tensor;
}

OpenProblem problem_of(const OpRequest& request, const ChannelFactors& factors, const ConvGeometry& geometry) {
  const Epilogue epilogue(request.post_ops);
  OpenProblem problem;
  problem.geometry = geometry;
  problem.src = in_floats(request.src[0]);
  problem.dst = in_floats(request.dst);
  problem.closes_inputs = factors.inputs >= 0;
  problem.closes_outputs = factors.outputs >= 0;
  problem.adds = epilogue.adds;
  problem.allow_winograd = request.allow_winograd;
  problem.low = epilogue.low;
  problem.high = epilogue.high;
  return problem;
}

/// In floats, whatever the images come and go in.
class OpenChannels : public Op {
 public:
  OpenChannels(const OpRequest& request, const ChannelFactors& factors, const OpenProblem& problem, bool bias,
               OpNeeds& needs)
      : factors_(factors), weights_(request, problem.geometry, bias), convolution_(problem) {
    Frames frames = needs.slots.frames();
    edges_ = Int8Edges(request, frames.forward);
    weights_.book(needs.slots, frames.refresh);
    convolution_.book(needs.slots, frames.refresh, frames.forward);
  }

  std::string kernel() const { return convolution_.kernel(); }
  void refresh(const Context& c) override { convolution_.pack(c.memory, weights_.fold(c)); }
  void forward(const Context& c) override {
    const OpenFactors factors{factors_of(c, factors_.inputs), factors_of(c, factors_.outputs)};
    const float* const bias = weights_.bias(c);
    edges_.run(c, [&](const void* src, void* dst) {
      convolution_.run(c.memory, static_cast<const float*>(src), factors, bias, static_cast<float*>(dst));
    });
  }

 private:
  ChannelFactors factors_;
  FoldedWeights weights_;
  Int8Edges edges_;  ///< around convolution_
  OpenConvolution convolution_;
};

}  // namespace

std::vector<NamedWay> open_channel_ways(const OpRequest& request, const ChannelFactors& factors,
                                        const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                        std::vector<NamedWay> dense) {
  for (NamedWay& way : dense) {
    way.make = [factors, make = std::move(way.make)](std::string& kernel) -> std::unique_ptr<Op> {
      auto op = make(kernel);
      return op == nullptr ? nullptr : std::make_unique<Multiplied>(std::move(op), factors.outputs);
    };
  }
  std::vector<NamedWay> all = std::move(dense);
  all.push_back({kChannelsWay, [&request, &needs, factors, geometry, bias](std::string& kernel) -> std::unique_ptr<Op> {
                   const OpenProblem problem = problem_of(request, factors, geometry);
                   if (!OpenConvolution::fits(problem)) return nullptr;
                   auto op = std::make_unique<OpenChannels>(request, factors, problem, bias, needs);
                   kernel = op->kernel();
                   return op;
                 }});
  all.push_back({kInt8ChannelsWay, [&request, &needs, factors, geometry, bias](std::string& kernel) {
                   return make_int8_open_channels(request, factors, geometry, bias, needs, kernel);
                 }});
  return all;
}

}  // namespace sluice
