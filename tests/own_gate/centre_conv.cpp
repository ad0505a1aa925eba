// The layer type `centre_conv`, as a plug-in: a gated convolution whose kernels' middle decides about the rest of them.
#include <algorithm>
#include <sluice/gate.hpp>

namespace {

using namespace sluice;

/// The tap in the middle of a kernel is whose (SplitConvolution).
struct CentreSplit {
  Shape weights;

  /// Where weight i stands among 2 O filters: those of the middle first, zero elsewhere, then those of the ring.
  std::int64_t place(std::int64_t i) const {
    const std::int64_t taps = weights[2] * weights[3];
    return i % taps == taps / 2 ? i : weights.count() + i;
  }
  void split(const float* from, float* both) const {
    std::fill_n(both, 2 * weights.count(), 0.0F);
    for (std::int64_t i = 0; i < weights.count(); ++i) both[place(i)] = from[i];
  }
  void merge(const float* diff_both, float* diff_weights) const {
    for (std::int64_t i = 0; i < weights.count(); ++i) diff_weights[i] += diff_both[place(i)];
  }
};

template <class T>
class CentreOp : public Op {
 public:
  CentreOp(const OpRequest& request, const ConvGeometry& geometry, const GateOptions& gate, OpNeeds& needs)
      : split_{geometry.weights_shape(request.src[0].shape)},
        products_(gate, request.src[0], request.dst),
        convolution_(request, geometry, products_.desc()),
        thresholds_(needs.slots, geometry.channels) {
    Frames frames = needs.slots.frames();
    if (request.training()) {
      products_.book_training(needs, frames.backward);
    } else {
      products_.book_inference(needs, frames.forward, request.record_decisions);
    }
    convolution_.book(needs, frames);
  }

  /// Parameters have changed: split the weights, note the thresholds.
  void refresh(const Context& c) override {
    convolution_.refresh(c, split_);
    thresholds_.refresh(c.memory, c.param[1]);
  }

  void forward(const Context& c) override {
    convolution_.forward(c, products_.products(c.memory));
    products_.select(c, thresholds_.of(c.memory));
  }

  void backward(const Context& c) override {
    products_.backward(c, thresholds_.of(c.memory), 1);  // parameter 1: the thresholds
    convolution_.backward(c, split_, products_.diff_products(c.memory));
  }

 private:
  CentreSplit split_;
  TwoProducts<T> products_;
  SplitConvolution convolution_;
  ThresholdConstants thresholds_;
};

/// src: N x I x H x W; weight: O x I x K x K, K odd; threshold: O. The tap in the middle of a kernel is the base path,
/// the ring around it the conditional one:
///   P = conv(src, middle),  R = conv(src, ring),  dst = P + d (.) R,  d = 1 where P > threshold[o], else 0
/// The gate has the gradients (gating/gate.hpp); with u that of its sigmoid,
///   diff_P = g + u,  diff_R = g (.) d,  diff_threshold = -sum(u)
class CentreConv : public Layer {
 public:
  explicit CentreConv(Keys& keys) {
    geometry_.describe(keys);
    gate_.describe(keys);  // alpha, sparse_backprop, threshold_init, granularity
    if (keys.documenting()) return;
    if (geometry_.groups != 1) keys.error("groups", "centre_conv cannot be grouped");
    if (geometry_.kernel < 3 || geometry_.kernel % 2 == 0) keys.error("kernel", "expected an odd number from 3 on");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    const Shape weights = geometry_.weights_shape(src[0]);
    declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
    // This group is what [gating_loss] pulls, and what no_decay may name.
    declare.parameter("threshold", {geometry_.channels}, "threshold", Init::constant(gate_.threshold_init));
    // These two make the densities; the costs that name them are those that closed gates save.
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    const std::int64_t macs = geometry_.macs(src[0]), middle = macs / (weights[2] * weights[3]);
    declare.costs.push_back({middle});
    declare.costs.push_back({macs - middle, 32, 32, open, total});
    declare.wants_activation = true;  // --dry-run warns where none follows
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<CentreOp>(request.dst.type, request, geometry_, gate_, needs);
  }

 private:
  ConvGeometry geometry_;
  GateOptions gate_;
};

void register_types(Registry& registry) {
  registry.add_layer("centre_conv", "gated convolution: the middle of each kernel decides about the rest",
                     [](Keys& keys) { return std::make_unique<CentreConv>(keys); });
}

}  // namespace

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin = sluice::describe_plugin(
      "centre_conv", "a gated convolution that predicts from its kernels' middle", register_types);
  return &kPlugin;
}
