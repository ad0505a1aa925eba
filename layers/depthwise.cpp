#include "layers/depthwise.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/convolution.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

bool DepthwiseBackwardWeights::fits(const ConvProblem& problem) {
  const ConvGeometry& g = problem.geometry;
  return g.groups == problem.src.shape[kC] && g.channels == g.groups && g.kernel * g.kernel <= kMostTaps &&
         problem.src.block == problem.dst.block && problem.src.type == problem.dst.type;
}

DepthwiseBackwardWeights::DepthwiseBackwardWeights(const ConvProblem& problem)
    : type_(problem.src.type), images_(problem.src.shape[kN]), channels_(problem.src.shape[kC]) {
  const ConvGeometry& g = problem.geometry;
  const Shape &src = problem.src.shape, &dst = problem.dst.shape;
  image_ = {src[kH], src[kW], dst[kH], dst[kW], problem.src.block, g.kernel, g.stride, g.pad, g.dilation};
}

std::string DepthwiseBackwardWeights::kernel() const {
  return "sluice:" + to_string(cpu_isa());
}

void DepthwiseBackwardWeights::run(const void* src, const void* diff_dst, float* diff_weights, float* diff_bias) const {
  if (type_ == DataType::kBF16) {
    return run_as(static_cast<const BFloat16*>(src), static_cast<const BFloat16*>(diff_dst), diff_weights, diff_bias);
  }
  run_as(static_cast<const float*>(src), static_cast<const float*>(diff_dst), diff_weights, diff_bias);
}

template <class T>
void DepthwiseBackwardWeights::run_as(const T* src, const T* diff_dst, float* diff_weights, float* diff_bias) const {
  const std::int64_t src_pixels = image_.src_height * image_.src_width;
  const std::int64_t dst_pixels = image_.dst_height * image_.dst_width;
  const std::int64_t taps = image_.kernel * image_.kernel, block = image_.pixel;
  parallel_for((channels_ + 15) / 16, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      const std::int64_t channel = 16 * group, first = channel / block * block, within = channel % block;
      const int lanes = static_cast<int>(std::min<std::int64_t>(16, channels_ - channel));
      double sums[kMostTaps * 16] = {}, bias[16] = {}, squares[16] = {};
      const float zeros[16] = {};
      for (std::int64_t n = 0; n < images_; ++n) {
        const T* const x = src + (n * channels_ + first) * src_pixels + within;
        const T* const diff = diff_dst + (n * channels_ + first) * dst_pixels + within;
        depthwise_kernels<T>().backward_weights(image_, lanes, x, diff, sums);
        if (diff_bias != nullptr) norm_kernels<T>().statistics({dst_pixels, block, lanes}, diff, zeros, bias, squares);
      }
      for (int i = 0; i < lanes; ++i) {
        for (std::int64_t tap = 0; tap < taps; ++tap)
          diff_weights[(channel + i) * taps + tap] += static_cast<float>(sums[tap * 16 + i]);
        if (diff_bias != nullptr) diff_bias[channel + i] += static_cast<float>(bias[i]);
      }
    }
  });
}

}  // namespace sluice
