// The two passes of resizing, built for each instruction set.
#pragma once

#include <cstdint>

namespace sluice {

struct ResizeKernels {
  /// row[i] = sum over k of weights[k] x rows[k * row_bytes + i], for `count` bytes.
  void (*blend_rows)(const std::uint8_t* rows, std::int64_t row_bytes, const float* weights, std::int64_t taps,
                     std::int64_t count, float* row);
  /// out[x * channels + c] = sum over k of weights[x * taps + k] x row[(first[x] + k) * channels + c], rounded. Reads
  /// one float behind the last pixel.
  void (*blend_columns)(const float* row, const std::int32_t* first, const float* weights, std::int64_t taps,
                        std::int64_t width, std::int64_t channels, std::uint8_t* out);
};

namespace portable {
extern const ResizeKernels resize_kernels;
}
namespace avx2 {
extern const ResizeKernels resize_kernels;
}
namespace avx512 {
extern const ResizeKernels resize_kernels;
}

}  // namespace sluice
