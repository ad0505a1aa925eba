// Which weights of a channel-gated convolution belong to its base path (Hua et al., NeurIPS 2019, section 3.2 and 3.4).
#pragma once

#include <cstdint>

#include "core/base/shape.hpp"
#include "core/config/keys.hpp"
#include "layers/kernels/block_mask.hpp"

namespace sluice {

struct PathOptions {
  std::int64_t partitions = 4;
  bool own_chunk = false;
  bool shuffle = false;

  void describe(Keys& keys);
};

/// The split of weights O x I x KH x KW. Without `own_chunk` the first I / p input channels (rounded down) feed the
/// base path of every output; with it, output chunk k of O / p channels has the input chunk k of I / p channels. With
/// `shuffle` input position j g + i reads source channel i I / g + j, g = p.
class PathMask {
 public:
  PathMask() = default;
  /// Throws ShapeError where the widths do not fit.
  PathMask(const PathOptions& options, const Shape& weights);

  bool is_base(std::int64_t output, std::int64_t input) const {
    return own_chunk_ ? input / inputs_ == output / (weights_[0] / partitions_) : input < inputs_;
  }
  /// The source channel that input position `input` reads.
  std::int64_t source_channel(std::int64_t input) const {
    return shuffle_ ? input % partitions_ * (weights_[1] / partitions_) + input / partitions_ : input;
  }
  /// Inputs of the base path of each output.
  std::int64_t base_inputs() const { return inputs_; }

  /// Weights 2 O x I x KH x KW of one convolution over the unshuffled source: the base path's filters (zeros
  /// elsewhere), then the conditional path's.
  void split(const float* weights, float* both) const;
  /// Where those weights can differ from zero.
  BlockMask split_blocks() const;
  /// Adds the gradient of such weights to that of the original ones.
  void merge(const float* diff_both, float* diff_weights) const;
  /// Weights O x I x KH x KW of both paths together over the unshuffled source.
  void unshuffle(const float* weights, float* whole) const;

 private:
  Shape weights_;
  std::int64_t partitions_ = 1, inputs_ = 0;
  bool own_chunk_ = false, shuffle_ = false;
};

}  // namespace sluice
