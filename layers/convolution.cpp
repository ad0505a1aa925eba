#include "layers/convolution.hpp"

#include <algorithm>
#include <functional>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using dnnl::memory;

/// Arguments that all three primitives share.
struct Arguments {
  memory::desc src, weights, bias, dst;
  memory::dims strides, dilates, pads;
};

memory::dims weights_dims(const ConvGeometry& g, std::int64_t src_channels) {
  if (g.groups == 1) return {g.channels, src_channels, g.kernel, g.kernel};
  return {g.groups, g.channels / g.groups, src_channels / g.groups, g.kernel, g.kernel};
}

/// A tensor of 16 channels is called what the other side is: oneDNN has fast kernels for equal layouts.
bool is_blocked(const ConvProblem& p) {
  return (p.src.block == 16 && p.src.shape[kC] > 16) || (p.dst.block == 16 && p.dst.shape[kC] > 16);
}

bool needs_plain_source(const ConvProblem& p) {
  return p.may_copy_src && is_blocked(p) && p.src.shape[kC] < 16 && p.geometry.groups == 1;
}

memory::desc plain_source(const ConvProblem& p) {
  return memory::desc(p.src.shape.dims(), onednn::data_type(p.src.type), memory::format_tag::nchw);
}

Arguments arguments_of(const ConvProblem& p, bool fp32_weights) {
  const ConvGeometry& g = p.geometry;
  const bool blocked = is_blocked(p);
  const memory::data_type weights_type = fp32_weights                  ? memory::data_type::f32
                                         : p.src.type == DataType::kU8 ? memory::data_type::s8
                                                                       : onednn::data_type(p.src.type);
  Arguments a;
  a.src = needs_plain_source(p) ? plain_source(p) : onednn::desc(p.src, blocked);
  a.dst = onednn::desc(p.dst, blocked);
  a.weights = memory::desc(weights_dims(g, p.src.shape[kC]), weights_type, memory::format_tag::any);
  a.bias = memory::desc({g.channels}, memory::data_type::f32, memory::format_tag::a);
  a.strides = {g.stride, g.stride};
  a.dilates = {g.dilation - 1, g.dilation - 1};  // oneDNN counts the holes
  a.pads = {g.pad, g.pad};
  return a;
}

/// F(4x4, 3x3) does a quarter of the multiplications; its transforms pay from 32 channels on (measured; fp32 and
/// blocked layouts only).
bool winograd_pays(const ConvProblem& p) {
  const ConvGeometry& g = p.geometry;
  return p.allow_winograd && p.src.type == DataType::kF32 && p.dst.type == DataType::kF32 && g.kernel == 3 &&
         g.stride == 1 && g.pad == 1 && g.dilation == 1 && g.groups == 1 && p.src.shape[kC] >= 32 && g.channels >= 32 &&
         p.src.block == 16 && p.dst.block == 16;
}

/// AMX multiplies bf16 matrices faster than vectors can the fewer numbers that Winograd leaves.
bool ours_is_faster(const ConvProblem& p, const std::string& onednn_kernel) {
  return winograd_fits(p) && onednn_kernel.find("amx") == std::string::npos;
}

/// Makes a primitive with Winograd's algorithm where it pays and exists, else with the direct one.
template <class Make>
auto with_best_algorithm(const ConvProblem& p, Make&& make) {
  if (winograd_pays(p)) {
    try {
      return make(dnnl::algorithm::convolution_winograd);
    } catch (const dnnl::error&) {  // this version or processor has none
    }
  }
  return make(dnnl::algorithm::convolution_direct);
}

/// A number for each output channel, as binary post-ops take it.
memory::desc by_channel(const ConvProblem& p) {
  return onednn::plain({1, p.geometry.channels, 1, 1});
}

void append(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.0F, algorithm, alpha, beta);
#endif
}

