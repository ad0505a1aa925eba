// Mean of each channel over the image: N x C x H x W -> N x C.
#include "core/base/bfloat16.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class GlobalPool : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = {src[0][kN], src[0][kC]};
    declare.dst_type = DataType::kF32;
    declare.keeps_nonnegative = true;
  }

  ByteWish byte_wish(bool /*may_skip*/) const override { return ByteWish::kTakes; }

  void forward(Context& c) override {
    if (c.src[0].desc.type == DataType::kU8) return forward_as<std::uint8_t>(c, c.src[0].desc.step);
    if (c.src[0].desc.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (c.src[0].desc.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

 private:
  template <class T>
  static void forward_as(Context& c, float step = 1.0F) {
    const Shape& s = c.src[0].shape();
    const std::int64_t block = c.src[0].desc.block, pixels = s[kH] * s[kW];
    const float count = static_cast<float>(pixels) / step;
    const T* const src = c.src[0].as<const T>();
    float* const dst = c.dst.as<float>();
    parallel_for(s[kN] * s[kC] / block, 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        float* const sums = dst + i * block;
        for (std::int64_t j = 0; j < block; ++j) sums[j] = 0;
        for (std::int64_t p = 0; p < pixels; ++p) {
          for (std::int64_t j = 0; j < block; ++j) sums[j] += widen(src[(i * pixels + p) * block + j]);
        }
        for (std::int64_t j = 0; j < block; ++j) sums[j] /= count;
      }
    });
  }

  template <class T>
  static void backward_as(Context& c) {
    const Shape& s = c.src[0].shape();
    const std::int64_t block = c.src[0].desc.block, pixels = s[kH] * s[kW];
    const float* const diff_dst = c.diff_dst[0].as<const float>();
    T* const diff_src = c.diff_src[0].as<T>();
    const float share = 1.0F / static_cast<float>(pixels);
    parallel_for(s[kN] * s[kC] / block, 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          for (std::int64_t j = 0; j < block; ++j)
            narrow(diff_dst[i * block + j] * share, diff_src[(i * pixels + p) * block + j]);
        }
      }
    });
  }
};

}  // namespace

std::unique_ptr<Layer> make_global_pool(Keys&) {
  return std::make_unique<GlobalPool>();
}

}  // namespace sluice
