// RPReLU (Liu et al. 2020, ReActNet, arXiv 2003.03488): a PReLU between two learned shifts, all of them by channel.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/channel_groups.hpp"
#include "layers/kernels/rprelu_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

template <class T>
class RPReluOp : public Op {
 public:
  RPReluOp(const OpRequest& request, OpNeeds& needs) : groups_(request.dst) {
    needs.backward_uses_src = true;
    needs.dst_may_overwrite_src = !request.training();
    needs.kernel = "sluice:" + to_string(cpu_isa());
    // One sum for each image and channel: they add up in one order, whatever the number of threads.
    if (request.training()) sums_ = needs.slots.scratch().book<double>(groups_.images * kParts * groups_.padded());
  }

  void forward(const Context& c) override {
    const T* const src = c.src[0].as<const T>();
    T* const dst = c.dst.as<T>();
    each_group(c, [&](std::int64_t at, const ChannelGroup& group, const Parameters& parameters, std::int64_t) {
      kernels_.forward(group, parameters, src + at, dst + at);
    });
  }

  void backward(const Context& c) override {
    double* const sums = c.memory[sums_];
    std::fill_n(sums, sums_.count(), 0.0);
    const T *const src = c.src[0].as<const T>(), *const diff_dst = c.diff_dst[0].as<const T>();
    T* const diff_src = c.diff_src[0].as<T>();
    each_group(c, [&](std::int64_t at, const ChannelGroup& group, const Parameters& parameters, std::int64_t own) {
      const auto sum = [=](Part part) { return sums + own + part * groups_.padded(); };
      kernels_.backward(group, parameters, src + at, diff_dst + at, diff_src == nullptr ? nullptr : diff_src + at,
                        {sum(kShiftX), sum(kSlope), sum(kShiftY)});
    });
    for (std::int64_t part = 0; part < kParts; ++part) {
      for (std::int64_t o = 0; o < groups_.channels; ++o) {
        double sum = 0;
        for (std::int64_t n = 0; n < groups_.images; ++n) sum += sums[(n * kParts + part) * groups_.padded() + o];
        c.diff_param[static_cast<std::size_t>(part)][o] += static_cast<float>(sum);
      }
    }
  }

 private:
  /// Parameters in their order, and the sums of their gradients.
  enum Part { kShiftX, kSlope, kShiftY, kParts };

  using Parameters = RPReluParameters<const float>;

  /// Calls body(element, group, its parameters, its first sum) for the groups of channels of all images.
  template <class Body>
  void each_group(const Context& c, Body&& body) const {
    parallel_for(groups_.images * groups_.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i / groups_.count, group = i % groups_.count, first = 16 * group;
        body(groups_.offset(image, group), groups_.at(group),
             Parameters{c.param[kShiftX] + first, c.param[kSlope] + first, c.param[kShiftY] + first},
             image * kParts * groups_.padded() + first);
      }
    });
  }

  const RPReluKernels<T>& kernels_ = rprelu_kernels<T>();
  ChannelGroups groups_;
  Slot<double> sums_;
};

/// src, dst: N x C x H x W; shift_x, weight, shift_y: C. With z = src + shift_x:
///   dst = max(z, 0) + weight min(z, 0) + shift_y
///   diff_src = diff_dst (z > 0 ? 1 : weight)
///   diff_shift_x = sum(diff_src), diff_weight = sum(diff_dst min(z, 0)), diff_shift_y = sum(diff_dst)
class RPRelu : public Layer {
 public:
  explicit RPRelu(Keys& keys) { keys.optional("init", init_, any_number(), "initial slope below 0"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.by_channel = true;
    declare.parameter("shift_x", {src[0][kC]}, "bias", Init::constant(0));
    declare.parameter("weight", {src[0][kC]}, "slope", Init::constant(init_));
    declare.parameter("shift_y", {src[0][kC]}, "bias", Init::constant(0));
  }

  Attributes attributes() const override { return Attributes("shifted_prelu"); }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<RPReluOp>(request.dst.type, request, needs);
  }

 private:
  double init_ = 0.25;
};

}  // namespace

std::unique_ptr<Layer> make_rprelu(Keys& keys) {
  return std::make_unique<RPRelu>(keys);
}

}  // namespace sluice