void append_clip(dnnl::post_ops& ops, const Epilogue& e) {
  const bool relu = e.low == 0.0F && e.high == Epilogue::kInfinity;
  if (relu) return append(ops, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
  append(ops, dnnl::algorithm::eltwise_clip, e.low, e.high);
}

/// Whether what is added stands in the result's memory.
bool sums(const ConvProblem& p) {
  return !p.scaled || p.addend.type == DataType::kU8;
}

dnnl::primitive_attr forward_attributes(const ConvProblem& p) {
  dnnl::primitive_attr attr = onednn::attributes();
  dnnl::post_ops ops;
  if (p.scaled) ops.append_binary(dnnl::algorithm::binary_mul, by_channel(p));
  if (p.shifted) ops.append_binary(dnnl::algorithm::binary_add, by_channel(p));
  if (p.epilogue.adds && sums(p)) {
    ops.append_sum(p.scaled ? p.addend.scale / p.dst.scale : 1.0F);
  } else if (p.epilogue.adds) {  // not all kernels have a sum behind other post-ops
    ops.append_binary(dnnl::algorithm::binary_add, onednn::desc(p.addend, is_blocked(p)));
    if (p.dst.type == DataType::kU8) append(ops, dnnl::algorithm::eltwise_linear, 1 / p.dst.scale, 0.0F);
  }
  if (p.epilogue.clips()) append_clip(ops, p.epilogue);
  attr.set_post_ops(ops);
  return attr;
}

dnnl::convolution_forward::primitive_desc forward_descriptor(const ConvProblem& p, dnnl::algorithm algorithm) {
  const Arguments a = arguments_of(p, false);
  const auto prop = p.mode == Mode::kTraining ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const dnnl::primitive_attr attr = forward_attributes(p);
  if (p.bias) {
    return onednn::make<dnnl::convolution_forward>(attr, prop, algorithm, a.src, a.weights, a.bias, a.dst, a.strides,
                                                   a.dilates, a.pads, a.pads);
  }
  return onednn::make<dnnl::convolution_forward>(attr, prop, algorithm, a.src, a.weights, a.dst, a.strides, a.dilates,
                                                 a.pads, a.pads);
}

/// The forward descriptor that a backward one takes as its hint.
dnnl::convolution_forward::primitive_desc hint(const ConvProblem& p, dnnl::algorithm algorithm) {
  ConvProblem plain = p;
  plain.epilogue = {};
  plain.scaled = plain.shifted = false;
  return forward_descriptor(plain, algorithm);
}

dnnl::convolution_backward_weights::primitive_desc backward_weights_descriptor(const ConvProblem& p) {
  const Arguments a = arguments_of(p, true);  // gradients are fp32 whatever the activations are
  return with_best_algorithm(p, [&](dnnl::algorithm algorithm) {
    if (p.bias) {
      return onednn::make_backward<dnnl::convolution_backward_weights>(onednn::attributes(), hint(p, algorithm),
                                                                       algorithm, a.src, a.weights, a.bias, a.dst,
                                                                       a.strides, a.dilates, a.pads, a.pads);
    }
    return onednn::make_backward<dnnl::convolution_backward_weights>(onednn::attributes(), hint(p, algorithm),
                                                                     algorithm, a.src, a.weights, a.dst, a.strides,
                                                                     a.dilates, a.pads, a.pads);
  });
}

/// oneDNN's bf16 gradient of strided filters takes three times as long as its fp32 one where channels are few
/// (measured: 16 and 32; no more from 64 on).
bool widening_pays(const ConvProblem& p, const std::string& onednn_kernel) {
  const ConvGeometry& g = p.geometry;
  return p.src.type == DataType::kBF16 && p.dst.type == DataType::kBF16 && g.kernel == 3 && g.stride == 2 &&
         g.groups == 1 && p.src.block == 16 && p.dst.block == 16 && p.src.shape[kC] <= 32 &&
         cpu_isa() == Isa::kAvx512 && onednn_kernel.find("amx") == std::string::npos;
}

}  // namespace

