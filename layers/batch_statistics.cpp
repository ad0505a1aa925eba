#include "layers/batch_statistics.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/parallel.hpp"

namespace sluice {

void ChannelSums::clear() {
  std::memset(sums_, 0, static_cast<std::size_t>(bytes(groups_)));
}

double ChannelSums::total(std::int64_t channel, std::int64_t part) const {
  double sum = 0;
  const std::int64_t at = channel / 16 * 32 + channel % 16 + part;
  for (std::int64_t n = 0; n < groups_.images; ++n) sum += sums_[n * groups_.count * 32 + at];
  return sum;
}

template <class T>
void batch_statistics(const ChannelGroups& groups, const T* src, float* mean, float* variance, void* scratch) {
  ChannelSums sums(groups, scratch);
  sums.clear();
  float* const pivot = mean;
  for (std::int64_t i = 0; i < groups.channels; ++i) pivot[i] = widen(src[groups.channel_offset(i)]);
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / groups.count, group = i % groups.count;
      double* const sum = sums.of(n, group);
      norm_kernels<T>().statistics(groups.at(group), src + groups.offset(n, group), pivot + 16 * group, sum, sum + 16);
    }
  });
  const double count = static_cast<double>(groups.images * groups.rows);
  for (std::int64_t i = 0; i < groups.channels; ++i) {
    const double shifted = sums.first(i) / count;
    variance[i] = static_cast<float>(std::max(0.0, sums.second(i) / count - shifted * shifted));
    mean[i] = static_cast<float>(static_cast<double>(pivot[i]) + shifted);
  }
}

template void batch_statistics(const ChannelGroups&, const float*, float*, float*, void*);
template void batch_statistics(const ChannelGroups&, const BFloat16*, float*, float*, void*);

void update_running_statistics(const ChannelGroups& groups, const float* mean, const float* variance, double momentum,
                               float* running_mean, float* running_variance) {
  const double count = static_cast<double>(groups.images * groups.rows);
  const double unbiased = count > 1 ? count / (count - 1) : 1.0;
  const auto blend = [&](float& running, double value) {
    running = static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * value);
  };
  for (std::int64_t i = 0; i < groups.channels; ++i) {
    blend(running_mean[i], static_cast<double>(mean[i]));
    blend(running_variance[i], static_cast<double>(variance[i]) * unbiased);
  }
}

}  // namespace sluice
