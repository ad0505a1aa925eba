// Batch normalisation (Ioffe & Szegedy 2015) over N, H and W, fused with what follows it: clip (ReLU), addition, or
// both.
#include <cmath>

#include "core/base/parallel.hpp"
#include "layers/batch_statistics.hpp"
#include "layers/epilogue.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

struct NormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = true;
};

/// Scale and shift that the running statistics amount to.
void running_affine(const NormOptions& options, const Context& c, std::int64_t channels, float* scale, float* shift) {
  const float *const mean = c.buffer[0], *const variance = c.buffer[1];
  for (std::int64_t i = 0; i < channels; ++i) {
    const double gamma = options.affine ? static_cast<double>(c.param[0][i]) : 1.0;
    const double beta = options.affine ? static_cast<double>(c.param[1][i]) : 0.0;
    const double factor = gamma / std::sqrt(static_cast<double>(variance[i]) + options.eps);
    scale[i] = static_cast<float>(factor);
    shift[i] = static_cast<float>(beta - static_cast<double>(mean[i]) * factor);
  }
}

/// dst = ending(scale src + shift)
template <class T>
void normalise(const Context& c, const Epilogue& epilogue, const float* scale, const float* shift) {
  const ChannelGroups groups(c.src[0].desc);
  const T* const addend = c.addend.as<const T>();
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group);
      norm_kernels<T>().forward(groups.at(group), epilogue.ending(), c.src[0].as<const T>() + at,
                                addend == nullptr ? nullptr : addend + at, c.dst.as<T>() + at, scale + 16 * group,
                                shift + 16 * group, epilogue.clip());
    }
  });
}

template <class T>
class NormInference : public Op {
 public:
  NormInference(const OpRequest& request, const NormOptions& options, OpNeeds& needs)
      : options_(options), epilogue_(request.post_ops), channels_(request.src[0].shape[kC]) {
    const std::int64_t padded = ChannelGroups(request.src[0]).padded();
    scale_ = needs.slots.kept<float>(padded);
    shift_ = needs.slots.kept<float>(padded);
  }

  void refresh(const Context& c) override {
    running_affine(options_, c, channels_, c.memory[scale_], c.memory[shift_]);
  }

  void forward(const Context& c) override { normalise<T>(c, epilogue_, c.memory[scale_], c.memory[shift_]); }

 private:
  NormOptions options_;
  Epilogue epilogue_;
  std::int64_t channels_;
  Slot<float> scale_, shift_;
};

template <class T>
class NormTraining : public Op {
 public:
  NormTraining(const OpRequest& request, const NormOptions& options, OpNeeds& needs)
      : options_(options), epilogue_(request.post_ops) {
    const ChannelGroups groups(request.src[0]);
    const std::int64_t padded = groups.padded();
    scale_ = needs.slots.kept<float>(padded);
    shift_ = needs.slots.kept<float>(padded);
    mean_ = needs.slots.saved<float>(padded);
    deviation_ = needs.slots.saved<float>(padded);
    Frames frames = needs.slots.frames();
    statistics_ = frames.forward.book<double>(ChannelSums::count(groups));
    sums_ = frames.backward.book<double>(ChannelSums::count(groups));
    factors_ = frames.backward.book<float>(3 * padded);
    needs.backward_uses_src = true;
    needs.backward_uses_dst = epilogue_.ending() == Ending::kAddClip;
  }

  void forward(const Context& c) override {
    const ChannelGroups groups(c.src[0].desc);
    normalise_batch(c, groups);
    float *const scale = c.memory[scale_], *const shift = c.memory[shift_];
    const float *const mean = c.memory[mean_], *const deviation = c.memory[deviation_];
    for (std::int64_t i = 0; i < groups.channels; ++i) {
      const float gamma = options_.affine ? c.param[0][i] : 1.0F;
      const float beta = options_.affine ? c.param[1][i] : 0.0F;
      scale[i] = gamma * deviation[i];
      shift[i] = beta - mean[i] * scale[i];
    }
    normalise<T>(c, epilogue_, scale, shift);
  }

