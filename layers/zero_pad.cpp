// Zeros around an image, on each side as many as wanted: what the one `pad` of a convolution or a pool cannot say.
#include <cstring>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

struct Sides {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
};

/// Works on bytes: zeros and copies are the same in all types.
class ZeroPadOp : public Op {
 public:
  explicit ZeroPadOp(const Sides& sides) : sides_(sides) {}

  void forward(const Context& c) override {
    const Planes src(c.src[0]), dst(c.dst);
    parallel_for(src.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const std::byte* from = src.at(plane);
        std::byte* to = dst.at(plane);
        clear(to, sides_.top * dst.row);
        for (std::int64_t h = 0; h < src.height; ++h) {
          clear(to, sides_.left * dst.pixel);
          copy(from, to, src.row);
          clear(to, sides_.right * dst.pixel);
        }
        clear(to, sides_.bottom * dst.row);
      }
    });
  }

  void backward(const Context& c) override {
    const Planes diff_src(c.diff_src[0]), diff_dst(c.diff_dst[0]);
    parallel_for(diff_src.count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        std::byte* to = diff_src.at(plane);
        for (std::int64_t h = 0; h < diff_src.height; ++h) {
          const std::byte* from = diff_dst.at(plane) + (sides_.top + h) * diff_dst.row + sides_.left * diff_dst.pixel;
          copy(from, to, diff_src.row);
        }
      }
    });
  }

 private:
  /// An image's channels that lie side by side, pixel by pixel. Sizes in bytes.
  struct Planes {
    explicit Planes(const Tensor& tensor)
        : data(static_cast<std::byte*>(tensor.data)),
          count(tensor.shape()[kN] * (tensor.shape()[kC] / tensor.desc.block)),
          height(tensor.shape()[kH]),
          pixel(tensor.desc.block * size_of(tensor.desc.type)),
          row(tensor.shape()[kW] * pixel) {}
    std::byte* at(std::int64_t plane) const { return data + plane * height * row; }

    std::byte* data;
    std::int64_t count, height, pixel, row;
  };

  static void clear(std::byte*& to, std::int64_t size) {
    std::memset(to, 0, static_cast<std::size_t>(size));
    to += size;
  }
  static void copy(const std::byte*& from, std::byte*& to, std::int64_t size) {
    std::memcpy(to, from, static_cast<std::size_t>(size));
    from += size;
    to += size;
  }

  Sides sides_;
};

/// src: N x C x H x W, dst: N x C x (top + H + bottom) x (left + W + right).
class ZeroPad : public Layer {
 public:
  explicit ZeroPad(Keys& keys) {
    constexpr std::int64_t kMost = 65536;
    keys.optional("top", sides_.top, between(std::int64_t{0}, kMost), "rows of zeros above the image");
    keys.optional("left", sides_.left, between(std::int64_t{0}, kMost), "columns of zeros left of it");
    keys.optional("bottom", sides_.bottom, between(std::int64_t{0}, kMost), "rows of zeros below it");
    keys.optional("right", sides_.right, between(std::int64_t{0}, kMost), "columns of zeros right of it");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = {src[0][kN], src[0][kC], sides_.top + src[0][kH] + sides_.bottom,
                   sides_.left + src[0][kW] + sides_.right};
    declare.like_src = true;
    declare.keeps_nonnegative = true;
  }

  Attributes attributes() const override {
    Attributes attributes("zero_pad");
    attributes.set("top", sides_.top);
    attributes.set("left", sides_.left);
    attributes.set("bottom", sides_.bottom);
    attributes.set("right", sides_.right);
    return attributes;
  }

  Int8Wish int8_wish(bool /*may_skip*/) const override { return Int8Wish::kTakes; }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<ZeroPadOp>(sides_); }

 private:
  Sides sides_;
};

}  // namespace

std::unique_ptr<Layer> make_zero_pad(Keys& keys) {
  return std::make_unique<ZeroPad>(keys);
}

}  // namespace sluice
