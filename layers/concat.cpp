// Concatenation along the channels.
#include <algorithm>
#include <cstring>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// Where the channels of an activation lie; N x K is an image of one pixel.
struct Channels {
  explicit Channels(const Tensor& tensor)
      : data(tensor.data), type(tensor.desc.type), count(tensor.shape()[kC]), block(count) {
    if (tensor.shape().rank() != 4) return;
    block = tensor.desc.block;
    pixels = tensor.shape()[kH] * tensor.shape()[kW];
  }
  /// The first pixel of channel c in image n.
  template <class T>
  T* at(std::int64_t n, std::int64_t c) const {
    return static_cast<T*>(data) + (n * count + c / block * block) * pixels + c % block;
  }

  void* data;
  DataType type;
  std::int64_t count, block, pixels = 1;
};

template <class From, class To>
void copy_run(const From* src, To* dst, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) narrow(widen(src[i]), dst[i]);
}
template <class T>
void copy_run(const T* src, T* dst, std::int64_t count) {
  std::memcpy(dst, src, static_cast<std::size_t>(count) * sizeof(T));
}

/// A range of channels to copy: `count` from channel `from` of one activation to channel `to` of another.
struct Range {
  std::int64_t from, to, count;
};

/// Copies the range in image n, by runs of channels that lie side by side in both layouts.
template <class From, class To>
void copy_typed(const Channels& src, const Channels& dst, Range range, std::int64_t n) {
  while (range.count > 0) {
    const std::int64_t run =
        std::min({range.count, src.block - range.from % src.block, dst.block - range.to % dst.block});
    const From* const from = src.at<const From>(n, range.from);
    To* const to = dst.at<To>(n, range.to);
    if (run == src.block && run == dst.block) {
      copy_run(from, to, run * src.pixels);
    } else {
      for (std::int64_t p = 0; p < src.pixels; ++p) copy_run(from + p * src.block, to + p * dst.block, run);
    }
    range.from += run;
    range.to += run;
    range.count -= run;
  }
}

void copy_channels(const Channels& src, const Channels& dst, const Range& range, std::int64_t n) {
  const bool from_bf16 = src.type == DataType::kBF16, to_bf16 = dst.type == DataType::kBF16;
  if (from_bf16 && to_bf16) return copy_typed<BFloat16, BFloat16>(src, dst, range, n);
  if (from_bf16) return copy_typed<BFloat16, float>(src, dst, range, n);
  if (to_bf16) return copy_typed<float, BFloat16>(src, dst, range, n);
  copy_typed<float, float>(src, dst, range, n);
}

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
    if (src[0].rank() != 4 && src[0].rank() != 2)
      throw ShapeError("from", concat("expected images N x C x H x W or rows N x K, got ", to_string(src[0])));
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
