// The two passes of resizing, for one instruction set. Products and sums are rounded one by one, in the same order
// everywhere, so that all builds give the same bytes.
#include "core/picture/resize_kernels.hpp"

#include "core/base/simd.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

typedef float Pixel __attribute__((vector_size(16)));

void blend_rows(const std::uint8_t* rows, std::int64_t row_bytes, const float* weights, std::int64_t taps,
                std::int64_t count, float* row) {
  constexpr std::int64_t kBlock = 64;
  std::int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    float sum[kBlock] = {};
    for (std::int64_t k = 0; k < taps; ++k) {
      const std::uint8_t* const from = rows + k * row_bytes + i;
      for (std::int64_t j = 0; j < kBlock; ++j) sum[j] += weights[k] * static_cast<float>(from[j]);
    }
    for (std::int64_t j = 0; j < kBlock; ++j) row[i + j] = sum[j];
  }
  for (; i < count; ++i) {
    float sum = 0;
    for (std::int64_t k = 0; k < taps; ++k) sum += weights[k] * static_cast<float>(rows[k * row_bytes + i]);
    row[i] = sum;
  }
}

// The weights of a pixel add up to 1, but for rounding.
SLUICE_INLINE std::uint8_t to_byte(float value) {
  const float rounded = value + 0.5F;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(rounded > 255 ? 255 : rounded));
}

void blend_colours(const float* row, const std::int32_t* first, const float* weights, std::int64_t taps,
                   std::int64_t width, std::uint8_t* out) {
  for (std::int64_t x = 0; x < width; ++x, weights += taps, out += 3) {
    const float* from = row + 3 * static_cast<std::int64_t>(first[x]);
    Pixel sum = {};
    for (std::int64_t k = 0; k < taps; ++k, from += 3) sum += (weights[k] - Pixel{}) * load_native<Pixel>(from);
    for (int c = 0; c < 3; ++c) out[c] = to_byte(sum[c]);
  }
}

void blend_columns(const float* row, const std::int32_t* first, const float* weights, std::int64_t taps,
                   std::int64_t width, std::int64_t channels, std::uint8_t* out) {
  if (channels == 3) return blend_colours(row, first, weights, taps, width, out);
  for (std::int64_t x = 0; x < width; ++x, weights += taps) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float* from = row + first[x] * channels + c;
      float sum = 0;
      for (std::int64_t k = 0; k < taps; ++k, from += channels) sum += weights[k] * *from;
      *out++ = to_byte(sum);
    }
  }
}

}  // namespace

const ResizeKernels resize_kernels = {blend_rows, blend_columns};

}  // namespace sluice::SLUICE_ISA
