// Flatten: the values of each image as one row.
#include <algorithm>
#include <cstring>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/image_or_rows.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

template <class T>
class FlattenOp : public Op {
 public:
  FlattenOp(const OpRequest& request, OpNeeds& needs) {
    const Shape& src = request.src[0].shape;
    if (src.rank() == 4) {
      pixels_ = src[kH] * src[kW];
      block_ = request.src[0].block;
    } else {
      block_ = src[kC];
    }
    blocks_ = src.count() / (pixels_ * block_);
    needs.dst_may_overwrite_src = pixels_ == 1 && request.src[0].type == DataType::kF32;
  }

  void forward(const Context& c) override {
    if (c.dst.data == c.src[0].data) return;
    const T* const src = c.src[0].as<const T>();
    float* const dst = c.dst.as<float>();
    parallel_for(blocks_, grain(), [=](std::int64_t begin, std::int64_t end) {
      for_values(begin, end, [=](std::int64_t from, std::int64_t to) { dst[to] = widen(src[from]); });
    });
  }

  void backward(const Context& c) override {
    const float* const diff_dst = c.diff_dst[0].as<const float>();
    T* const diff_src = c.diff_src[0].as<T>();
    parallel_for(blocks_, grain(), [=](std::int64_t begin, std::int64_t end) {
      for_values(begin, end, [=](std::int64_t to, std::int64_t from) { narrow(diff_dst[from], diff_src[to]); });
    });
  }

 private:
  /// Values are moved by squares, so that both sides stay within a few cache lines.
  static constexpr std::int64_t kTile = 16;

  /// Calls body(position in an image block, position in a row block) for every value of blocks [begin, end).
  template <class Body>
  void for_values(std::int64_t begin, std::int64_t end, Body&& body) const {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t c = 0; c < block_; c += kTile) {
        for (std::int64_t p = 0; p < pixels_; p += kTile) for_tile(i * pixels_ * block_, c, p, body);
      }
    }
  }

  template <class Body>
  void for_tile(std::int64_t base, std::int64_t channel, std::int64_t pixel, Body&& body) const {
    const std::int64_t channels_end = std::min(block_, channel + kTile), pixels_end = std::min(pixels_, pixel + kTile);
    for (std::int64_t c = channel; c < channels_end; ++c) {
      for (std::int64_t p = pixel; p < pixels_end; ++p) body(base + p * block_ + c, base + c * pixels_ + p);
    }
  }

  std::int64_t grain() const { return std::max<std::int64_t>(1, (1 << 14) / (pixels_ * block_)); }

  std::int64_t pixels_ = 1, block_ = 0, blocks_ = 0;  ///< blocks of all images
};

/// src: N x C x H x W, dst: N x (C H W) in that order, fp32, whatever the source's layout and type.
class Flatten : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image_or_rows(src[0]);
    declare.dst = {src[0][kN], src[0].count() / src[0][kN]};
    declare.dst_type = DataType::kF32;
    declare.keeps_nonnegative = true;
  }

  Attributes attributes() const override { return Attributes("flatten"); }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<FlattenOp>(request.src[0].type, request, needs);
  }
};

}  // namespace

std::unique_ptr<Layer> make_flatten(Keys&) {
  return std::make_unique<Flatten>();
}

}  // namespace sluice
