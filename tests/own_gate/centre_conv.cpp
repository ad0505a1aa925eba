// The layer type `centre_conv`, as a plug-in: a gated convolution whose kernels' middle decides about the rest of them.
#include <algorithm>

#include "core/graph/registry.hpp"
#include "core/plugin/plugin.hpp"
#include "gating/gate.hpp"
#include "layers/convolution.hpp"
#include "layers/layers.hpp"

namespace {

using namespace sluice;

/// src: N x I x H x W; weight: O x I x K x K, K odd; threshold: O. The tap in the middle of a kernel is the base path,
/// the ring around it the conditional one:
///   P = conv(src, middle),  R = conv(src, ring),  dst = P + d (.) R,  d = 1 where P > threshold[o], else 0
/// The gate has the gradients (gating/gate.hpp); with u that of its sigmoid,
///   diff_P = g + u,  diff_R = g (.) d,  diff_threshold = -sum(u)
class CentreConv : public Layer {
 public:
  explicit CentreConv(Keys& keys) {
    geometry_.describe(keys);
    options_.describe(keys);  // alpha, sparse_backprop, threshold_init, granularity
    if (keys.documenting()) return;
    if (geometry_.groups != 1) keys.error("groups", "centre_conv cannot be grouped");
    if (geometry_.kernel < 3 || geometry_.kernel % 2 == 0) keys.error("kernel", "expected an odd number from 3 on");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    weights_ = geometry_.weights_shape(src[0]);
    declare.parameter("weight", weights_, "weights", Init::kaiming(weights_[1] * weights_[2] * weights_[3]));
    // This group is what [gating_loss] pulls, and what no_decay may name.
    declare.parameter("threshold", {geometry_.channels}, "threshold", Init::constant(options_.threshold_init));
    // These two make the densities; the costs that name them are those that closed gates save.
    const int open = declare.count("open"), total = declare.count("total");
    const std::int64_t macs = geometry_.macs(src[0]), middle = macs / (weights_[2] * weights_[3]);
    declare.costs.push_back({middle});
    declare.costs.push_back({macs - middle, 32, 32, open, total});
    declare.wants_activation = true;  // --dry-run warns where none follows
  }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    products_ = Gate::products_desc(setup.src[0], setup.dst);
    gate_ = Gate(options_, products_, setup.dst);
    ConvProblem problem{geometry_, setup.src[0], products_, setup.mode, false, setup.allow_winograd, {}};
    problem.geometry.channels = 2 * geometry_.channels;  // one convolution computes both products
    forward_ = ConvForward(problem);
    setup.kernel = forward_.kernel();
    forward_packed_ = request_packed(setup, forward_.weights());
    constants_ = setup.request_kept(2 * gate_.base().padded() * kFloat);
    const std::int64_t products = align_up(products_.bytes()), score = align_up(gate_.saved_bytes());
    setup.request_scratch(products + score + forward_.scratch_bytes());
    if (!training_) return;
    products_saved_ = setup.request_saved(products);
    score_saved_ = setup.request_saved(score);
    setup.backward_uses_src = true;
    backward_weights_ = ConvBackwardWeights(problem);
    setup.request_scratch(products + sum_bytes() + gate_.scratch_bytes());
    setup.request_scratch(products + weight_bytes() + backward_weights_.scratch_bytes());
    needs_diff_src_ = setup.needs_diff_src[0];
    if (!needs_diff_src_) return;
    backward_data_ = ConvBackwardData(problem);
    backward_packed_ = request_packed(setup, backward_data_.weights());
    setup.request_scratch(products + backward_data_.scratch_bytes());
  }

