// Dropout (Srivastava et al. 2014), scaled in training so that inference is the identity.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/dropout_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// Training: dst = src / keep where the element's random bits say so, else 0; keep = 1 - rate, rounded to a multiple of
/// 2^-16. The bits depend on the seed, the step, the layer and the element (in the order N, H, W, C), and on nothing
/// else: not on the layout, the precision or the number of threads.
class Dropout : public Layer {
 public:
  explicit Dropout(Keys& keys) {
    keys.optional("rate", rate_, between(0.0, kMostRate), "share of the values that training sets to zero");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    if (src[0].rank() != 4 && src[0].rank() != 2)
      throw ShapeError("", concat("expected an image N x C x H x W or rows N x K, got ", to_string(src[0])));
    if (src[0].count() > kMostElements) {
      throw ShapeError("", concat("at most ", kMostElements, " values have random bits of their own, got ",
                                  src[0].count(), "; use a smaller batch"));
    }
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    declare.stochastic = true;
  }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    setup.dst_may_overwrite_src = true;
    setup.kernel = "sluice:" + to_string(cpu_isa());
    stream_.threshold = static_cast<std::int32_t>(std::lround((1 - rate_) * 65536));
    scale_ = 65536.0F / static_cast<float>(stream_.threshold);
    groups_ = (setup.dst.count() + kDropoutGroup - 1) / kDropoutGroup;
    if (training_) setup.request_saved(groups_ * kGroupBytes);
  }

  void forward(Context& c) override {
    if (!training_) return copy(c);
    stream_.seed = c.seed;
    stream_.step = c.step;
    stream_.layer = c.layer_index;
    std::uint8_t* const kept = bits(c);
    parallel_for(groups_, 128, [&](std::int64_t begin, std::int64_t end) {
      dropout_bits().draw(stream_, begin, end, kept + begin * kGroupBytes);
    });
    apply(c, c.src[0], c.dst);
  }

  void backward(Context& c) override { apply(c, c.diff_dst[0], c.diff_src[0]); }

 private:
  static constexpr double kMostRate = 0.999;
  static constexpr std::int64_t kGroupBytes = kDropoutGroup / 8;
  static constexpr std::int64_t kMostElements = std::int64_t{8} << 24;  ///< a stream has 2^24 blocks of 8 halves

  static std::uint8_t* bits(const Context& c) { return static_cast<std::uint8_t*>(c.saved[0]); }

  void apply(const Context& c, const Tensor& src, const Tensor& dst) const {
    if (src.desc.type == DataType::kBF16) return apply_as<BFloat16>(bits(c), src, dst);
    apply_as<float>(bits(c), src, dst);
  }

  template <class T>
  void apply_as(const std::uint8_t* kept, const Tensor& src, const Tensor& dst) const {
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

  static void copy(const Context& c) {
    if (c.dst.data == c.src[0].data) return;
    parallel_for(c.dst.desc.bytes(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(c.dst.as<char>() + begin, c.src[0].as<const char>() + begin, static_cast<std::size_t>(end - begin));
    });
  }

  double rate_ = 0.5;
  bool training_ = false;
  DropoutStream stream_;
  float scale_ = 1;
  std::int64_t groups_ = 0;
};

}  // namespace

std::unique_ptr<Layer> make_dropout(Keys& keys) {
  return std::make_unique<Dropout>(keys);
}

}  // namespace sluice
