// Batch normalisation (Ioffe & Szegedy 2015) over N, H and W, fused with what follows it: clip (ReLU), addition, or
// both.
#include <cmath>
#include <limits>

#include "core/base/parallel.hpp"
#include "layers/batch_statistics.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class BatchNorm : public Layer {
 public:
  explicit BatchNorm(Keys& keys) {
    keys.optional("eps", eps_, above_zero(), "added to the variance");
    keys.optional("momentum", momentum_, between(0.0, 1.0), "weight of the newest batch in the running statistics");
    keys.optional("affine", affine_, "learn a scale and a shift for each channel");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    require_image(src[0]);
    const Shape channels{src[0][kC]};
    channels_ = src[0][kC];
    declare.dst = src[0];
    declare.like_src = true;
    if (affine_) {
      declare.parameter("weight", channels, "norm", Init::constant(1));
      declare.parameter("bias", channels, "norm", Init::constant(0));
    }
    declare.buffer("running_mean", channels, 0.0F);
    declare.buffer("running_var", channels, 1.0F);
  }

  std::optional<PostOp> as_post_op(Mode mode) const override {
    if (mode == Mode::kTraining) return std::nullopt;
    return PostOp{PostOp::Kind::kAffine, 0, 0};
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode) const override {
    if (next.kind == PostOp::Kind::kAffine || accepted.size() > 1) return false;
    return accepted.empty() || accepted[0].kind != next.kind;
  }

  bool sums_diff_dst() const override { return true; }

  void setup(Setup& setup) override {
    settle_ending(setup.post_ops);
    const ChannelGroups groups(setup.src[0]);
    const std::int64_t padded = groups.padded();
    training_ = setup.mode == Mode::kTraining;
    setup.kernel = "sluice:" + to_string(cpu_isa());
    scale_ = setup.request_kept(padded * 4);
    shift_ = setup.request_kept(padded * 4);
    if (!training_) return;
    mean_ = setup.request_saved(padded * 4);
    deviation_ = setup.request_saved(padded * 4);
    setup.request_scratch(ChannelSums::bytes(groups) + 3 * padded * 4);  // and three factors for each channel
    setup.backward_uses_src = true;
    setup.backward_uses_dst = ending_ == Ending::kAddClip;
  }

  void refresh(Context& c) override {
    if (!training_) affine(c, static_cast<float*>(c.kept[idx(scale_)]), static_cast<float*>(c.kept[idx(shift_)]));
  }

  void forward(Context& c) override {
    if (c.src[0].desc.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (c.src[0].desc.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

  void affine(const Context& c, float* scale, float* shift) const override {
    const std::size_t mean = 0, variance = 1;
    for (std::int64_t i = 0; i < channels_; ++i) {
      const double gamma = affine_ ? static_cast<double>(c.param[0][i]) : 1.0;
      const double beta = affine_ ? static_cast<double>(c.param[1][i]) : 0.0;
      const double factor = gamma / std::sqrt(static_cast<double>(c.buffer[variance][i]) + eps_);
      scale[i] = static_cast<float>(factor);
      shift[i] = static_cast<float>(beta - static_cast<double>(c.buffer[mean][i]) * factor);
    }
  }

 private:
  static std::size_t idx(int i) { return static_cast<std::size_t>(i); }

  void settle_ending(const std::vector<PostOp>& ops) {
    ending_ = Ending::kNone;
    for (const PostOp& op : ops) {
      if (op.kind == PostOp::Kind::kAdd) {
        ending_ = ending_ == Ending::kClip ? Ending::kClipAdd : Ending::kAdd;
      } else {
        ending_ = ending_ == Ending::kAdd ? Ending::kAddClip : Ending::kClip;
        clip_ = {op.low, op.high};
      }
    }
  }

  template <class T>
  void forward_as(Context& c) {
    float* const scale = static_cast<float*>(c.kept[idx(scale_)]);
    float* const shift = static_cast<float*>(c.kept[idx(shift_)]);
    if (training_) {
      normalise_batch<T>(c);
      for (std::int64_t i = 0; i < channels_; ++i) {
        const float gamma = affine_ ? c.param[0][i] : 1.0F;
        const float beta = affine_ ? c.param[1][i] : 0.0F;
        scale[i] = gamma * saved(c, deviation_)[i];
        shift[i] = beta - saved(c, mean_)[i] * scale[i];
      }
    }
    const ChannelGroups groups(c.src[0].desc);
    const T* const addend = c.addend.as<const T>();
    parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group);
        norm_kernels<T>().forward(groups.at(group), ending_, c.src[0].as<const T>() + at,
                                  addend == nullptr ? nullptr : addend + at, c.dst.as<T>() + at, scale + 16 * group,
                                  shift + 16 * group, clip_);
      }
    });
  }

  static float* saved(const Context& c, int index) {
    return static_cast<float*>(c.saved[static_cast<std::size_t>(index)]);
  }

  /// Mean and 1 / deviation of each channel. Updates the running statistics.
  template <class T>
  void normalise_batch(Context& c) {
    const ChannelGroups groups(c.src[0].desc);
    float* const variance = saved(c, deviation_);
    batch_statistics(groups, c.src[0].as<const T>(), saved(c, mean_), variance, c.scratch);
    update_running_statistics(groups, saved(c, mean_), variance, momentum_, c.buffer[0], c.buffer[1]);
    for (std::int64_t i = 0; i < groups.channels; ++i)
      variance[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(variance[i]) + eps_));
  }

  GradientMask mask() const {
    if (ending_ == Ending::kClip || ending_ == Ending::kClipAdd) return GradientMask::kFromSrc;
    return ending_ == Ending::kAddClip ? GradientMask::kFromDst : GradientMask::kNone;
  }

  // With x^ = (x - mean) / deviation and g the gradient of the affine result:
  //   diff_bias = sum(g), diff_weight = sum(g x^), diff_src = weight / deviation * (g - mean(g) - x^ mean(g x^)).
  template <class T>
  void backward_as(Context& c) {
    const ChannelGroups groups(c.src[0].desc);
    const std::int64_t padded = groups.padded();
    ChannelSums sums(groups, c.scratch);
    float* const factors = reinterpret_cast<float*>(static_cast<char*>(c.scratch) + ChannelSums::bytes(groups));
    NormGradient<T> in = gradient<T>(c);
    T* const diff_addend = c.diff_addend.as<T>();
    sums.clear();
    parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t n = i / groups.count, group = i % groups.count, at = groups.offset(n, group);
        double* const sum = sums.of(n, group);
        norm_kernels<T>().backward_reduce(groups.at(group), mask(), shifted(in, at, 16 * group),
                                          diff_addend == nullptr ? nullptr : diff_addend + at, sum, sum + 16);
      }
    });
    finish_backward(c, groups, sums, factors);
    if (c.diff_src[0].data == nullptr) return;
    GradientMask apply_mask = mask();
    if (diff_addend != nullptr) {  // it holds the sum already, masked where the clip came last
      in.diff_dst = diff_addend;
      in.diff_dst2 = nullptr;
      if (apply_mask == GradientMask::kFromDst) apply_mask = GradientMask::kNone;
    }
    parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group), channel = 16 * group;
        norm_kernels<T>().backward_apply(groups.at(group), apply_mask, shifted(in, at, channel), factors + channel,
                                         factors + padded + channel, factors + 2 * padded + channel,
                                         c.diff_src[0].as<T>() + at);
      }
    });
  }

  template <class T>
  NormGradient<T> gradient(const Context& c) const {
    NormGradient<T> in;
    in.src = c.src[0].as<const T>();
    in.dst = c.dst.as<const T>();
    in.diff_dst = c.diff_dst[0].as<const T>();
    in.diff_dst2 = c.diff_dst.size() > 1 ? c.diff_dst[1].as<const T>() : nullptr;
    in.scale = static_cast<const float*>(c.kept[idx(scale_)]);
    in.shift = static_cast<const float*>(c.kept[idx(shift_)]);
    in.mean = saved(c, mean_);
    in.clip = mask() == GradientMask::kFromDst ? Clip{stored<T>(clip_.low), stored<T>(clip_.high)} : clip_;
    return in;
  }

  /// A bound as it stands in a result: rounded, where the type rounds.
  template <class T>
  static float stored(float bound) {
    T value;
    narrow(bound, value);
    return widen(value);
  }

  template <class T>
  static NormGradient<T> shifted(NormGradient<T> in, std::int64_t at, std::int64_t channel) {
    in.src += at;
    in.dst += at;
    in.diff_dst += at;
    if (in.diff_dst2 != nullptr) in.diff_dst2 += at;
    in.scale += channel;
    in.shift += channel;
    in.mean += channel;
    return in;
  }

  void finish_backward(Context& c, const ChannelGroups& groups, const ChannelSums& sums, float* factors) const {
    const double count = static_cast<double>(groups.images * groups.rows);
    const std::int64_t padded = groups.padded();
    for (std::int64_t i = 0; i < groups.channels; ++i) {
      const double sum = sums.first(i);
      const double dot = sums.second(i) * static_cast<double>(saved(c, deviation_)[i]);  // sum(g x^)
      const double deviation = static_cast<double>(saved(c, deviation_)[i]);
      const double a = (affine_ ? static_cast<double>(c.param[0][i]) : 1.0) * deviation;
      if (affine_) {
        c.diff_param[0][i] += static_cast<float>(dot);
        c.diff_param[1][i] += static_cast<float>(sum);
      }
      factors[i] = static_cast<float>(a);
      factors[padded + i] = static_cast<float>(a * sum / count);
      factors[2 * padded + i] = static_cast<float>(a * dot / count * deviation);
    }
  }

  double eps_ = 1e-5;
  double momentum_ = 0.1;
  bool affine_ = true;
  bool training_ = false;
  std::int64_t channels_ = 0;
  Ending ending_ = Ending::kNone;
  Clip clip_;
  int scale_ = 0, shift_ = 0, mean_ = 0, deviation_ = 0;
};

}  // namespace

std::unique_ptr<Layer> make_batchnorm(Keys& keys) {
  return std::make_unique<BatchNorm>(keys);
}

}  // namespace sluice
