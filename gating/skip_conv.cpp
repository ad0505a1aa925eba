#include "gating/skip_conv.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/base/parallel.hpp"

namespace sluice {
namespace {

float read(const TensorDesc& desc, const void* data, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  const std::int64_t at = desc.offset(n, c, h, w);
  return desc.type == DataType::kBF16 ? widen(static_cast<const BFloat16*>(data)[at])
                                      : static_cast<const float*>(data)[at];
}

void write(const TensorDesc& desc, void* data, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w,
           float value) {
  const std::int64_t at = desc.offset(n, c, h, w);
  if (desc.type == DataType::kBF16) return narrow(value, static_cast<BFloat16*>(data)[at]);
  static_cast<float*>(data)[at] = value;
}

float number(const float* values, std::int64_t i, float otherwise) {
  return values == nullptr ? otherwise : values[i];
}

}  // namespace

SkipConv::SkipConv(const SkipProblem& problem, Isa) : problem_(problem) {}

int SkipConv::lanes(Isa isa) {
  return isa == Isa::kAvx512 ? 16 : isa == Isa::kAvx2 ? 8 : 4;
}

std::string SkipConv::kernel() const {
  return "skip";
}

std::int64_t SkipConv::packed_bytes() const {
  return problem_.geometry.weights_shape(problem_.src.shape).count() * 4;
}

std::int64_t SkipConv::scratch_bytes() const {
  const Shape& dst = problem_.dst.shape;
  return dst[kN] * dst[kH] * dst[kW] * dst[kC] * 8;
}

void SkipConv::pack(const float* weights, void* packed) const {
  std::memcpy(packed, weights, static_cast<std::size_t>(packed_bytes()));
}

std::int64_t SkipConv::run(const void* src, const void* packed, const SkipConstants& constants, const void* addend,
                           void* dst, void* scratch) const {
  const ConvGeometry& g = problem_.geometry;
  const TensorDesc &from = problem_.src, &to = problem_.dst;
  const std::int64_t inputs = from.shape[kC], outputs = to.shape[kC];
  const std::int64_t slice = problem_.granularity == Granularity::kElement ? 1
                             : problem_.granularity == Granularity::kSlice ? 16
                                                                           : outputs;
  const float* const weights = static_cast<const float*>(packed);
  std::atomic<std::int64_t> open{0};
  const std::int64_t pixels = to.shape[kN] * to.shape[kH] * to.shape[kW];
  parallel_for(pixels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pixel = begin; pixel < end; ++pixel) {
      const std::int64_t x = pixel % to.shape[kW], y = pixel / to.shape[kW] % to.shape[kH];
      const std::int64_t n = pixel / to.shape[kW] / to.shape[kH];
      float* const base = static_cast<float*>(scratch) + pixel * outputs * 2;
      float* const rest = base + outputs;
      for (std::int64_t o = 0; o < outputs; ++o) {
        base[o] = rest[o] = 0;
        for (std::int64_t tap = 0; tap < g.kernel * g.kernel; ++tap) {
          const std::int64_t h = y * g.stride - g.pad + tap / g.kernel * g.dilation;
          const std::int64_t w = x * g.stride - g.pad + tap % g.kernel * g.dilation;
          if (h < 0 || w < 0 || h >= from.shape[kH] || w >= from.shape[kW]) continue;
          for (std::int64_t i = 0; i < inputs; ++i) {
            float& sum = problem_.paths.is_base(o, i) ? base[o] : rest[o];
            sum += weights[(o * inputs + i) * g.kernel * g.kernel + tap] *
                   read(from, src, n, problem_.paths.source_channel(i), h, w);
          }
        }
      }
      for (std::int64_t first = 0; first < outputs; first += slice) {
        const std::int64_t last = std::min(first + slice, outputs);
        float score = 0;
        for (std::int64_t o = first; o < last; ++o) {
          score += (base[o] - constants.gate.limit[o]) * (slice == 1 ? 1.0F : constants.gate.slope[o]);
        }
        if (score > 0) open += last - first;
        for (std::int64_t o = first; o < last; ++o) {
          float value =
              score > 0 ? number(constants.open_scale, o, 1) * (base[o] + rest[o]) + number(constants.open_shift, o, 0)
                        : number(constants.closed_scale, o, 1) * base[o] + number(constants.closed_shift, o, 0);
          if (problem_.adds) value += read(to, addend, n, o, y, x);
          write(to, dst, n, o, y, x, std::min(std::max(value, problem_.low), problem_.high));
        }
      }
    }
  });
  return open;
}

}  // namespace sluice
