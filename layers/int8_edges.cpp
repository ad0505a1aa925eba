#include "layers/int8_edges.hpp"

#include <cstring>

#include "core/base/parallel.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kRoundedAtOnce = 16384;  // numbers

/// The same in floats; booked where it is not floats already.
BookedTensor floats_like(const TensorDesc& desc, Scratch& scratch) {
  if (desc.type != DataType::kU8) return {desc, {}};
  TensorDesc floats = desc;
  floats.type = DataType::kF32;
  floats.scale = 0;
  return scratch.book(floats);
}

}  // namespace

void round_to_int8(const float* src, const Tensor& dst) {
  std::uint8_t* const to = dst.as<std::uint8_t>();
  const float factor = 1 / dst.desc.scale;
  parallel_for(dst.desc.count(), kRoundedAtOnce, [=](std::int64_t begin, std::int64_t end) {
    int8_kernels().round(end - begin, src + begin, factor, kMostInt8Level, to + begin);
  });
}

void widen_int8(const Tensor& src, float* dst) {
  const std::uint8_t* const from = src.as<const std::uint8_t>();
  const float scale = src.desc.scale;
  parallel_for(src.desc.count(), kRoundedAtOnce, [=](std::int64_t begin, std::int64_t end) {
    int8_kernels().widen(end - begin, from + begin, scale, dst + begin);
  });
}

bool adds_in_place(const OpRequest& request) {
  return request.has(PostOp::Kind::kAdd) && request.addend.type == request.dst.type;
}

Int8Edges::Int8Edges(const OpRequest& request, Scratch& forward)
    : src_(floats_like(request.src[0], forward)),
      dst_(floats_like(request.dst, forward)),
      widens_src_(request.src[0].type == DataType::kU8),
      rounds_dst_(request.dst.type == DataType::kU8),
      copies_addend_(request.has(PostOp::Kind::kAdd) && (request.addend.type == DataType::kU8 || rounds_dst_)) {}

void Int8Edges::copy_addend(const Context& c, float* to) const {
  const bool same_type = c.addend.desc.type == c.dst.desc.type;  // then the result's memory starts with it
  const Tensor addend{c.addend.desc, same_type ? c.dst.data : c.addend.data};
  if (addend.desc.type == DataType::kU8) return widen_int8(addend, to);
  parallel_for(addend.desc.count(), kRoundedAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(to + begin, addend.as<const float>() + begin, static_cast<std::size_t>((end - begin) * 4));
  });
}

}  // namespace sluice
