// Stochastic depth (Huang et al. 2016): training leaves a whole branch out for some of the images.
#include <algorithm>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "layers/identity.hpp"
#include "layers/image_or_rows.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

constexpr double kMostRate = 0.999;
constexpr std::int64_t kMostPlaces = 100000;

template <class T>
class DepthTraining : public Op {
 public:
  DepthTraining(const OpRequest& request, double rate, OpNeeds& needs)
      : rate_(rate), factors_(needs.slots.saved<float>(request.dst.shape[kN])) {}

  void forward(const Context& c) override {
    float* const factors = c.memory[factors_];
    Random random(c.seed, Purpose::kDropout, c.step, c.layer_index);
    for (std::int64_t n = 0; n < c.src[0].shape()[kN]; ++n)
      factors[n] = random.uniform() < rate_ ? 0.0F : static_cast<float>(1 / (1 - rate_));
    apply(factors, c.src[0], c.dst);
  }

  void backward(const Context& c) override { apply(c.memory[factors_], c.diff_dst[0], c.diff_src[0]); }

 private:
  /// In every layout the values of an image lie together.
  static void apply(const float* factors, const Tensor& src, const Tensor& dst) {
    const std::int64_t images = src.shape()[kN], values = src.desc.count() / images;
    const T* const from = src.as<const T>();
    T* const to = dst.as<T>();
    parallel_for(images, 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        for (std::int64_t i = n * values; i < (n + 1) * values; ++i) narrow(factors[n] * widen(from[i]), to[i]);
      }
    });
  }

  double rate_;
  Slot<float> factors_;  ///< of each image
};

/// Training: for each image dst = 0 with probability p = rate place / places, else dst = src / (1 - p); so that the
/// branch of a residual block that it ends is left out as a whole, and inference is the identity (torchvision's
/// StochasticDepth with mode "row"). What is drawn depends on the seed, the step, the layer and the image's place in
/// the batch alone.
class StochasticDepth : public Layer {
 public:
  explicit StochasticDepth(Keys& keys) {
    keys.optional("rate", rate_, between(0.0, kMostRate),
                  "share of the images that training leaves the branch out for, where place is places");
    keys.optional("places", places_, between(std::int64_t{1}, kMostPlaces), "residual blocks of the network");
    keys.optional(
        "place", place_, between(std::int64_t{1}, kMostPlaces),
        "which of them this one is: the share is rate place / places, so that deep ones are left out more often");
    if (place_ > places_) keys.error("place", concat("expected 1 to ", places_, " (places), got ", place_));
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image_or_rows(src[0]);
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
    declare.stochastic = true;
  }

  Attributes attributes() const override {
    Attributes attributes("stochastic_depth");
    attributes.set("rate", rate());
    return attributes;
  }

  /// The identity, which whoever does normalisation does too.
  std::optional<PostOp> as_post_op(Mode mode) const override {
    if (mode == Mode::kTraining) return std::nullopt;
    return PostOp{PostOp::Kind::kAffine};
  }
  void affine(const Context&, std::int64_t channels, float* scale, float* shift) const override {
    std::fill_n(scale, channels, 1.0F);
    std::fill_n(shift, channels, 0.0F);
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    needs.dst_may_overwrite_src = true;
    needs.kernel = "sluice";
    if (request.training()) return make_typed<DepthTraining>(request.dst.type, request, rate(), needs);
    return std::make_unique<IdentityOp>();
  }

 private:
  double rate() const { return rate_ * static_cast<double>(place_) / static_cast<double>(places_); }

  double rate_ = 0.2;
  std::int64_t place_ = 1, places_ = 1;
};

}  // namespace

std::unique_ptr<Layer> make_stochastic_depth(Keys& keys) {
  return std::make_unique<StochasticDepth>(keys);
}

}  // namespace sluice
