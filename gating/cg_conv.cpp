// Channel-gated convolution (Hua et al., Channel Gating Neural Networks, NeurIPS 2019, arXiv 1805.12549).
#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "gating/gate.hpp"
#include "gating/gating.hpp"
#include "gating/inference_ending.hpp"
#include "gating/path_mask.hpp"
#include "gating/skip_path.hpp"
#include "gating/two_norms.hpp"
#include "layers/convolution.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// src: N x I x H x W; weight: O x I x KH x KW, split into W (.) M (base) and W (.) (1 - M) (conditional); threshold:
/// O.
///   Yp = conv(src, W (.) M),  Yr = conv(src, W (.) (1 - M)),  q = BN0(Yp) - threshold  (BN0: no affine parameters)
///   dst = Yp + d (.) Yr,  d = 1 where q > 0 (gating/gate.hpp)
///   diff_threshold = -sum(u),  diff_Yp = g + BN0_backward(u),  diff_Yr = g (.) d
/// With two_norms, dst = d (.) BN_full(Yp + Yr) + (1 - d) (.) BN_base(Yp): affine batch normalisations that take their
/// statistics over all outputs (those of BN_base are BN0's); gradients flow through the one selected, and
/// u = sum of g (.) (BN_full(Yp + Yr) - BN_base(Yp)) * alpha s (1 - s).
/// Both products come from one convolution with 2 O filters: the source is read once, and every processor has a fast
/// kernel for it.
class CgConv : public Layer {
 public:
  explicit CgConv(Keys& keys) {
    gate_options_.alpha = 2.0;
    geometry_.describe(keys);
    paths_.describe(keys);
    gate_options_.describe(keys);
    keys.optional("gate_eps", eps_, above_zero(), "added to the variance of the gate's normalisation");
    keys.optional("gate_momentum", momentum_, between(0.0, 1.0), "weight of the newest batch in the gate's statistics");
    keys.optional(
        "two_norms", two_norms_,
        "normalise what is open and what is closed each by itself; stands for the batchnorm behind the layer");
    if (geometry_.groups != 1) keys.error("groups", "a channel-gated convolution cannot be grouped; use partitions");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    if (declare.dst[kW] > SkipConv::kMostWidth)
      throw ShapeError("", concat("the result ", to_string(declare.dst), " has rows of more than ",
                                  SkipConv::kMostWidth, " pixels"));
    const Shape weights = geometry_.weights_shape(src[0]);
    mask_ = PathMask(paths_, weights);
    declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
    declare.parameter("threshold", {geometry_.channels}, "threshold", Init::constant(gate_options_.threshold_init));
    declare.buffer("gate_running_mean", {geometry_.channels}, 0.0F);
    declare.buffer("gate_running_var", {geometry_.channels}, 1.0F);
    if (two_norms_) norms_.declare(declare, geometry_.channels);
    const int open = declare.count("open"), total = declare.count("total");
    const std::int64_t macs = geometry_.macs(src[0]), base = macs / weights[1] * mask_.base_inputs();
    declare.costs.push_back({base});
    declare.costs.push_back({macs - base, 32, 32, open, total});
    declare.wants_activation = true;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

  ByteWish byte_wish(bool may_skip) const override { return may_skip ? ByteWish::kMultiplies : ByteWish::kNever; }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    padded_ = ChannelGroups(setup.dst).padded();
    constants_ = setup.request_kept(kArrays * padded_ * 4);
    if (two_norms_) norms_.setup(setup, ChannelGroups(setup.dst), eps_, momentum_);
    if (setup.may_skip) {
      skip_ = SkipPath(setup, geometry_, mask_, gate_options_.granularity);
      return;
    }
    if (setup.record_decisions) setup.decisions = decisions_ = setup.request_kept(setup.dst.count() * 4);
    const ConvProblem problem = set_up_products(setup);
    setup.kernel = forward_.kernel();
    if (!training_) return;
    products_saved_ = setup.request_saved(products_.bytes());
    score_saved_ = setup.request_saved(gate_.saved_bytes());
    const std::int64_t products = align_up(products_.bytes());
    const std::int64_t sums = align_up(ChannelSums::bytes(gate_.base())) + TwoNorms::scratch_bytes(gate_.base());
    setup.request_scratch(std::max(forward_.scratch_bytes(), sums));
    set_up_backward(setup, problem);
    setup.request_scratch(products + sums + align_up(gate_.scratch_bytes()));
    setup.request_scratch(products + weight_bytes_ + backward_weights_.scratch_bytes());
    setup.request_scratch(products + backward_data_.scratch_bytes());
  }

