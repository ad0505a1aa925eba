#include "layers/batch_statistics.hpp"

#include <cstring>

#include "core/distributed/communicator.hpp"

namespace sluice {

void ChannelSums::clear() {
  std::memset(sums_, 0, static_cast<std::size_t>(count(groups_)) * sizeof(double));
}

double ChannelSums::total(std::int64_t channel, std::int64_t part) const {
  double sum = 0;
  const std::int64_t at = channel / 16 * 32 + channel % 16 + part;
  for (std::int64_t n = 0; n < groups_.images; ++n) sum += sums_[n * groups_.count * 32 + at];
  return sum;
}

void ChannelSums::add_ranks(const BatchShare* share, double weight) {
  if (share == nullptr) return;
  const std::int64_t image = groups_.count * 32;
  for (std::int64_t i = 0; i < image; ++i) {
    double sum = 0;
    for (std::int64_t n = 0; n < groups_.images; ++n) {
      sum += sums_[n * image + i];
      sums_[n * image + i] = 0;
    }
    sums_[i] = weight * sum;
  }
  share->ranks->sum(sums_, image);
}

void agree(const BatchShare* share, float* values, std::int64_t count) {
  if (share != nullptr) share->ranks->broadcast(values, count * static_cast<std::int64_t>(sizeof(float)), 0);
}

template <class T>
void batch_statistics(const ChannelGroups& groups, const T* src, float* mean, float* variance, double* memory,
                      const BatchShare* share) {
  batch_statistics_of(
      groups, [&](std::int64_t channel) { return widen(src[groups.channel_offset(channel)]); },
      [&](std::int64_t n, std::int64_t group, const float* pivot, double* sum) {
        norm_kernels<T>().statistics(groups.at(group), src + groups.offset(n, group), pivot, sum, sum + 16);
      },
      mean, variance, memory, share);
}

template void batch_statistics(const ChannelGroups&, const float*, float*, float*, double*, const BatchShare*);
template void batch_statistics(const ChannelGroups&, const BFloat16*, float*, float*, double*, const BatchShare*);

void update_running_statistics(const ChannelGroups& groups, const float* mean, const float* variance, double momentum,
                               float* running_mean, float* running_variance, const BatchShare* share) {
  const double count = values_of_channel(groups, share);
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
