// Equal parts of the channels, as several results: the inverse of concat.
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/channel_copy.hpp"
#include "layers/image_or_rows.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

constexpr const char* kFurtherParts[] = {"second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"};
constexpr std::int64_t kMostParts = 8;

class SplitOp : public Op {
 public:
  void forward(const Context& c) override {
    const Channels src(c.src[0]);
    const std::int64_t each = c.dst.shape()[kC];
    parallel_for(c.dst.shape()[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        copy_channels(src, Channels(c.dst), {0, 0, each}, n);
        std::int64_t first = 0;
        for (const Tensor& part : c.more_dst) copy_channels(src, Channels(part), {first += each, 0, each}, n);
      }
    });
  }

  void backward(const Context& c) override {
    const Channels diff_src(c.diff_src[0]);
    const std::int64_t each = c.dst.shape()[kC];
    parallel_for(c.dst.shape()[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        gather(c.diff_dst[0], diff_src, 0, each, n);
        std::int64_t first = 0;
        for (const Tensor& part : c.more_diff_dst) gather(part, diff_src, first += each, each, n);
      }
    });
  }

 private:
  /// Of one part; zeros where no gradient reaches it.
  static void gather(const Tensor& diff, const Channels& diff_src, std::int64_t first, std::int64_t count,
                     std::int64_t n) {
    if (diff.data != nullptr) return copy_channels(Channels(diff), diff_src, {0, first, count}, n);
    if (diff_src.type == DataType::kBF16) return clear_channels<BFloat16>(diff_src, first, count, n);
    clear_channels<float>(diff_src, first, count, n);
  }
};

/// src: N x C x H x W, or N x C. The result and `second`, `third`, ...: C / parts channels each, in order.
class Split : public Layer {
 public:
  explicit Split(Keys& keys) {
    keys.optional("parts", parts_, between(std::int64_t{2}, kMostParts),
                  "into how many: LAYER is the first, LAYER:second the next, up to LAYER:eighth");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image_or_rows(src[0]);
    if (src[0][kC] % parts_ != 0)
      throw ShapeError("parts", concat("parts = ", parts_, " must divide the source's ", src[0][kC], " channels"));
    declare.dst = src[0];
    declare.dst[kC] /= parts_;
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    for (std::int64_t part = 1; part < parts_; ++part) declare.result(kFurtherParts[part - 1], declare.dst);
  }

  Attributes attributes() const override {
    Attributes attributes("split");
    attributes.set("parts", parts_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<SplitOp>(); }

 private:
  std::int64_t parts_ = 2;
};

}  // namespace

std::unique_ptr<Layer> make_split(Keys& keys) {
  return std::make_unique<Split>(keys);
}

}  // namespace sluice