  // With x^ = (x - mean) / deviation and g the gradient of the affine result:
  //   diff_bias = sum(g), diff_weight = sum(g x^), diff_src = weight / deviation * (g - mean(g) - x^ mean(g x^)).
  void backward(const Context& c) override {
    const ChannelGroups groups(c.src[0].desc);
    ChannelSums sums(groups, c.memory[sums_]);
    NormGradient<T> in = gradient(c);
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
    finish_backward(c, groups, sums);
    if (c.diff_src[0].data == nullptr) return;
    GradientMask apply_mask = mask();
    if (diff_addend != nullptr) {  // it holds the sum already, masked where the clip came last
      in.diff_dst = diff_addend;
      in.diff_dst2 = nullptr;
      if (apply_mask == GradientMask::kFromDst) apply_mask = GradientMask::kNone;
    }
    const float* const factors = c.memory[factors_];
    const std::int64_t padded = groups.padded();
    parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group), channel = 16 * group;
        norm_kernels<T>().backward_apply(groups.at(group), apply_mask, shifted(in, at, channel), factors + channel,
                                         factors + padded + channel, factors + 2 * padded + channel,
                                         c.diff_src[0].as<T>() + at);
      }
    });
  }

 private:
  /// Mean and 1 / deviation of each channel. Updates the running statistics.
  void normalise_batch(const Context& c, const ChannelGroups& groups) const {
    float *const mean = c.memory[mean_], *const variance = c.memory[deviation_];
    batch_statistics(groups, c.src[0].as<const T>(), mean, variance, c.memory[statistics_], c.share);
    update_running_statistics(groups, mean, variance, options_.momentum, c.buffer[0], c.buffer[1], c.share);
    for (std::int64_t i = 0; i < groups.channels; ++i)
      variance[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(variance[i]) + options_.eps));
  }

  GradientMask mask() const {
    if (epilogue_.ending() == Ending::kClip || epilogue_.ending() == Ending::kClipAdd) return GradientMask::kFromSrc;
    return epilogue_.ending() == Ending::kAddClip ? GradientMask::kFromDst : GradientMask::kNone;
  }

  NormGradient<T> gradient(const Context& c) const {
    NormGradient<T> in;
    in.src = c.src[0].as<const T>();
    in.dst = c.dst.as<const T>();
    in.diff_dst = c.diff_dst[0].as<const T>();
    in.diff_dst2 = c.diff_dst.size() > 1 ? c.diff_dst[1].as<const T>() : nullptr;
    in.scale = c.memory[scale_];
    in.shift = c.memory[shift_];
    in.mean = c.memory[mean_];
    in.clip = mask() == GradientMask::kFromDst ? Clip{stored(epilogue_.low), stored(epilogue_.high)} : epilogue_.clip();
    return in;
  }

  /// A bound as it stands in a result: rounded, where the type rounds.
  static float stored(float bound) {
    T value;
    narrow(bound, value);
    return widen(value);
  }

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

  void finish_backward(const Context& c, const ChannelGroups& groups, ChannelSums& sums) const {
    const double count = static_cast<double>(groups.images * groups.rows);
    const std::int64_t padded = groups.padded();
    float* const factors = c.memory[factors_];
    const float* const deviations = c.memory[deviation_];
    for (std::int64_t i = 0; options_.affine && i < groups.channels; ++i) {
      c.diff_param[0][i] += static_cast<float>(sums.second(i) * static_cast<double>(deviations[i]));
      c.diff_param[1][i] += static_cast<float>(sums.first(i));
    }
    sums.add_gradients(c.share);
    for (std::int64_t i = 0; i < groups.channels; ++i) {
      const double sum = sums.first(i), deviation = static_cast<double>(deviations[i]);
      const double dot = sums.second(i) * deviation;  // sum(g x^)
      const double a = (options_.affine ? static_cast<double>(c.param[0][i]) : 1.0) * deviation;
      factors[i] = static_cast<float>(a);
      factors[padded + i] = static_cast<float>(a * sum / count);
      factors[2 * padded + i] = static_cast<float>(a * dot / count * deviation);
    }
  }

  NormOptions options_;
  Epilogue epilogue_;
  Slot<float> scale_, shift_, mean_, deviation_;
  Slot<double> statistics_, sums_;
  Slot<float> factors_;  ///< three for each channel
};

class BatchNorm : public Layer {
 public:
  explicit BatchNorm(Keys& keys) {
    keys.optional("eps", options_.eps, above_zero(), "added to the variance");
    keys.optional("momentum", options_.momentum, between(0.0, 1.0),
                  "weight of the newest batch in the running statistics");
    keys.optional("affine", options_.affine, "learn a scale and a shift for each channel");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    const Shape channels{src[0][kC]};
    declare.dst = src[0];
    declare.like_src = true;
    declare.by_channel = true;
    if (options_.affine) {
      declare.parameter("weight", channels, "norm", Init::constant(1));
      declare.parameter("bias", channels, "norm", Init::constant(0));
    }
    declare.buffer("running_mean", channels, 0.0F);
    declare.buffer("running_var", channels, 1.0F);
  }

  Attributes attributes() const override {
    Attributes attributes("batch_normalization");
    attributes.set("eps", options_.eps);
    attributes.set("momentum", options_.momentum);
    attributes.set("affine", options_.affine);
    return attributes;
  }

  std::optional<PostOp> as_post_op(Mode mode) const override {
    if (mode == Mode::kTraining) return std::nullopt;
    return PostOp{PostOp::Kind::kAffine, 0, 0};
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode) const override {
    const bool takes = next.kind == PostOp::Kind::kAdd || next.kind == PostOp::Kind::kClip;
    if (!takes || accepted.size() > 1) return false;
    return accepted.empty() || accepted[0].kind != next.kind;
  }

  bool sums_diff_dst() const override { return true; }

  void affine(const Context& c, std::int64_t channels, float* scale, float* shift) const override {
    running_affine(options_, c, channels, scale, shift);
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    needs.kernel = "sluice:" + to_string(cpu_isa());
    if (request.training()) return make_typed<NormTraining>(request.src[0].type, request, options_, needs);
    return make_typed<NormInference>(request.src[0].type, request, options_, needs);
  }

 private:
  NormOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_batchnorm(Keys& keys) {
  return std::make_unique<BatchNorm>(keys);
}

}  // namespace sluice