  void refresh(Context& c) override {
    if (!training_) {
      set_constants(c, c.buffer[0], c.buffer[1]);
      if (two_norms_) norms_.use_running(c, c.buffer[0], c.buffer[1]);
    }
    if (!skip_.empty()) {
      const NormPair norms = two_norms_ ? norms_.constants(c) : NormPair{};
      return skip_.refresh(c, c.param[0], constants(c), two_norms_ ? &norms : nullptr);
    }
    float* const both = static_cast<float*>(c.scratch);
    mask_.split(c.param[0], both);
    char* const rest = static_cast<char*>(c.scratch) + weight_bytes_;
    forward_.weights().pack(both, c.kept[static_cast<std::size_t>(forward_packed_)], rest);
    if (needs_diff_src_) backward_data_.weights().pack(both, c.kept[static_cast<std::size_t>(backward_packed_)], rest);
  }

  void forward(Context& c) override {
    if (!skip_.empty()) {
      c.counts[0] += skip_.forward(c);
      c.counts[1] += c.dst.desc.count();
      return;
    }
    if (products_.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    char* const diff_products = static_cast<char*>(c.scratch);
    if (products_.type == DataType::kBF16) {
      gate_backward<BFloat16>(c, reinterpret_cast<BFloat16*>(diff_products));
    } else {
      gate_backward<float>(c, reinterpret_cast<float*>(diff_products));
    }
    char* const rest = diff_products + align_up(products_.bytes());
    float* const diff_both = reinterpret_cast<float*>(rest);
    std::fill_n(diff_both, weight_bytes_ / 4, 0.0F);
    backward_weights_.run(c.src[0].data, diff_products, diff_both, nullptr, rest + weight_bytes_);
    mask_.merge(diff_both, c.diff_param[0]);
    if (needs_diff_src_)
      backward_data_.run(diff_products, c.kept[static_cast<std::size_t>(backward_packed_)], c.diff_src[0].data, rest);
  }

 private:
  enum Array { kMean, kVariance, kLimit, kSlope, kShift, kFactor, kArrays };  ///< kept numbers by channel

  /// Both products, everywhere.
  ConvProblem set_up_products(Setup& setup) {
    ending_ = InferenceEnding(setup);
    products_ = Gate::products_desc(setup.src[0], setup.dst);
    gate_ = Gate(gate_options_, products_, setup.dst);
    ConvProblem problem{geometry_, setup.src[0], products_, setup.mode, false, setup.allow_winograd, {}};
    problem.geometry.channels = 2 * geometry_.channels;
    problem.mask = mask_.split_blocks();
    weight_bytes_ = align_up(problem.geometry.weights_shape(setup.src[0].shape).count() * 4);
    forward_ = ConvForward(problem);
    forward_packed_ = pack_with(setup, forward_.weights());
    if (!training_)
      setup.request_scratch(align_up(products_.bytes()) + align_up(gate_.saved_bytes()) + forward_.scratch_bytes());
    return problem;
  }

  /// Memory for packed weights, and for packing them from both paths' plain ones.
  int pack_with(Setup& setup, PackedWeights& weights) const {
    setup.request_scratch(weight_bytes_ + weights.scratch_bytes());
    return setup.request_kept(weights.bytes());
  }

  void set_up_backward(Setup& setup, const ConvProblem& problem) {
    setup.backward_uses_src = true;
    backward_weights_ = ConvBackwardWeights(problem);
    setup.kernel += " " + backward_weights_.kernel();
    needs_diff_src_ = setup.needs_diff_src[0];
    if (!needs_diff_src_) return;
    backward_data_ = ConvBackwardData(problem);
    setup.kernel += " " + backward_data_.kernel();
    backward_packed_ = pack_with(setup, backward_data_.weights());
  }

  float* array(const Context& c, Array which) const {
    return static_cast<float*>(c.kept[static_cast<std::size_t>(constants_)]) + which * padded_;
  }
  GateConstants constants(const Context& c) const { return {array(c, kLimit), array(c, kSlope)}; }

  /// BN0(Yp) > threshold is Yp > mean + threshold sqrt(variance + eps).
  void set_constants(Context& c, const float* mean, const float* variance) const {
    for (std::int64_t o = 0; o < geometry_.channels; ++o) {
      const double deviation = std::sqrt(static_cast<double>(variance[o]) + eps_);
      const double limit = static_cast<double>(mean[o]) + static_cast<double>(c.param[1][o]) * deviation;
      array(c, kLimit)[o] = static_cast<float>(limit);
      array(c, kSlope)[o] = static_cast<float>(1.0 / deviation);
    }
  }

  template <class T>
  void forward_as(Context& c) {
    char* const scratch = static_cast<char*>(c.scratch);
    char* const score_scratch = scratch + align_up(products_.bytes());
    void* const products = training_ ? c.saved[static_cast<std::size_t>(products_saved_)] : c.scratch;
    void* const score = training_ ? c.saved[static_cast<std::size_t>(score_saved_)] : score_scratch;
    forward_.run(c.src[0].data, c.kept[static_cast<std::size_t>(forward_packed_)], nullptr, products,
                 training_ ? scratch : score_scratch + align_up(gate_.saved_bytes()));
    const T* const both = static_cast<const T*>(products);
    if (training_) {
      float* const mean = array(c, kMean);
      float* const variance = array(c, kVariance);
      batch_statistics(gate_.base(), both, mean, variance, c.scratch);
      update_running_statistics(gate_.base(), mean, variance, momentum_, c.buffer[0], c.buffer[1]);
      set_constants(c, mean, variance);
      if (two_norms_) norms_.normalise_batch(c, gate_, both, mean, variance, c.scratch);
    }
    const GateNorms norms = two_norms_ ? GateNorms{norms_.constants(c)} : GateNorms{};
    c.counts[0] += gate_.forward(both, constants(c), c.dst.as<T>(), score, two_norms_ ? &norms : nullptr);
    c.counts[1] += c.dst.desc.count();
    if (decisions_)
      gate_.decisions(both, constants(c), score, static_cast<float*>(c.kept[static_cast<std::size_t>(*decisions_)]));
    if (!training_) ending_.run(c);
  }

  template <class T>
  void gate_backward(Context& c, T* diff_products) const {
    const std::int64_t sum_bytes = align_up(ChannelSums::bytes(gate_.base()));
    char* const rest = static_cast<char*>(c.scratch) + align_up(products_.bytes());
    ChannelSums sums(gate_.base(), rest), full(gate_.base(), rest + sum_bytes),
        base(gate_.base(), rest + 2 * sum_bytes);
    const T* const products = static_cast<const T*>(c.saved[static_cast<std::size_t>(products_saved_)]);
    const void* const score = c.saved[static_cast<std::size_t>(score_saved_)];
    const GateNorms norms = two_norms_ ? GateNorms{norms_.constants(c), &full, &base} : GateNorms{};
    gate_.backward(products, c.diff_dst[0].as<const T>(), constants(c), array(c, kMean), score, rest + 3 * sum_bytes,
                   diff_products, sums, two_norms_ ? &norms : nullptr);
    GateCorrection correction = finish_normalisation(c, sums);
    if (two_norms_) {
      norms_.finish_backward(c, full, base, array(c, kMean), array(c, kVariance), array(c, kShift), array(c, kFactor),
                             correction);
    }
    gate_.correct(products, correction, diff_products);
  }

  // BN0_backward(u) = slope (u - mean(u) - x^ mean(u x^)) with x^ = slope (Yp - mean); the gate has added slope u.
  GateCorrection finish_normalisation(Context& c, const ChannelSums& sums) const {
    const double count = static_cast<double>(gate_.base().images * gate_.base().rows);
    for (std::int64_t o = 0; o < geometry_.channels; ++o) {
      const double slope = static_cast<double>(array(c, kSlope)[o]), sum = sums.first(o);
      c.diff_param[1][o] -= static_cast<float>(sum);
      array(c, kShift)[o] = static_cast<float>(slope * sum / count);
      array(c, kFactor)[o] = static_cast<float>(slope * slope * slope * sums.second(o) / count);
    }
    GateCorrection correction;
    correction.mean = array(c, kMean);
    correction.b = array(c, kShift);
    correction.c = array(c, kFactor);
    return correction;
  }

  ConvGeometry geometry_;
  PathOptions paths_;
  GateOptions gate_options_;
  double eps_ = 1e-5, momentum_ = 0.1;
  bool two_norms_ = false;

  PathMask mask_;
  Gate gate_;
  TwoNorms norms_;
  SkipPath skip_;           ///< instead of all below, unless empty
  InferenceEnding ending_;  ///< of inference that computes everything
  std::optional<int> decisions_;
  TensorDesc products_;
  bool training_ = false, needs_diff_src_ = false;
  std::int64_t padded_ = 0, weight_bytes_ = 0;
  int forward_packed_ = 0, backward_packed_ = 0, constants_ = 0, products_saved_ = 0, score_saved_ = 0;
  ConvForward forward_;
  ConvBackwardData backward_data_;
  ConvBackwardWeights backward_weights_;
};

}  // namespace

std::unique_ptr<Layer> make_cg_conv(Keys& keys) {
  return std::make_unique<CgConv>(keys);
}

}  // namespace sluice
