#include "layers/winograd.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/convolution.hpp"

namespace sluice {
namespace {

WinogradChannels channels_of(const TensorDesc& tensor) {
  const std::int64_t channels = tensor.shape[kC];
  return {channels / 16, tensor.block == channels};
}

WinogradShape shape_of(const ConvProblem& problem) {
  const Shape& src = problem.src.shape;
  return {src[kN], src[kH], src[kW], channels_of(problem.src), channels_of(problem.dst)};
}

bool in_blocks(const TensorDesc& tensor) {
  const std::int64_t channels = tensor.shape[kC];
  return (tensor.block == 16 || tensor.block == channels) && channels % 16 == 0 &&
         channels / 16 <= WinogradShape::kMostBlocks;
}

/// Blocks of a result's groups [begin, end), counted group by group: a piece of whole groups, or part of one.
WinogradRange range_of(std::int64_t blocks, std::int64_t begin, std::int64_t end) {
  const std::int64_t group = begin / blocks, first = begin % blocks;
  if (first == 0 && end - begin >= blocks) return {group, end / blocks, 0, blocks};
  return {group, group + 1, first, std::min(blocks, first + end - begin)};
}

/// Few tiles are shared out by their channels too, whose sources each thread then transforms again.
template <class T>
void convolve(const WinogradShape& shape, const void* src, const void* packed, const WinogradEpilogue& epilogue,
              void* dst) {
  const std::int64_t blocks = shape.dst.blocks;
  parallel_for(shape.groups() * blocks, 1, [=](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const WinogradRange range = range_of(blocks, begin, end);
      winograd_kernels<T>().convolve(shape, range, static_cast<const T*>(src), static_cast<const float*>(packed),
                                     epilogue, static_cast<T*>(dst));
      begin += (range.end - range.begin) * (range.last_block - range.first_block);
    }
  });
}

template <class T>
void weight_gradient(const WinogradShape& shape, std::int64_t parts, const void* src, const void* diff_dst,
                     float* sums) {
  const std::int64_t groups = shape.groups();
  parallel_for(parts, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      winograd_kernels<T>().weight_gradient(shape, groups * part / parts, groups * (part + 1) / parts,
                                            static_cast<const T*>(src), static_cast<const T*>(diff_dst),
                                            sums + part * shape.part());
    }
  });
}

}  // namespace

bool winograd_fits(const ConvProblem& problem) {
  const ConvGeometry& g = problem.geometry;
  const TensorDesc &src = problem.src, &dst = problem.dst;
  if (cpu_isa() == Isa::kPortable || !problem.allow_winograd || problem.scaled) return false;
  if (g.kernel != 3 || g.stride != 1 || g.pad != 1 || g.dilation != 1 || g.groups != 1) return false;
  if (src.type != dst.type || !in_blocks(src) || !in_blocks(dst)) return false;
  const WinogradShape shape = shape_of(problem);  // at most half of the direct multiplications, borders included
  return 2 * WinogradShape::kPoints * shape.rows() * shape.columns() <= 9 * shape.height * shape.width;
}

std::string winograd_kernel() {
  return "sluice_wino:" + to_string(cpu_isa());
}

WinogradConvolution::WinogradConvolution(const ConvProblem& problem, bool gradient)
    : shape_(shape_of(problem)), type_(problem.src.type), gradient_(gradient) {
  if (gradient) {
    std::swap(shape_.src, shape_.dst);
    return;
  }
  for (const PostOp& op : problem.post_ops) {
    if (op.kind == PostOp::Kind::kAdd) epilogue_.adds = true;
    if (op.kind != PostOp::Kind::kClip) continue;
    epilogue_.low = op.low;
    epilogue_.high = op.high;
  }
}

void WinogradConvolution::run(const void* src, const void* packed, const float* bias, void* dst) const {
  WinogradEpilogue epilogue = epilogue_;
  epilogue.bias = bias;
  if (type_ == DataType::kBF16) return convolve<BFloat16>(shape_, src, packed, epilogue, dst);
  convolve<float>(shape_, src, packed, epilogue, dst);
}

WinogradBackwardWeights::WinogradBackwardWeights(const ConvProblem& problem)
    : shape_(shape_of(problem)),
      type_(problem.src.type),
      parts_(std::min<std::int64_t>(num_threads(), shape_.groups())) {}

void WinogradBackwardWeights::run(const void* src, const void* diff_dst, float* diff_weights, void* scratch) const {
  float* const sums = static_cast<float*>(scratch);
  if (type_ == DataType::kBF16) {
    weight_gradient<BFloat16>(shape_, parts_, src, diff_dst, sums);
  } else {
    weight_gradient<float>(shape_, parts_, src, diff_dst, sums);
  }
  const WinogradShape shape = shape_;
  const std::int64_t parts = parts_;
  parallel_for(shape.src.blocks * shape.dst.blocks, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      winograd_weight_kernels().unpack(shape, i % shape.src.blocks, i / shape.src.blocks, sums, parts, diff_weights);
    }
  });
}

}  // namespace sluice
