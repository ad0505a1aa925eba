// Concatenation along the channels.
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/channel_copy.hpp"
#include "layers/image_or_rows.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class ConcatOp : public Op {
 public:
  void forward(const Context& c) override {
    const Channels dst(c.dst);
    parallel_for(c.dst.shape()[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        std::int64_t first = 0;
        for (const Tensor& source : c.src) {
          const Channels src(source);
          copy_channels(src, dst, {0, first, src.count}, n);
          first += src.count;
        }
      }
    });
  }

  void backward(const Context& c) override {
    const Channels diff_dst(c.diff_dst[0]);
    parallel_for(c.dst.shape()[kN], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        std::int64_t first = 0;
        for (std::size_t i = 0; i < c.src.size(); ++i) {
          const std::int64_t count = c.src[i].shape()[kC];
          if (c.diff_src[i].data != nullptr) copy_channels(diff_dst, Channels(c.diff_src[i]), {first, 0, count}, n);
          first += count;
        }
      }
    });
  }
};

/// Sources N x C_i x H x W, dst: N x (sum of C_i) x H x W in the order of `from`; or N x K_i and N x (sum of K_i).
class Concat : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_image_or_rows(src[0]);
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    for (std::size_t i = 1; i < src.size(); ++i) {
      Shape same = src[i];
      if (same.rank() > kC) same[kC] = src[0][kC];
      if (same != src[0]) {
        throw ShapeError("from", concat("the sources may differ in channels only, got ", to_string(src[0]), " and ",
                                        to_string(src[i])));
      }
      declare.dst[kC] += src[i][kC];
    }
  }

  Attributes attributes() const override { return Attributes("concat"); }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<ConcatOp>(); }
};

}  // namespace

std::unique_ptr<Layer> make_concat(Keys&) {
  return std::make_unique<Concat>();
}

}  // namespace sluice