  /// Parameters have changed: split the weights, note the thresholds.
  void refresh(Context& c) override {
    float* const both = static_cast<float*>(c.scratch);
    std::fill_n(both, weight_bytes() / kFloat, 0.0F);
    for (std::int64_t i = 0; i < weights_.count(); ++i) both[place(i)] = c.param[0][i];
    char* const rest = static_cast<char*>(c.scratch) + weight_bytes();
    forward_.weights().pack(both, kept(c, forward_packed_), rest);
    if (needs_diff_src_) backward_data_.weights().pack(both, kept(c, backward_packed_), rest);
    float* const limit = static_cast<float*>(kept(c, constants_));
    std::copy_n(c.param[1], geometry_.channels, limit);
    std::fill_n(limit + gate_.base().padded(), geometry_.channels, 1.0F);
  }

  void forward(Context& c) override {
    if (products_.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (products_.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

 private:
  static constexpr std::int64_t kFloat = sizeof(float);

  /// Where weight i stands among 2 O filters: those of the middle first, zero elsewhere, then those of the ring.
  std::int64_t place(std::int64_t i) const {
    const std::int64_t taps = weights_[2] * weights_[3];
    return i % taps == taps / 2 ? i : weights_.count() + i;
  }
  std::int64_t weight_bytes() const { return align_up(2 * weights_.count() * kFloat); }
  std::int64_t sum_bytes() const { return align_up(ChannelSums::bytes(gate_.base())); }

  int request_packed(Setup& setup, PackedWeights& weights) const {
    setup.request_scratch(weight_bytes() + weights.scratch_bytes());
    return setup.request_kept(weights.bytes());
  }
  static void* kept(const Context& c, int index) { return c.kept[static_cast<std::size_t>(index)]; }
  static void* saved(const Context& c, int index) { return c.saved[static_cast<std::size_t>(index)]; }
  GateConstants constants(const Context& c) const {
    const float* const limit = static_cast<const float*>(kept(c, constants_));
    return {limit, limit + gate_.base().padded()};
  }

  template <class T>
  void forward_as(Context& c) {
    char* const scratch = static_cast<char*>(c.scratch);
    char* const score_scratch = scratch + align_up(products_.bytes());
    void* const products = training_ ? saved(c, products_saved_) : scratch;
    void* const score = training_ ? saved(c, score_saved_) : score_scratch;
    forward_.run(c.src[0].data, kept(c, forward_packed_), nullptr, products,
                 score_scratch + align_up(gate_.saved_bytes()));
    c.counts[0] += gate_.forward(static_cast<const T*>(products), constants(c), c.dst.as<T>(), score);
    c.counts[1] += c.dst.desc.count();
  }

  template <class T>
  void backward_as(Context& c) {
    T* const diff_products = static_cast<T*>(c.scratch);
    char* const rest = static_cast<char*>(c.scratch) + align_up(products_.bytes());
    ChannelSums sums(gate_.base(), rest);
    gate_.backward(static_cast<const T*>(saved(c, products_saved_)), c.diff_dst[0].as<const T>(), constants(c), nullptr,
                   saved(c, score_saved_), rest + sum_bytes(), diff_products, sums);
    for (std::int64_t o = 0; o < geometry_.channels; ++o) c.diff_param[1][o] -= static_cast<float>(sums.first(o));

    float* const diff_both = reinterpret_cast<float*>(rest);
    std::fill_n(diff_both, weight_bytes() / kFloat, 0.0F);
    backward_weights_.run(c.src[0].data, diff_products, diff_both, nullptr, rest + weight_bytes());
    for (std::int64_t i = 0; i < weights_.count(); ++i) c.diff_param[0][i] += diff_both[place(i)];
    if (needs_diff_src_) backward_data_.run(diff_products, kept(c, backward_packed_), c.diff_src[0].data, rest);
  }

  ConvGeometry geometry_;
  GateOptions options_;
  Shape weights_;
  Gate gate_;
  TensorDesc products_;
  bool training_ = false, needs_diff_src_ = false;
  int forward_packed_ = 0, backward_packed_ = 0, constants_ = 0, products_saved_ = 0, score_saved_ = 0;
  ConvForward forward_;
  ConvBackwardData backward_data_;
  ConvBackwardWeights backward_weights_;
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
