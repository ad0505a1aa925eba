// Mean and variance of each channel over N, H and W: what normalisations are made from.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/parallel.hpp"
#include "core/distributed/batch_share.hpp"
#include "layers/channel_groups.hpp"

namespace sluice {

/// Two sums for each image and channel, in double: [image][group][2][16]. What kernels add up image by image, in
/// parallel, is put together in the order of the images, whatever the number of threads.
class ChannelSums {
 public:
  /// `memory` holds count(groups) numbers.
  ChannelSums(const ChannelGroups& groups, double* memory) : groups_(groups), sums_(memory) {}
  static std::int64_t count(const ChannelGroups& groups) { return groups.images * groups.padded() * 2; }

  void clear();
  /// The 16 first sums of a group; its 16 second sums stand behind them.
  double* of(std::int64_t image, std::int64_t group) const { return sums_ + (image * groups_.count + group) * 32; }
  /// Puts the ranks' sums together, each times its weight. Collective; nothing where `share` is null.
  void add_ranks(const BatchShare* share, double weight = 1);
  /// Of gradients, each rank's of the mean loss over its own images: together they are those of the mean loss over the
  /// whole batch.
  void add_gradients(const BatchShare* share) {
    if (share != nullptr) add_ranks(share, share->weight(groups_.images));
  }
  double first(std::int64_t channel) const { return total(channel, 0); }
  double second(std::int64_t channel) const { return total(channel, 16); }

 private:
  double total(std::int64_t channel, std::int64_t part) const;

  const ChannelGroups& groups_;
  double* sums_;
};

/// Batch statistics of an activation's channels, from sums of differences to each channel's first value: no
/// cancellation. `mean` and `variance` (biased) hold groups.padded() values; `memory` holds ChannelSums::count(groups).
/// With `share` those of the whole batch, on all ranks.
template <class T>
void batch_statistics(const ChannelGroups& groups, const T* src, float* mean, float* variance, double* memory,
                      const BatchShare* share = nullptr);

/// Numbers of a channel in the batch.
inline double values_of_channel(const ChannelGroups& groups, const BatchShare* share) {
  return static_cast<double>((share == nullptr ? groups.images : share->images) * groups.rows);
}
/// The first rank's values for everybody; nothing where `share` is null.
void agree(const BatchShare* share, float* values, std::int64_t count);

/// The same for other sums: `first_value(channel)` is any value of a channel, `add(image, group, pivot, sum)` adds a
/// group's differences to its pivots (and their squares, 16 behind) to `sum`.
template <class FirstValue, class Add>
void batch_statistics_of(const ChannelGroups& groups, FirstValue&& first_value, Add&& add, float* mean, float* variance,
                         double* memory, const BatchShare* share = nullptr) {
  ChannelSums sums(groups, memory);
  sums.clear();
  float* const pivot = mean;
  for (std::int64_t i = 0; i < groups.channels; ++i) pivot[i] = first_value(i);
  agree(share, pivot, groups.channels);
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / groups.count, group = i % groups.count;
      add(n, group, pivot + 16 * group, sums.of(n, group));
    }
  });
  sums.add_ranks(share);
  const double count = values_of_channel(groups, share);
  for (std::int64_t i = 0; i < groups.channels; ++i) {
    const double shifted = sums.first(i) / count;
    variance[i] = static_cast<float>(std::max(0.0, sums.second(i) / count - shifted * shifted));
    mean[i] = static_cast<float>(static_cast<double>(pivot[i]) + shifted);
  }
}

/// running = (1 - momentum) running + momentum batch, with the unbiased variance.
void update_running_statistics(const ChannelGroups& groups, const float* mean, const float* variance, double momentum,
                               float* running_mean, float* running_variance, const BatchShare* share = nullptr);

}  // namespace sluice
