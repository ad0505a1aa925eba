// Dropout (Srivastava et al. 2014), scaled in training so that inference is the identity.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/identity.hpp"
#include "layers/image_or_rows.hpp"
#include "layers/kernels/dropout_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

constexpr double kMostRate = 0.999;
constexpr std::int64_t kGroupBytes = kDropoutGroup / 8;
constexpr std::int64_t kMostElements = std::int64_t{8} << 24;  ///< a stream has 2^24 blocks of 8 halves

template <class T>
class DropoutTraining : public Op {
 public:
  DropoutTraining(const OpRequest& request, double rate, OpNeeds& needs)
      : groups_((request.dst.count() + kDropoutGroup - 1) / kDropoutGroup),
        bits_(needs.slots.saved<std::uint8_t>(groups_ * kGroupBytes)) {
    stream_.threshold = static_cast<std::int32_t>(std::lround((1 - rate) * 65536));
    scale_ = 65536.0F / static_cast<float>(stream_.threshold);
  }

  void forward(const Context& c) override {
    stream_.seed = c.seed;
    stream_.step = c.step;
    stream_.layer = c.layer_index;
    std::uint8_t* const kept = c.memory[bits_];
    parallel_for(groups_, 128, [&](std::int64_t begin, std::int64_t end) {
      dropout_bits().draw(stream_, begin, end, kept + begin * kGroupBytes);
    });
    apply(kept, c.src[0], c.dst);
  }

  void backward(const Context& c) override { apply(c.memory[bits_], c.diff_dst[0], c.diff_src[0]); }

 private:
  void apply(const std::uint8_t* kept, const Tensor& src, const Tensor& dst) const {
    const T* const from = src.as<const T>();
    T* const to = dst.as<T>();
    const TensorDesc& desc = src.desc;
    if (desc.shape.rank() == 2 || desc.block == desc.shape[kC]) {  // memory is in the order of the bits
      const std::int64_t count = desc.count();
      parallel_for(groups_, 128, [=](std::int64_t begin, std::int64_t end) {
        const std::int64_t first = begin * kDropoutGroup;
        dropout_kernels<T>().apply(std::min(end * kDropoutGroup, count) - first, kept + first / 8, 2, scale_,
                                   from + first, to + first);
      });
      return;
    }
    const std::int64_t channels = desc.shape[kC], pixels = desc.shape[kH] * desc.shape[kW];
    const std::int64_t block = desc.block, blocks = channels / block;  // block = 16
    parallel_for(desc.shape[kN] * blocks, 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i / blocks * pixels * channels + i % blocks * block;
        dropout_kernels<T>().apply(pixels * block, kept + first / 8, channels / 8, scale_, from + i * pixels * block,
                                   to + i * pixels * block);
      }
    });
  }

  std::int64_t groups_;
  Slot<std::uint8_t> bits_;
  DropoutStream stream_;
  float scale_ = 1;
};

/// Training: dst = src / keep where the element's random bits say so, else 0; keep = 1 - rate, rounded to a multiple of
/// 2^-16. The bits depend on the seed, the step, the layer and the element (in the order N, H, W, C), and on nothing
/// else: not on the layout, the precision or the number of threads.
class Dropout : public Layer {
 public:
  explicit Dropout(Keys& keys) {
    keys.optional("rate", rate_, between(0.0, kMostRate), "share of the values that training sets to zero");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image_or_rows(src[0]);
    if (src[0].count() > kMostElements) {
      throw ShapeError("", concat("at most ", kMostElements, " values have random bits of their own, got ",
                                  src[0].count(), "; use a smaller batch"));
    }
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
    declare.stochastic = true;
  }

  Attributes attributes() const override {
    Attributes attributes("dropout");
    attributes.set("rate", rate_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    needs.dst_may_overwrite_src = true;
    needs.kernel = "sluice:" + to_string(cpu_isa());
    if (request.training()) return make_typed<DropoutTraining>(request.dst.type, request, rate_, needs);
    return std::make_unique<IdentityOp>();
  }

 private:
  double rate_ = 0.5;
};

}  // namespace

std::unique_ptr<Layer> make_dropout(Keys& keys) {
  return std::make_unique<Dropout>(keys);
}

}  // namespace sluice
