// The layer type `swish`: x * sigmoid(beta x) with a learned beta for each channel (Ramachandran et al. 2017, arXiv
// 1710.05941), as a plug-in.
#include <algorithm>
#include <cmath>
#include <sluice/layer.hpp>

namespace {

using namespace sluice;

float sigmoid(float x) {
  return 1 / (1 + std::exp(-x));
}

constexpr std::int64_t kGrain = 1 << 12;  ///< elements that are worth a thread

/// Calls body(image, channel, element) for every element, in parallel over images and channel blocks; an activation
/// is stored as [N][C / block][H][W][block], and block = C is NHWC.
template <class Body>
void for_each_element(const TensorDesc& desc, const Body& body) {
  const std::int64_t blocks = desc.shape[kC] / desc.block, pixels = desc.shape[kH] * desc.shape[kW];
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (pixels * desc.block));
  parallel_for(desc.shape[kN] * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * pixels; i < end * pixels; ++i) {
      const std::int64_t first = i / pixels % blocks * desc.block;
      for (std::int64_t j = 0; j < desc.block; ++j) body(i / (pixels * blocks), first + j, i * desc.block + j);
    }
  });
}

/// src, dst: N x C x H x W; beta: C.
///   dst = x s, with x = src, s = sigmoid(beta x)
///   diff_src = diff_dst s (1 + beta x (1 - s))
///   diff_beta[c] = sum over n, h, w of diff_dst x^2 s (1 - s)
template <class T>
class SwishOp : public Op {
 public:
  SwishOp(const OpRequest& request, OpNeeds& needs) {
    needs.backward_uses_src = true;
    // One sum for each image and channel: they add up in one order, whatever the number of threads.
    if (request.training()) sums_ = needs.slots.scratch().book<double>(request.batch * request.dst.shape[kC]);
  }

  void forward(const Context& c) override {
    const T* const src = c.src[0].as<const T>();
    T* const dst = c.dst.as<T>();
    const float* const beta = c.param[0];
    for_each_element(c.dst.desc, [=](std::int64_t, std::int64_t channel, std::int64_t i) {
      const float x = widen(src[i]);
      narrow(x * sigmoid(beta[channel] * x), dst[i]);
    });
  }

  void backward(const Context& c) override {
    const std::int64_t images = c.dst.shape()[kN], channels = c.dst.shape()[kC];
    const T* const src = c.src[0].as<const T>();
    const T* const diff_dst = c.diff_dst[0].as<const T>();
    T* const diff_src = c.diff_src[0].as<T>();  // null where nobody needs it
    const float* const beta = c.param[0];
    double* const sums = c.memory[sums_];
    std::fill_n(sums, sums_.count(), 0.0);
    for_each_element(c.dst.desc, [=](std::int64_t image, std::int64_t channel, std::int64_t i) {
      const float x = widen(src[i]), g = widen(diff_dst[i]), z = beta[channel] * x;
      const float s = sigmoid(z), rest = sigmoid(-z);  // rest = 1 - s, without its rounding
      sums[image * channels + channel] += static_cast<double>(g * x * x * s * rest);
      if (diff_src != nullptr) narrow(g * s * (1 + z * rest), diff_src[i]);
    });
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      double sum = 0;
      for (std::int64_t image = 0; image < images; ++image) sum += sums[image * channels + channel];
      c.diff_param[0][channel] += static_cast<float>(sum);  // adds: the parameter may have other users
    }
  }

 private:
  Slot<double> sums_;
};

class Swish : public Layer {
 public:
  explicit Swish(Keys& keys) { keys.optional("beta", initial_, any_number(), "initial beta of every channel"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = src[0];
    declare.like_src = true;  // bf16 in, bf16 out
    declare.parameter("beta", {src[0][kC]}, "beta", Init::constant(initial_));
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<SwishOp>(request.dst.type, request, needs);
  }

 private:
  double initial_ = 1;
};

void register_types(Registry& registry) {
  registry.add_layer("swish", "x * sigmoid(beta x), beta learned for each channel",
                     [](Keys& keys) { return std::make_unique<Swish>(keys); });
}

}  // namespace

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin =
      sluice::describe_plugin("swish", "swish activation with learned slopes", register_types);
  return &kPlugin;
}