bool is_generic_kernel(const std::string& kernel) {
  return kernel.find("ref") != std::string::npos || kernel.find("gemm") != std::string::npos;
}

bool conv_accepts(const std::vector<PostOp>& accepted, const PostOp& next, bool bounds) {
  const auto has = [&](PostOp::Kind kind) {
    return std::any_of(accepted.begin(), accepted.end(), [&](const PostOp& op) { return op.kind == kind; });
  };
  if (has(PostOp::Kind::kClip) || has(PostOp::Kind::kBound)) return false;  // oneDNN's kernels end with the clip
  if (next.kind == PostOp::Kind::kBound) return bounds;
  return next.kind == PostOp::Kind::kAffine ? !has(PostOp::Kind::kAdd) : !has(next.kind);
}

PackedWeights::PackedWeights(const ConvGeometry& geometry, std::int64_t src_channels, const memory::desc& wanted)
    : reorder_(onednn::reorder(onednn::plain(weights_dims(geometry, src_channels)), wanted)),
      bytes_(onednn::bytes(wanted)) {}

PackedWeights::PackedWeights(const WinogradWeights& wanted) : winograd_(wanted), bytes_(wanted.count() * 4) {}

void PackedWeights::book(SlotBook& book, Scratch refresh) {
  packed_ = book.kept<std::byte>(bytes_);
  reorder_.book(refresh);
}

void PackedWeights::pack(const Memory& memory, const float* plain) {
  if (winograd_.count() == 0) return reorder_.run(memory, {plain, memory[packed_]});
  pack_winograd(winograd_, plain, reinterpret_cast<float*>(memory[packed_]));
}

ConvSource::ConvSource(const ConvProblem& problem) {
  if (!needs_plain_source(problem)) return;
  copy_ = onednn::reorder(onednn::desc(problem.src), plain_source(problem));
  bytes_ = problem.src.bytes();
}

void ConvSource::book(Scratch& scratch) {
  plain_ = scratch.book<std::byte>(bytes_);
  copy_.book(scratch);
}

const void* ConvSource::prepare(const Memory& memory, const void* src) {
  if (copy_.empty()) return src;
  void* const plain = memory[plain_];
  copy_.run(memory, {src, plain});
  return plain;
}

ConvForward::ConvForward(const ConvProblem& problem) : source_(problem), bias_(problem.bias) {
  const auto descriptor =
      with_best_algorithm(problem, [&](dnnl::algorithm algorithm) { return forward_descriptor(problem, algorithm); });
  kernel_ = onednn::kernel_name(descriptor);
  if (ours_is_faster(problem, kernel_)) {
    winograd_ = WinogradConvolution(problem, false);
    weights_ = PackedWeights(winograd_.weights());
    kernel_ = winograd_kernel();
    return;
  }
  std::vector<onednn::Operation::Argument> arguments = {{DNNL_ARG_SRC, descriptor.src_desc()},
                                                        {DNNL_ARG_WEIGHTS, descriptor.weights_desc()},
                                                        {DNNL_ARG_DST, descriptor.dst_desc()}};
  if (bias_) arguments.emplace_back(DNNL_ARG_BIAS, descriptor.bias_desc());
  if (problem.scaled) {
    shifted_ = problem.shifted;
    adds_ = problem.epilogue.adds && !sums(problem);
    int position = 0;
    const auto operand = [&](const memory::desc& desc) {
      arguments.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(position++) | DNNL_ARG_SRC_1, desc);
    };
    operand(by_channel(problem));
    if (shifted_) operand(by_channel(problem));
    if (adds_) operand(onednn::desc(problem.addend, is_blocked(problem)));
  }
  operation_ = onednn::Operation(descriptor, dnnl::convolution_forward(descriptor), std::move(arguments));
  weights_ = PackedWeights(problem.geometry, problem.src.shape[kC], descriptor.weights_desc());
}

