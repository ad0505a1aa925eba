// Dense convolution by oneDNN; in inference it takes batch normalisation, addition and clipping along.
#include <cmath>

#include "core/base/cpu.hpp"
#include "layers/convolution.hpp"
#include "layers/folded_weights.hpp"
#include "layers/int8_convolution.hpp"
#include "layers/int8_edges.hpp"
#include "layers/layers.hpp"
#include "layers/open_channels.hpp"
#include "layers/way_names.hpp"

namespace sluice {
namespace {

/// Parameter 0 is the weights, parameter 1 the bias, if there is one.
class ConvTraining : public Op {
 public:
  ConvTraining(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs) : bias_(bias) {
    const ConvProblem problem{geometry, request.src[0], request.dst, request.mode, bias, request.allow_winograd, {}};
    forward_ = ConvForward(problem);
    gradients_ = ConvGradients(problem, request.needs_diff_src[0]);
    const Frames frames = needs.slots.frames();
    forward_.book(needs.slots, frames.refresh, frames.forward);
    gradients_.book(needs.slots, frames.refresh, frames.backward, frames.backward);
    needs.kernel = forward_.kernel() + gradients_.kernels();
    needs.backward_uses_src = true;
  }

  void refresh(const Context& c) override {
    forward_.pack(c.memory, c.param[0]);
    gradients_.pack(c.memory, c.param[0]);
  }

  void forward(const Context& c) override {
    forward_.run(c.memory, c.src[0].data, bias_ ? c.param[1] : nullptr, c.dst.data);
  }

  void backward(const Context& c) override {
    gradients_.weights().run(c.memory, c.src[0].data, c.diff_dst[0].data, c.diff_param[0],
                             bias_ ? c.diff_param[1] : nullptr);
    gradients_.run_data(c.memory, c.diff_dst[0].data, c.diff_src[0].data);
  }

 private:
  bool bias_;
  ConvForward forward_;
  ConvGradients gradients_;
};

/// In floats, whatever the images come and go in.
class ConvInference : public Op {
 public:
  ConvInference(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs, std::string& kernel)
      : weights_(request, geometry, bias) {
    Frames frames = needs.slots.frames();
    edges_ = Int8Edges(request, frames.forward);
    forward_ = ConvForward({geometry, edges_.src(), edges_.dst(), request.mode, weights_.has_bias(),
                            request.allow_winograd, Epilogue(request.post_ops)});
    weights_.book(needs.slots, frames.refresh);
    forward_.book(needs.slots, frames.refresh, frames.forward);
    kernel = forward_.kernel();
  }

  void refresh(const Context& c) override { forward_.pack(c.memory, weights_.fold(c)); }

  void forward(const Context& c) override {
    const float* const bias = weights_.bias(c);
    edges_.run(c, [&](const void* src, void* dst) { forward_.run(c.memory, src, bias, dst); });
  }

 private:
  FoldedWeights weights_;
  Int8Edges edges_;  ///< around forward_
  ConvForward forward_;
};

std::unique_ptr<Op> make_floats(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                std::string& kernel) {
  return std::make_unique<ConvInference>(request, geometry, bias, needs, kernel);
}

/// oneDNN's product by VNNI is faster than ours without.
std::unique_ptr<Op> make_own_product(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                     std::string& kernel) {
  return cpu_has_vnni() ? nullptr : make_int8_product(request, geometry, bias, needs, kernel);
}

class Conv : public Layer, public SkipsChannels {
 public:
  explicit Conv(Keys& keys) {
    geometry_.describe(keys);
    keys.optional("bias", bias_, "add a learned number to each output channel");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    const Shape weights = geometry_.weights_shape(src[0]);
    const std::int64_t fan_in = weights[1] * weights[2] * weights[3];
    declare.parameter("weight", weights, "weights", Init::kaiming(fan_in));
    if (bias_)
      declare.parameter("bias", {geometry_.channels}, "bias",
                        Init::uniform(1.0 / std::sqrt(static_cast<double>(fan_in))));
    const std::int64_t macs = geometry_.macs(src[0]);
    declare.costs.push_back({macs});
    declare.multiplies_channels = geometry_.groups == 1;
  }

  Attributes attributes() const override {
    Attributes attributes("convolution");
    geometry_.describe(attributes);
    attributes.set("bias", bias_);
    return attributes;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

  /// Without VNNI our kernels of floats are about as fast, but for filters of one pixel; and there are none of int8 for
  /// groups.
  Int8Wish int8_wish(bool /*may_skip*/) const override {
    if (geometry_.groups > 1) return cpu_has_vnni() ? Int8Wish::kTakes : Int8Wish::kNever;
    return cpu_has_vnni() || geometry_.kernel == 1 ? Int8Wish::kMultiplies : Int8Wish::kTakes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<ConvTraining>(request, geometry_, bias_, needs);
    needs.packed_params = {0};  // the weights
    needs.dst_starts_as_addend = adds_in_place(request);
    return make_ways(request.way, dense_ways(request, needs), needs);
  }

  std::unique_ptr<Op> make_skipping_op(const OpRequest& request, const ChannelFactors& factors,
                                       OpNeeds& needs) const override {
    needs.packed_params = {0};
    needs.dst_starts_as_addend = adds_in_place(request);
    return make_ways(request.way,
                     open_channel_ways(request, factors, geometry_, bias_, needs, dense_ways(request, needs)), needs);
  }

 private:
  /// In floats, and where int8 is wanted by those that multiply int8.
  std::vector<NamedWay> dense_ways(const OpRequest& request, OpNeeds& needs) const {
    const auto by = [this, &request, &needs](auto make) {
      return [=, &request, &needs](std::string& kernel) { return make(request, geometry_, bias_, needs, kernel); };
    };
    const bool int8 = request.src_range > 0 || request.src[0].type == DataType::kU8;
    return {{int8 ? kFloatWay : kDenseWay, by(make_floats)},
            {kInt8Way, by(make_int8_convolution)},
            {kInt8ProductWay, by(make_own_product)}};
  }

  ConvGeometry geometry_;
  bool bias_ = false;
};

}  // namespace

std::unique_ptr<Layer> make_conv(Keys& keys) {
  return std::make_unique<Conv>(keys);
}

}  // namespace sluice
