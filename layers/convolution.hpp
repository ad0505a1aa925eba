// What every layer that convolves has in common: the geometry and its keys, and the three convolution primitives with
// their weights: oneDNN's, or kernels of ours where those are faster.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/buffer.hpp"
#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/onednn.hpp"
#include "layers/depthwise.hpp"
#include "layers/winograd.hpp"

namespace sluice {

/// Sizes of a convolution. src: N x I x H x W, weights: O x I/groups x KH x KW, dst: N x O x OH x OW with
/// OH = (H + 2 pad - dilation (KH - 1) - 1) / stride + 1.
struct ConvGeometry {
  std::int64_t channels = 0;  ///< O
  std::int64_t kernel = 0;
  std::int64_t stride = 1;
  std::int64_t pad = 0;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;

  void describe(Keys& keys);
  /// Throws ShapeError where the source does not fit.
  Shape dst_shape(const Shape& src) const;
  Shape weights_shape(const Shape& src) const { return {channels, src[kC] / groups, kernel, kernel}; }
  std::int64_t macs(const Shape& src) const;  ///< for one image
};

/// Whether a kernel of oneDNN is plain C++, or matrix products over copies: of bytes these are slower than the others
/// of fp32.
bool is_generic_kernel(const std::string& kernel);

/// The post-ops that a convolution can do in inference: any kAffine, then one kAdd, then one kClip.
bool conv_accepts(const std::vector<PostOp>& accepted, const PostOp& next);

/// oneDNN's view of one convolution in one executor. A source of bytes (kU8) is multiplied by weights of signed bytes,
/// packed from whole numbers from -127 to 127, forward only: its levels, not what they stand for. A result of bytes (of
/// a problem that is scaled) counts in its steps: so do scale and shift, unless floats are added, and the clip.
struct ConvProblem {
  ConvGeometry geometry;
  TensorDesc src, dst;
  Mode mode = Mode::kInference;
  bool bias = false;
  bool allow_winograd = true;
  std::vector<PostOp> post_ops;  ///< kAdd and kClip; kAffine is folded into weights and bias by the caller
  bool may_copy_src = true;      ///< where oneDNN wants another layout; it cannot write to such a copy
  /// The forward product is multiplied by a number for each output channel, and something is added, before anything
  /// else is done to it: numbers given with each run (Epilogue). Then the kAdd operand is one of them as well.
  bool scaled = false, shifted = false;
  BlockMask mask = {};  ///< weights that the caller knows to be zeros, which may be left out
  /// Of a problem that is scaled: what a kAdd adds. One in bytes (and then the result is, too) is not given with each
  /// run: the result's memory starts with it.
  TensorDesc addend = {};
};

/// The numbers of a problem that is scaled.
struct Epilogue {
  const float* scale = nullptr;  ///< by output channel
  const float* shift = nullptr;  ///< by output channel, if shifted
  const void* addend = nullptr;  ///< if there is a kAdd of floats
};

/// Weights as a primitive wants them, made from the plain fp32 ones.
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(const ConvGeometry& geometry, std::int64_t src_channels, const dnnl::memory::desc& wanted);
  explicit PackedWeights(const WinogradWeights& wanted);
  std::int64_t bytes() const { return bytes_; }
  std::int64_t scratch_bytes() const { return reorder_.scratch_bytes(); }
  void pack(const float* plain, void* packed, void* scratch);

 private:
  onednn::Operation reorder_;
  WinogradWeights winograd_;  ///< instead of the reorder, unless empty
  std::int64_t bytes_ = 0;
};

/// The source as a convolution wants it. oneDNN has fast kernels from an image of few channels to a blocked result only
/// where each channel lies on its own: then the source is copied.
class ConvSource {
 public:
  ConvSource() = default;
  explicit ConvSource(const ConvProblem& problem);
  std::int64_t scratch_bytes() const { return align_up(bytes_) + copy_.scratch_bytes(); }
  /// The memory to read; `scratch` moves behind what the copy occupies.
  const void* prepare(const void* src, void*& scratch);

 private:
  onednn::Operation copy_;
  std::int64_t bytes_ = 0;
};

class ConvForward {
 public:
  ConvForward() = default;
  explicit ConvForward(const ConvProblem& problem);
  PackedWeights& weights() { return weights_; }
  std::int64_t scratch_bytes() const { return source_.scratch_bytes() + operation_.scratch_bytes(); }
  const std::string& kernel() const { return kernel_; }
  void run(const void* src, const void* packed, const float* bias, void* dst, void* scratch);
  /// For a problem that is scaled, which has no bias.
  void run(const void* src, const void* packed, const Epilogue& epilogue, void* dst, void* scratch);

 private:
  ConvSource source_;
  onednn::Operation operation_;
  WinogradConvolution winograd_;  ///< instead of oneDNN's where it is faster; so below
  PackedWeights weights_;
  bool bias_ = false, shifted_ = false, adds_ = false;
  std::string kernel_;
};

class ConvBackwardData {
 public:
  ConvBackwardData() = default;
  explicit ConvBackwardData(const ConvProblem& problem);
  PackedWeights& weights() { return weights_; }
  std::int64_t scratch_bytes() const { return operation_.scratch_bytes(); }
  const std::string& kernel() const { return kernel_; }
  void run(const void* diff_dst, const void* packed, void* diff_src, void* scratch);

 private:
  onednn::Operation operation_;
  WinogradConvolution winograd_;
  PackedWeights weights_;
  std::string kernel_;
};

class ConvBackwardWeights {
 public:
  ConvBackwardWeights() = default;
  explicit ConvBackwardWeights(const ConvProblem& problem);
  std::int64_t scratch_bytes() const {
    return source_.scratch_bytes() + align_up(src_bytes_) + align_up(dst_bytes_) + align_up(diff_bytes_) +
           align_up(bias_bytes_) + operation_scratch_;
  }
  const std::string& kernel() const { return kernel_; }
  /// Adds to the plain fp32 `diff_weights` (and `diff_bias`, null without a bias).
  void run(const void* src, const void* diff_dst, float* diff_weights, float* diff_bias, void* scratch);

 private:
  ConvSource source_;
  onednn::Operation operation_, reorder_;
  onednn::Operation widen_src_, widen_dst_;  ///< to fp32, where oneDNN's kernels for bf16 are slower
  DepthwiseBackwardWeights depthwise_;       ///< instead of oneDNN's where that has no fast kernel
  WinogradBackwardWeights winograd_;
  std::int64_t diff_bytes_ = 0, bias_bytes_ = 0, operation_scratch_ = 0, channels_ = 0;
  std::int64_t src_bytes_ = 0, dst_bytes_ = 0;  ///< of the widened copies
  std::string kernel_;
};

}  // namespace sluice
