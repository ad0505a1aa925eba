// Copies channels of one activation to another, whatever the layouts and types of both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/base/bfloat16.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

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
struct ChannelRange {
  std::int64_t from, to, count;
};

/// Copies the range in image n, by runs of channels that lie side by side in both layouts.
template <class From, class To>
void copy_typed(const Channels& src, const Channels& dst, ChannelRange range, std::int64_t n) {
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

inline void copy_channels(const Channels& src, const Channels& dst, const ChannelRange& range, std::int64_t n) {
  const bool from_bf16 = src.type == DataType::kBF16, to_bf16 = dst.type == DataType::kBF16;
  if (from_bf16 && to_bf16) return copy_typed<BFloat16, BFloat16>(src, dst, range, n);
  if (from_bf16) return copy_typed<BFloat16, float>(src, dst, range, n);
  if (to_bf16) return copy_typed<float, BFloat16>(src, dst, range, n);
  copy_typed<float, float>(src, dst, range, n);
}

/// Zeros in `count` channels of image n, from channel `first` on.
template <class T>
void clear_channels(const Channels& dst, std::int64_t first, std::int64_t count, std::int64_t n) {
  for (std::int64_t c = first; c < first + count; ++c) {
    T* const to = dst.at<T>(n, c);
    for (std::int64_t p = 0; p < dst.pixels; ++p) narrow(0.0F, to[p * dst.block]);
  }
}

}  // namespace sluice
