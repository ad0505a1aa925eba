#include "gating/path_mask.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

void PathOptions::describe(Keys& keys) {
  keys.optional("partitions", partitions, at_least(std::int64_t{1}),
                "p: the base path of each output has 1 / p of the input channels");
  keys.renamed("group", "own_chunk");
  keys.optional("own_chunk", own_chunk,
                "the base path of output chunk k of p reads input chunk k; else chunk 0 feeds all (once `group`)");
  keys.optional("shuffle", shuffle, "shuffle the source's channels in p groups first");
}

PathMask::PathMask(const PathOptions& options, const Shape& weights)
    : weights_(weights),
      partitions_(options.partitions),
      inputs_(weights[1] / options.partitions),
      own_chunk_(options.own_chunk),
      shuffle_(options.shuffle) {
  const std::int64_t outputs = weights[0], inputs = weights[1];
  if (inputs_ < 1) {
    throw ShapeError("partitions", concat("partitions = ", partitions_, " leave the base path without any of the ",
                                          inputs, " input channels; at most ", inputs, " are possible"));
  }
  if (own_chunk_ && (inputs % partitions_ != 0 || outputs % partitions_ != 0)) {
    throw ShapeError("partitions", concat("with own_chunk = yes, partitions = ", partitions_, " must divide both ",
                                          inputs, " input and ", outputs, " output channels"));
  }
  if (shuffle_ && inputs % partitions_ != 0) {
    throw ShapeError("partitions", concat("with shuffle = yes, partitions = ", partitions_, " must divide ", inputs,
                                          " input channels"));
  }
}

void PathMask::split(const float* weights, float* both) const {
  const std::int64_t outputs = weights_[0], inputs = weights_[1], taps = weights_[2] * weights_[3];
  std::fill_n(both, 2 * outputs * inputs * taps, 0.0F);
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t row = is_base(o, i) ? o : outputs + o;
      std::copy_n(weights + (o * inputs + i) * taps, taps, both + (row * inputs + source_channel(i)) * taps);
    }
  }
}

BlockMask PathMask::split_blocks() const {
  constexpr std::int64_t block = BlockMask::kBlock, most = block * BlockMask::kMostBlocks;
  const std::int64_t outputs = weights_[0], inputs = weights_[1];
  if (2 * outputs > most || inputs > most) return {};
  BlockMask mask = BlockMask::none();
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      mask.set((is_base(o, i) ? o : outputs + o) / block, source_channel(i) / block);
    }
  }
  return mask;
}

void PathMask::merge(const float* diff_both, float* diff_weights) const {
  const std::int64_t outputs = weights_[0], inputs = weights_[1], taps = weights_[2] * weights_[3];
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t row = is_base(o, i) ? o : outputs + o;
      const float* const from = diff_both + (row * inputs + source_channel(i)) * taps;
      float* const to = diff_weights + (o * inputs + i) * taps;
      for (std::int64_t t = 0; t < taps; ++t) to[t] += from[t];
    }
  }
}

void PathMask::unshuffle(const float* weights, float* whole) const {
  const std::int64_t inputs = weights_[1], taps = weights_[2] * weights_[3];
  for (std::int64_t row = 0; row < weights_[0]; ++row) {
    for (std::int64_t i = 0; i < inputs; ++i, weights += taps)
      std::copy_n(weights, taps, whole + (row * inputs + source_channel(i)) * taps);
  }
}

}  // namespace sluice
