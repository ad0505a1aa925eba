#include "core/graph/tensor.hpp"

#include <cassert>
#include <cstring>

#include "core/base/bfloat16.hpp"
#include "core/base/parallel.hpp"

namespace sluice {
namespace {

template <class From, class To>
void copy_flat(const From* src, To* dst, std::int64_t count) {
  parallel_for(count, 1 << 14, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) narrow(widen(src[i]), dst[i]);
  });
}

template <class From, class To>
void copy_permuted(const TensorDesc& from, const From* src, const TensorDesc& to, To* dst) {
  const Shape& s = from.shape;
  parallel_for(s[kN] * s[kC], 1, [&, src, dst](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / s[kC], c = i % s[kC];
      for (std::int64_t h = 0; h < s[kH]; ++h) {
        for (std::int64_t w = 0; w < s[kW]; ++w)
          narrow(widen(src[from.offset(n, c, h, w)]), dst[to.offset(n, c, h, w)]);
      }
    }
  });
}

template <class From, class To>
void copy_typed(const Tensor& src, const Tensor& dst) {
  if (src.desc.block == dst.desc.block) {
    copy_flat(src.as<const From>(), dst.as<To>(), src.desc.count());
  } else {
    copy_permuted(src.desc, src.as<const From>(), dst.desc, dst.as<To>());
  }
}

// Plain N x C x H x W is the blocked layout with one channel in a block.
Tensor plain_view(const Shape& shape, const float* data) {
  return {{shape, DataType::kF32, shape.rank() == 4 ? 1 : 0}, const_cast<float*>(data)};
}

}  // namespace

std::int64_t size_of(DataType type) {
  if (type == DataType::kU8) return 1;
  if (type == DataType::kF64) return 8;
  return type == DataType::kBF16 ? 2 : 4;
}

const char* to_string(DataType type) {
  switch (type) {
    case DataType::kF32:
      return "f32";
    case DataType::kBF16:
      return "bf16";
    case DataType::kS32:
      return "s32";
    case DataType::kU8:
      return "u8";
    case DataType::kF64:
      return "f64";
  }
  return "unknown";
}

void* element(const TensorDesc& desc, void* data, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return static_cast<std::byte*>(data) + desc.offset(n, c, h, w) * size_of(desc.type);
}

const void* element(const TensorDesc& desc, const void* data, std::int64_t n, std::int64_t c, std::int64_t h,
                    std::int64_t w) {
  return static_cast<const std::byte*>(data) + desc.offset(n, c, h, w) * size_of(desc.type);
}

void copy_memory(const Tensor& src, const Tensor& dst) {
  const auto* const from = src.as<const std::byte>();
  auto* const to = dst.as<std::byte>();
  parallel_for(src.desc.bytes(), 1 << 16, [=](std::int64_t begin, std::int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
  });
}

void copy_activation(const Tensor& src, const Tensor& dst) {
  if (src.desc.type == DataType::kU8) {
    assert(dst.desc.type == DataType::kF32);
    copy_typed<std::uint8_t, float>(src, dst);
    for (std::int64_t i = 0; i < dst.desc.count(); ++i) dst.as<float>()[i] *= src.desc.scale;
    return;
  }
  const bool from_bf16 = src.desc.type == DataType::kBF16;
  const bool to_bf16 = dst.desc.type == DataType::kBF16;
  if (from_bf16 && to_bf16) return copy_typed<BFloat16, BFloat16>(src, dst);
  if (from_bf16) return copy_typed<BFloat16, float>(src, dst);
  if (to_bf16) return copy_typed<float, BFloat16>(src, dst);
  copy_typed<float, float>(src, dst);
}

void from_nchw(const float* src, const Tensor& dst) {
  copy_activation(plain_view(dst.shape(), src), dst);
}

void to_nchw(const Tensor& src, float* dst) {
  copy_activation(src, plain_view(src.shape(), dst));
}

}  // namespace sluice
