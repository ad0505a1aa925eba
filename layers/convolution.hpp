// What every layer that convolves has in common: the three convolution primitives with their weights, oneDNN's, or
// kernels of ours where those are faster.
#pragma once

#include <cstdint>
#include <string>

#include "core/graph/layer.hpp"
#include "core/graph/onednn.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/depthwise.hpp"
#include "layers/epilogue.hpp"
#include "layers/winograd.hpp"

namespace sluice {

/// Whether a kernel of oneDNN is plain C++, or matrix products over copies: of int8 these are slower than the others
/// of fp32.
bool is_generic_kernel(const std::string& kernel);

/// The post-ops that a convolution can do in inference: any kAffine, then one kAdd, then one kClip (Epilogue), or one
/// kBound where the layer `bounds`.
bool conv_accepts(const std::vector<PostOp>& accepted, const PostOp& next, bool bounds = false);

/// oneDNN's view of one convolution in one executor. A source in int8 (kU8) is multiplied by int8 weights,
/// packed from whole numbers from -127 to 127, forward only: its levels, not what they stand for. A result of int8 (of
/// a problem that is scaled) counts in its levels: so do scale and shift, unless floats are added, and the clip.
struct ConvProblem {
  ConvGeometry geometry;
  TensorDesc src, dst;
  Mode mode = Mode::kInference;
  bool bias = false;
  bool allow_winograd = true;
  Epilogue epilogue;         ///< what is affine is folded into weights and bias by the caller
  bool may_copy_src = true;  ///< where oneDNN wants another layout; it cannot write to such a copy
  /// The forward product is multiplied by a number for each output channel, and something is added, before anything
  /// else is done to it: numbers given with each run (ScaleOperands). Then the addend is one of them as well.
  bool scaled = false, shifted = false;
  BlockMask mask = {};  ///< weights that the caller knows to be zeros, which may be left out
  /// Of a problem that is scaled: what the epilogue adds. One in int8 (and then the result is, too) is not given with
  /// each run: the result's memory starts with it.
  TensorDesc addend = {};
};

/// The numbers of a problem that is scaled.
struct ScaleOperands {
  const float* scale = nullptr;  ///< by output channel
  const float* shift = nullptr;  ///< by output channel, if shifted
  const void* addend = nullptr;  ///< if floats are added
};

/// Weights as a primitive wants them, made from the plain fp32 ones.
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(const ConvGeometry& geometry, std::int64_t src_channels, const dnnl::memory::desc& wanted);
  explicit PackedWeights(const WinogradWeights& wanted);
  /// Kept memory, and scratch memory of `pack`.
  void book(SlotBook& book, Scratch refresh);
  void pack(const Memory& memory, const float* plain);
  const void* packed(const Memory& memory) const { return memory[packed_]; }

 private:
  onednn::Operation reorder_;
  WinogradWeights winograd_;  ///< instead of the reorder, unless empty
  std::int64_t bytes_ = 0;
  Slot<std::byte> packed_;
};

/// The source as a convolution wants it. oneDNN has fast kernels from an image of few channels to a blocked result only
/// where each channel lies on its own: then the source is copied.
class ConvSource {
 public:
  ConvSource() = default;
  explicit ConvSource(const ConvProblem& problem);
  void book(Scratch& scratch);
  /// The memory to read.
  const void* prepare(const Memory& memory, const void* src);

 private:
  onednn::Operation copy_;
  std::int64_t bytes_ = 0;
  Slot<std::byte> plain_;
};

class ConvForward {
 public:
  ConvForward() = default;
  explicit ConvForward(const ConvProblem& problem);
  /// Kept memory for the weights, and scratch memory of `pack` and of `run`. To be called once, before these.
  void book(SlotBook& book, Scratch refresh, Scratch forward);
  const std::string& kernel() const { return kernel_; }
  void pack(const Memory& memory, const float* weights) { weights_.pack(memory, weights); }
  void run(const Memory& memory, const void* src, const float* bias, void* dst);
  /// For a problem that is scaled, which has no bias.
  void run(const Memory& memory, const void* src, const ScaleOperands& operands, void* dst);

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
  void book(SlotBook& book, Scratch refresh, Scratch backward);
  const std::string& kernel() const { return kernel_; }
  void pack(const Memory& memory, const float* weights) { weights_.pack(memory, weights); }
  void run(const Memory& memory, const void* diff_dst, void* diff_src);

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
  void book(Scratch backward);
  const std::string& kernel() const { return kernel_; }
  /// Adds to the plain fp32 `diff_weights` (and `diff_bias`, null without a bias).
  void run(const Memory& memory, const void* src, const void* diff_dst, float* diff_weights, float* diff_bias);

 private:
  void widen(const Memory& memory, const void*& src, const void*& diff_dst);

  ConvSource source_;
  onednn::Operation operation_, reorder_;
  onednn::Operation widen_src_, widen_dst_;  ///< to fp32, where oneDNN's kernels for bf16 are slower
  DepthwiseBackwardWeights depthwise_;       ///< instead of oneDNN's where that has no fast kernel
  WinogradBackwardWeights winograd_;
  std::int64_t diff_bytes_ = 0, channels_ = 0;
  std::int64_t src_bytes_ = 0, dst_bytes_ = 0;  ///< of the widened copies
  bool bias_ = false;
  Slot<std::byte> diff_, wide_src_, wide_dst_;
  Slot<float> diff_bias_;
  std::string kernel_;
};

/// Both gradients of a convolution in training; that of the source where somebody needs it.
class ConvGradients {
 public:
  ConvGradients() = default;
  ConvGradients(const ConvProblem& problem, bool needs_diff_src);
  /// The gradient of the weights is computed before that of the source: both may use the same scratch memory.
  void book(SlotBook& book, Scratch refresh, Scratch weights, Scratch data);
  /// With a space in front of each.
  std::string kernels() const;
  bool needs_diff_src() const { return needs_diff_src_; }
  void pack(const Memory& memory, const float* weights) {
    if (needs_diff_src_) data_.pack(memory, weights);
  }
  ConvBackwardWeights& weights() { return weights_; }
  /// Does nothing where nobody needs it.
  void run_data(const Memory& memory, const void* diff_dst, void* diff_src) {
    if (needs_diff_src_) data_.run(memory, diff_dst, diff_src);
  }

 private:
  bool needs_diff_src_ = false;
  ConvBackwardWeights weights_;
  ConvBackwardData data_;
};

}  // namespace sluice
