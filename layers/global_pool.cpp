// Mean of each channel over the image: N x C x H x W -> N x C.
#include <type_traits>

#include "core/base/bfloat16.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// A source of T; `scale` is what a level of one in int8 stands for.
template <class T>
class GlobalPoolOp : public Op {
 public:
  explicit GlobalPoolOp(float scale = 1.0F) : scale_(scale) {}

  void forward(const Context& c) override {
    const Shape& s = c.src[0].shape();
    const std::int64_t block = c.src[0].desc.block, pixels = s[kH] * s[kW];
    const float count = static_cast<float>(pixels) / scale_;
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

  void backward(const Context& c) override {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      Op::backward(c);
    } else {
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
  }

 private:
  float scale_;
};

class GlobalPool : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = {src[0][kN], src[0][kC]};
    declare.dst_type = DataType::kF32;
    declare.keeps_nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
  }

  Attributes attributes() const override { return Attributes("global_average_pool"); }
  Int8Wish int8_wish(bool /*may_skip*/) const override { return Int8Wish::kTakes; }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds&) const override {
    const TensorDesc& src = request.src[0];
    if (src.type == DataType::kU8) return std::make_unique<GlobalPoolOp<std::uint8_t>>(src.scale);
    return make_typed<GlobalPoolOp>(src.type);
  }
};

}  // namespace

std::unique_ptr<Layer> make_global_pool(Keys&) {
  return std::make_unique<GlobalPool>();
}

}  // namespace sluice
