// The shortcut of a residual block. `shortcut` is the identity where shapes agree; elsewhere, by one key, option A of
// He et al. 2016 (`pad_shortcut`: take every stride-th pixel, pad with channels of zeros on both sides), a projection
// (1x1 convolution and batch normalisation), or means of windows whose channels are repeated.
#include "layers/shortcut.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/composite.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

template <class T>
class PadShortcutOp : public Op {
 public:
  explicit PadShortcutOp(std::int64_t stride) : stride_(stride) {}

  void forward(const Context& c) override {
    const TensorDesc &src = c.src[0].desc, &dst = c.dst.desc;
    const std::int64_t image = dst.count() / dst.shape[kN];
    parallel_for(dst.shape[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      std::memset(c.dst.as<T>() + begin * image, 0, static_cast<std::size_t>((end - begin) * image) * sizeof(T));
      for (std::int64_t n = begin; n < end; ++n) {
        for_runs(src, dst, [&](std::int64_t from, std::int64_t to, std::int64_t run) {
          for (std::int64_t h = 0; h < dst.shape[kH]; ++h) {
            for (std::int64_t w = 0; w < dst.shape[kW]; ++w) {
              std::memcpy(c.dst.as<T>() + dst.offset(n, to, h, w),
                          c.src[0].as<const T>() + src.offset(n, from, h * stride_, w * stride_),
                          static_cast<std::size_t>(run * size_of(dst.type)));
            }
          }
        });
      }
    });
  }

  void backward(const Context& c) override {
    const TensorDesc &src = c.src[0].desc, &dst = c.dst.desc;
    const std::int64_t image = src.count() / src.shape[kN];
    parallel_for(src.shape[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      if (stride_ > 1) {
        std::memset(c.diff_src[0].as<T>() + begin * image, 0,
                    static_cast<std::size_t>((end - begin) * image * size_of(src.type)));
      }
      for (std::int64_t n = begin; n < end; ++n) {
        for_runs(src, dst, [&](std::int64_t from, std::int64_t to, std::int64_t run) {
          for (std::int64_t h = 0; h < dst.shape[kH]; ++h) {
            for (std::int64_t w = 0; w < dst.shape[kW]; ++w) {
              std::memcpy(c.diff_src[0].as<T>() + src.offset(n, from, h * stride_, w * stride_),
                          c.diff_dst[0].as<const T>() + dst.offset(n, to, h, w),
                          static_cast<std::size_t>(run * size_of(src.type)));
            }
          }
        });
      }
    });
  }

 private:
  /// Calls body(first source channel, first result channel, count) for runs of channels that are contiguous in both
  /// layouts.
  template <class Body>
  static void for_runs(const TensorDesc& src, const TensorDesc& dst, Body&& body) {
    const std::int64_t pad = (dst.shape[kC] - src.shape[kC]) / 2;
    for (std::int64_t from = 0; from < src.shape[kC];) {
      const std::int64_t to = from + pad;
      const std::int64_t run = std::min(src.block - from % src.block, dst.block - to % dst.block);
      body(from, to, std::min(run, src.shape[kC] - from));
      from += run;
    }
  }

  std::int64_t stride_;
};

/// src: N x I x H x W, dst: N x O x ceil(H / stride) x ceil(W / stride), (O - I) / 2 channels of zeros before and
/// behind.
class PadShortcut : public Layer {
 public:
  explicit PadShortcut(Keys& keys) {
    keys.required("channels", channels_, at_least(std::int64_t{1}), "number of output channels");
    keys.optional("stride", stride_, at_least(std::int64_t{1}), "take every stride-th pixel in each direction");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    if (channels_ < src[0][kC] || (channels_ - src[0][kC]) % 2 != 0) {
      throw ShapeError(
          "channels", concat("channels = ", channels_, " must exceed the source's ", src[0][kC], " by an even number"));
    }
    declare.dst = {src[0][kN], channels_, (src[0][kH] + stride_ - 1) / stride_, (src[0][kW] + stride_ - 1) / stride_};
    declare.like_src = true;
    declare.keeps_nonnegative = true;
  }

  Attributes attributes() const override {
    Attributes attributes("pad_channels");
    attributes.set("channels", channels_);
    attributes.set("stride", stride_);
    return attributes;
  }

  Int8Wish int8_wish(bool /*may_skip*/) const override { return Int8Wish::kTakes; }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds&) const override {
    if (request.dst.type == DataType::kU8) return std::make_unique<PadShortcutOp<std::uint8_t>>(stride_);
    return make_typed<PadShortcutOp>(request.dst.type, stride_);
  }

 private:
  std::int64_t channels_ = 0;
  std::int64_t stride_ = 1;
};

/// Means of stride x stride windows, the last ones of what is there, and their channels several times.
std::vector<Section> repeat_channels(std::int64_t channels, std::int64_t stride, std::int64_t src_channels) {
  if (channels % src_channels != 0) {
    throw ShapeError("channels", concat("channels = ", channels, " must be a multiple of the source's ", src_channels));
  }
  const std::string s = std::to_string(stride), source = stride > 1 ? "pool" : "input:0";
  std::vector<Section> members;
  if (stride > 1)
    members.push_back(member("pool", {{"type", "average_pool"}, {"kernel", s}, {"stride", s}, {"ceil_mode", "yes"}}));
  std::string from = source;
  for (std::int64_t i = 1; i < channels / src_channels; ++i) from += ", " + source;
  if (channels > src_channels) members.push_back(member("repeat", {{"type", "concat"}, {"from", from}}));
  return members;
}

}  // namespace

std::unique_ptr<Layer> make_pad_shortcut(Keys& keys) {
  return std::make_unique<PadShortcut>(keys);
}

std::vector<Section> expand_shortcut(Keys& keys, const std::vector<Shape>& src) {
  enum class Kind { kPad, kProjection, kRepeat };
  Kind kind = Kind::kPad;
  std::int64_t channels = 0, stride = 1;
  std::string conv = "conv";
  keys.required("channels", channels, at_least(std::int64_t{1}), "number of output channels");
  keys.optional("stride", stride, at_least(std::int64_t{1}), "step from one output pixel to the next");
  keys.choice("kind", kind, {{"pad", Kind::kPad}, {"projection", Kind::kProjection}, {"repeat", Kind::kRepeat}},
              "where shapes differ: pad with zero channels, a 1x1 convolution with batch normalisation, or repeat the "
              "channels of stride x stride means");
  keys.optional("conv", conv, "the type of the projection's convolution");
  if (keys.documenting() || channels == 0) return {};
  require_sources(src, 1);
  require_image(src[0]);
  if (channels == src[0][kC] && stride == 1) return {};
  const std::string c = std::to_string(channels), s = std::to_string(stride);
  if (kind == Kind::kRepeat) return repeat_channels(channels, stride, src[0][kC]);
  if (kind == Kind::kPad) return {member("pad", {{"type", "pad_shortcut"}, {"channels", c}, {"stride", s}})};
  return {member("0", {{"type", conv}, {"channels", c}, {"kernel", "1"}, {"stride", s}}),
          member("1", {{"type", "batchnorm"}})};
}

}  // namespace sluice
