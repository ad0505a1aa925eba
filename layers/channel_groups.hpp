// Walks an activation, or a range of its channels, by groups of up to 16 channels: how kernels over channels see both
// layouts.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/graph/tensor.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

struct ChannelGroups {
  ChannelGroups() = default;
  explicit ChannelGroups(const TensorDesc& desc) : ChannelGroups(desc, 0, desc.shape[kC]) {}
  /// `channels` channels from `first` on; in a blocked layout both are multiples of the block.
  ChannelGroups(const TensorDesc& desc, std::int64_t first_channel, std::int64_t channel_count)
      : images(desc.shape[kN]),
        channels(channel_count),
        rows(desc.shape[kH] * desc.shape[kW]),
        count((channel_count + 15) / 16),
        block(desc.block),
        first(first_channel),
        all_channels(desc.shape[kC]) {}

  ChannelGroup at(std::int64_t group) const {
    return {rows, block, static_cast<int>(std::min<std::int64_t>(16, channels - 16 * group))};
  }
  /// The first element of a group in image n.
  std::int64_t offset(std::int64_t n, std::int64_t group) const {
    const std::int64_t channel = first + 16 * group;
    return (n * all_channels + channel / block * block) * rows + channel % block;
  }
  /// The first element of a channel.
  std::int64_t channel_offset(std::int64_t channel) const { return offset(0, channel / 16) + channel % 16; }
  /// Channels rounded up to whole groups.
  std::int64_t padded() const { return count * 16; }

  std::int64_t images = 0, channels = 0, rows = 0, count = 0;

 private:
  std::int64_t block = 0, first = 0, all_channels = 0;
};

}  // namespace sluice
