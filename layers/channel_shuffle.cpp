// Channel shuffle (Zhang et al. 2018, ShuffleNet): what grouped convolutions keep apart goes to all groups.
#include <vector>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// The channels of an activation in some order.
class ChannelOrder {
 public:
  /// Channel i is that number `channel(i)` of `desc`.
  template <class F>
  ChannelOrder(const TensorDesc& desc, F&& channel) : block_(desc.block) {
    for (std::int64_t i = 0; i < desc.shape[kC]; ++i) first_.push_back(desc.offset(0, channel(i), 0, 0));
  }
  /// The position of channel i of an image's pixel.
  std::int64_t at(std::size_t i, std::int64_t pixel) const { return first_[i] + pixel * block_; }
  std::size_t count() const { return first_.size(); }

 private:
  std::vector<std::int64_t> first_;  ///< of pixel 0
  std::int64_t block_;
};

template <class T>
class ShuffleOp : public Op {
 public:
  ShuffleOp(const OpRequest& request, std::int64_t groups)
      : src_(request.src[0],
             [&](std::int64_t i) { return i % groups * (request.dst.shape[kC] / groups) + i / groups; }),
        dst_(request.dst, [](std::int64_t i) { return i; }) {}

  void forward(const Context& c) override { move(c.dst.shape(), c.src[0].as<const T>(), src_, c.dst.as<T>(), dst_); }
  void backward(const Context& c) override {
    move(c.dst.shape(), c.diff_dst[0].as<const T>(), dst_, c.diff_src[0].as<T>(), src_);
  }

 private:
  static void move(const Shape& shape, const T* from, const ChannelOrder& from_order, T* to,
                   const ChannelOrder& to_order) {
    const std::int64_t pixels = shape[kH] * shape[kW], image = shape[kC] * pixels;
    parallel_for(shape[kN] * pixels, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t start = i / pixels * image, pixel = i % pixels;
        for (std::size_t c = 0; c < to_order.count(); ++c)
          to[start + to_order.at(c, pixel)] = from[start + from_order.at(c, pixel)];
      }
    });
  }

  ChannelOrder src_, dst_;
};

/// src, dst: N x C x H x W. Channel i of group g, of C / groups in each, becomes channel i groups + g.
class ChannelShuffle : public Layer {
 public:
  explicit ChannelShuffle(Keys& keys) {
    keys.optional("groups", groups_, at_least(2), "groups of channels that are mixed; each must have as many");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    if (src[0][kC] % groups_ != 0)
      throw ShapeError("groups", concat("groups = ", groups_, " must divide the source's ", src[0][kC], " channels"));
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
  }

  Attributes attributes() const override {
    Attributes attributes("channel_shuffle");
    attributes.set("groups", groups_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds&) const override {
    return make_typed<ShuffleOp>(request.dst.type, request, groups_);
  }

 private:
  std::int64_t groups_ = 2;
};

}  // namespace

std::unique_ptr<Layer> make_channel_shuffle(Keys& keys) {
  return std::make_unique<ChannelShuffle>(keys);
}

}  // namespace sluice