void ConvForward::book(SlotBook& book, Scratch refresh, Scratch forward) {
  weights_.book(book, refresh);
  source_.book(forward);
  operation_.book(forward);
}

void ConvForward::run(const Memory& memory, const void* src, const float* bias, void* dst) {
  const void* const packed = weights_.packed(memory);
  if (!winograd_.empty()) return winograd_.run(src, packed, bias, dst);
  src = source_.prepare(memory, src);
  if (bias_) {
    operation_.run(memory, {src, packed, dst, bias});
  } else {
    operation_.run(memory, {src, packed, dst});
  }
}

void ConvForward::run(const Memory& memory, const void* src, const ScaleOperands& operands, void* dst) {
  const auto& [scale, shift, addend] = operands;
  const void* const packed = weights_.packed(memory);
  src = source_.prepare(memory, src);
  if (shifted_ && adds_) {
    operation_.run(memory, {src, packed, dst, scale, shift, addend});
  } else if (shifted_) {
    operation_.run(memory, {src, packed, dst, scale, shift});
  } else if (adds_) {
    operation_.run(memory, {src, packed, dst, scale, addend});
  } else {
    operation_.run(memory, {src, packed, dst, scale});
  }
}

ConvBackwardData::ConvBackwardData(const ConvProblem& conv) {
  ConvProblem problem = conv;
  problem.may_copy_src = false;
  const Arguments a = arguments_of(problem, false);
  const auto descriptor = with_best_algorithm(problem, [&](dnnl::algorithm algorithm) {
    return onednn::make_backward<dnnl::convolution_backward_data>(onednn::attributes(), hint(problem, algorithm),
                                                                  algorithm, a.src, a.weights, a.dst, a.strides,
                                                                  a.dilates, a.pads, a.pads);
  });
  kernel_ = onednn::kernel_name(descriptor);
  if (ours_is_faster(problem, kernel_)) {
    winograd_ = WinogradConvolution(problem, true);
    weights_ = PackedWeights(winograd_.weights());
    kernel_ = winograd_kernel();
    return;
  }
  operation_ = onednn::Operation(descriptor, dnnl::convolution_backward_data(descriptor),
                                 {{DNNL_ARG_DIFF_DST, descriptor.diff_dst_desc()},
                                  {DNNL_ARG_WEIGHTS, descriptor.weights_desc()},
                                  {DNNL_ARG_DIFF_SRC, descriptor.diff_src_desc()}});
  weights_ = PackedWeights(problem.geometry, problem.src.shape[kC], descriptor.weights_desc());
}

void ConvBackwardData::book(SlotBook& book, Scratch refresh, Scratch backward) {
  weights_.book(book, refresh);
  operation_.book(backward);
}

void ConvBackwardData::run(const Memory& memory, const void* diff_dst, void* diff_src) {
  const void* const packed = weights_.packed(memory);
  if (!winograd_.empty()) return winograd_.run(diff_dst, packed, nullptr, diff_src);
  operation_.run(memory, {diff_dst, packed, diff_src});
}

