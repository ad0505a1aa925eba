// Activations beside relu and clip.
#include "core/base/parallel.hpp"
#include "layers/kernels/activation_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using Function = Activation::Function;

template <class T>
class ActivationOp : public Op {
 public:
  ActivationOp(Activation activation, OpNeeds& needs) : activation_(activation) {
    needs.backward_uses_src = true;
    needs.dst_may_overwrite_src = true;
    needs.kernel = "sluice:" + to_string(cpu_isa());
  }

  void forward(const Context& c) override {
    parallel_for(c.dst.desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      activation_kernels<T>().forward(activation_, end - begin, c.src[0].as<const T>() + begin, c.dst.as<T>() + begin);
    });
  }

  void backward(const Context& c) override {
    parallel_for(c.dst.desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      activation_kernels<T>().backward(activation_, end - begin, c.src[0].as<const T>() + begin,
                                       c.diff_dst[0].as<const T>() + begin, c.diff_src[0].as<T>() + begin);
    });
  }

 private:
  static constexpr std::int64_t kGrain = 1 << 13;
  Activation activation_;
};

/// Any source, a result like it.
class ActivationLayer : public Layer {
 public:
  /// `kind`: of its attributes.
  ActivationLayer(std::string kind, Activation activation) : kind_(std::move(kind)), activation_(activation) {}

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.by_channel = true;
    declare.keeps_zeros = activation_.function != Function::kSigmoid && activation_.function != Function::kHardSigmoid;
    declare.nonnegative = activation_.function == Function::kSigmoid || activation_.function == Function::kHardSigmoid;
  }

  Attributes attributes() const override {
    Attributes attributes(kind_);
    if (activation_.function == Function::kLeakyRelu) attributes.set("slope", static_cast<double>(activation_.slope));
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<ActivationOp>(request.dst.type, activation_, needs);
  }

 private:
  std::string kind_;
  Activation activation_;
};

}  // namespace

std::unique_ptr<Layer> make_leaky_relu(Keys& keys) {
  double slope = 0.01;
  keys.optional("slope", slope, any_number(), "factor of what is below 0");
  return std::make_unique<ActivationLayer>("leaky_relu", Activation{Function::kLeakyRelu, static_cast<float>(slope)});
}

std::unique_ptr<Layer> make_sigmoid(Keys&) {
  return std::make_unique<ActivationLayer>("sigmoid", Activation{Function::kSigmoid});
}

std::unique_ptr<Layer> make_hard_sigmoid(Keys&) {
  return std::make_unique<ActivationLayer>("hard_sigmoid", Activation{Function::kHardSigmoid});
}

std::unique_ptr<Layer> make_hard_swish(Keys&) {
  return std::make_unique<ActivationLayer>("hard_swish", Activation{Function::kHardSwish});
}

std::unique_ptr<Layer> make_silu(Keys&) {
  return std::make_unique<ActivationLayer>("silu", Activation{Function::kSilu});
}

}  // namespace sluice
