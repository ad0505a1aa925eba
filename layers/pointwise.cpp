// Element-wise layers: relu, clip and add. The layer before usually does their work on the way out.
#include <limits>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

template <class T>
class ClipOp : public Op {
 public:
  ClipOp(Clip clip, OpNeeds& needs) : clip_(clip) {
    needs.backward_uses_src = true;
    needs.kernel = "sluice:" + to_string(cpu_isa());
  }

  void forward(const Context& c) override {
    parallel_for(c.dst.desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      pointwise_kernels<T>().clip(end - begin, c.src[0].as<const T>() + begin, c.dst.as<T>() + begin, clip_);
    });
  }

  void backward(const Context& c) override {
    parallel_for(c.dst.desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      pointwise_kernels<T>().clip_backward(end - begin, c.src[0].as<const T>() + begin,
                                           c.diff_dst[0].as<const T>() + begin, c.diff_src[0].as<T>() + begin, clip_);
    });
  }

 private:
  Clip clip_;
};

/// clamp(x, low, high); ReLU is clamp(x, 0, inf).
class ClipLayer : public Layer {
 public:
  explicit ClipLayer(Clip clip) : clip_(clip) {}

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.nonnegative = clip_.low >= 0;
    declare.by_channel = true;
    declare.keeps_zeros = clip_.low <= 0 && clip_.high >= 0;
  }

  Attributes attributes() const override {
    Attributes attributes("clip");
    attributes.set("low", static_cast<double>(clip_.low));
    attributes.set("high", static_cast<double>(clip_.high));
    return attributes;
  }

  std::optional<PostOp> as_post_op(Mode) const override { return PostOp{PostOp::Kind::kClip, clip_.low, clip_.high}; }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<ClipOp>(request.dst.type, clip_, needs);
  }

 private:
  Clip clip_;
};

template <class T>
class AddOp : public Op {
 public:
  explicit AddOp(OpNeeds& needs) { needs.kernel = "sluice:" + to_string(cpu_isa()); }

  void forward(const Context& c) override {
    parallel_for(c.dst.desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      pointwise_kernels<T>().add(end - begin, c.src[0].as<const T>() + begin, c.src[1].as<const T>() + begin,
                                 c.dst.as<T>() + begin);
    });
  }

  void backward(const Context& c) override {
    for (const Tensor& diff_src : c.diff_src) {
      if (diff_src.data != nullptr) copy_activation(c.diff_dst[0], diff_src);
    }
  }
};

/// The sum of two activations of one shape.
class Add : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 2);
    if (src[0] != src[1]) {
      throw ShapeError("from",
                       concat("the sources must have one shape, got ", to_string(src[0]), " and ", to_string(src[1])));
    }
    declare.dst = src[0];
    declare.like_src = true;
  }

  Attributes attributes() const override { return Attributes("add"); }
  std::optional<PostOp> as_post_op(Mode) const override { return PostOp{PostOp::Kind::kAdd, 0, 0}; }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<AddOp>(request.dst.type, needs);
  }
};

}  // namespace

std::unique_ptr<Layer> make_relu(Keys&) {
  return std::make_unique<ClipLayer>(Clip{0, std::numeric_limits<float>::infinity()});
}

std::unique_ptr<Layer> make_clip(Keys& keys) {
  double low = 0, high = 6;
  const Range<double> any{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max()};
  keys.optional("low", low, any, "smallest result");
  keys.optional("high", high, any, "largest result");
  if (!(low < high)) keys.error("high", concat("high = ", high, " must be above low = ", low));
  return std::make_unique<ClipLayer>(Clip{static_cast<float>(low), static_cast<float>(high)});
}

std::unique_ptr<Layer> make_add(Keys&) {
  return std::make_unique<Add>();
}

}  // namespace sluice