ConvBackwardWeights::ConvBackwardWeights(const ConvProblem& problem)
    : source_(problem), channels_(problem.geometry.channels), bias_(problem.bias) {
  auto descriptor = backward_weights_descriptor(problem);
  kernel_ = onednn::kernel_name(descriptor);
  // Images smaller than their filter: oneDNN's depthwise kernels refuse them, and the others are 20 to 100 times
  // slower.
  if (DepthwiseBackwardWeights::fits(problem) && kernel_.find("dw") == std::string::npos) {
    depthwise_ = DepthwiseBackwardWeights(problem);
    kernel_ = depthwise_.kernel();
    return;
  }
  if (ours_is_faster(problem, kernel_)) {
    winograd_ = WinogradBackwardWeights(problem);
    kernel_ = winograd_kernel();
    return;
  }
  if (widening_pays(problem, kernel_)) {
    ConvProblem wide = problem;
    wide.src.type = wide.dst.type = DataType::kF32;
    widen_src_ = onednn::reorder(onednn::desc(problem.src), onednn::desc(wide.src));
    widen_dst_ = onednn::reorder(onednn::desc(problem.dst), onednn::desc(wide.dst));
    src_bytes_ = wide.src.bytes();
    dst_bytes_ = wide.dst.bytes();
    descriptor = backward_weights_descriptor(wide);
    kernel_ = onednn::kernel_name(descriptor);
  }
  std::vector<onednn::Operation::Argument> arguments = {{DNNL_ARG_SRC, descriptor.src_desc()},
                                                        {DNNL_ARG_DIFF_DST, descriptor.diff_dst_desc()},
                                                        {DNNL_ARG_DIFF_WEIGHTS, descriptor.diff_weights_desc()}};
  if (problem.bias) arguments.emplace_back(DNNL_ARG_DIFF_BIAS, descriptor.diff_bias_desc());
  operation_ = onednn::Operation(descriptor, dnnl::convolution_backward_weights(descriptor), std::move(arguments));
  const auto plain = onednn::plain(weights_dims(problem.geometry, problem.src.shape[kC]));
  reorder_ = onednn::reorder(descriptor.diff_weights_desc(), plain, true);
  diff_bytes_ = onednn::bytes(descriptor.diff_weights_desc());
}

void ConvBackwardWeights::book(Scratch backward) {
  if (!depthwise_.empty()) return;
  if (!winograd_.empty()) return winograd_.book(backward);
  source_.book(backward);
  wide_src_ = backward.book<std::byte>(src_bytes_);
  wide_dst_ = backward.book<std::byte>(dst_bytes_);
  diff_ = backward.book<std::byte>(diff_bytes_);
  diff_bias_ = backward.book<float>(bias_ ? channels_ : 0);
  for (onednn::Operation* operation : {&widen_src_, &widen_dst_, &operation_, &reorder_}) operation->book(backward);
}

/// To fp32, where the product is computed in that.
void ConvBackwardWeights::widen(const Memory& memory, const void*& src, const void*& diff_dst) {
  if (src_bytes_ == 0) return;
  widen_src_.run(memory, {src, memory[wide_src_]});
  widen_dst_.run(memory, {diff_dst, memory[wide_dst_]});
  src = memory[wide_src_];
  diff_dst = memory[wide_dst_];
}

void ConvBackwardWeights::run(const Memory& memory, const void* src, const void* diff_dst, float* diff_weights,
                              float* diff_bias) {
  if (!depthwise_.empty()) return depthwise_.run(src, diff_dst, diff_weights, diff_bias);
  if (!winograd_.empty()) return winograd_.run(memory, src, diff_dst, diff_weights, diff_bias);
  src = source_.prepare(memory, src);
  widen(memory, src, diff_dst);
  void* const diff = memory[diff_];
  if (bias_) {
    float* const bias = memory[diff_bias_];
    operation_.run(memory, {src, diff_dst, diff, bias});
    for (std::int64_t o = 0; o < channels_; ++o) diff_bias[o] += bias[o];
  } else {
    operation_.run(memory, {src, diff_dst, diff});
  }
  reorder_.run(memory, {diff, diff_weights});
}

ConvGradients::ConvGradients(const ConvProblem& problem, bool needs_diff_src)
    : needs_diff_src_(needs_diff_src), weights_(problem) {
  if (needs_diff_src_) data_ = ConvBackwardData(problem);
}

void ConvGradients::book(SlotBook& book, Scratch refresh, Scratch weights, Scratch data) {
  weights_.book(weights);
  if (needs_diff_src_) data_.book(book, refresh, data);
}

std::string ConvGradients::kernels() const {
  return concat(" ", weights_.kernel(), needs_diff_src_ ? " " : "", data_.kernel());
}

}  // namespace sluice
