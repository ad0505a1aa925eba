#include "layers/winograd.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/batch_statistics.hpp"
#include "layers/convolution.hpp"

namespace sluice {
namespace {

WinogradShape shape_of(const ConvProblem& problem) {
  const Shape& src = problem.src.shape;
  return {src[kN], src[kH],     src[kW], winograd_channels(problem.src), winograd_channels(problem.dst),
          false,   problem.mask};
}

bool in_blocks(const TensorDesc& tensor, bool masked) {
  const std::int64_t channels = tensor.shape[kC];
  // Measured: on AVX2, up to 512 channels are two to four times as fast as oneDNN's direct kernels; on AVX-512 it has
  // Winograd's too in fp32, and ours are faster up to 256.
  const bool rival = cpu_isa() == Isa::kAvx512 && tensor.type == DataType::kF32 && !masked;
  const std::int64_t most = rival ? 256 : WinogradShape::kMostBlocks * 16;
  return (tensor.block == 16 || tensor.block == channels) && channels % 16 == 0 && channels <= most;
}

/// Weights grow fourfold when they are transformed. Few tiles do not make up for fetching them, unless a cache keeps
/// them.
bool pays_for_weights(const WinogradShape& shape) {
  constexpr std::int64_t kFewTiles = 16, kCached = 1 << 18;  // floats
  return shape.tiles() >= kFewTiles || shape.weights() <= kCached;
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
void add_bias_gradient(const ChannelGroups& groups, const T* diff_dst, float* diff_bias, double* memory) {
  ChannelSums sums(groups, memory);
  sums.clear();
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    const float zeros[16] = {};
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / groups.count, group = i % groups.count;
      double* const sum = sums.of(n, group);
      norm_kernels<T>().statistics(groups.at(group), diff_dst + groups.offset(n, group), zeros, sum, sum + 16);
    }
  });
  for (std::int64_t o = 0; o < groups.channels; ++o) diff_bias[o] += static_cast<float>(sums.first(o));
}

}  // namespace

WinogradChannels winograd_channels(const TensorDesc& tensor) {
  const std::int64_t channels = tensor.shape[kC], pixels = tensor.shape[kH] * tensor.shape[kW];
  const std::int64_t block = WinogradShape::kBlock * (tensor.block == channels ? 1 : pixels);
  return {channels / WinogradShape::kBlock, tensor.block, tensor.block * tensor.shape[kW], block, channels * pixels};
}

bool is_winograd_geometry(const ConvGeometry& g) {
  return g.kernel == 3 && g.stride == 1 && g.pad == 1 && g.dilation == 1 && g.groups == 1;
}

bool winograd_fits(const ConvProblem& problem) {
  const TensorDesc &src = problem.src, &dst = problem.dst;
  if (cpu_isa() == Isa::kPortable || !problem.allow_winograd || problem.scaled) return false;
  if (!is_winograd_geometry(problem.geometry)) return false;
  const bool masked = !problem.mask.is_all();
  if (src.type != dst.type || !in_blocks(src, masked) || !in_blocks(dst, masked)) return false;
  const WinogradShape shape = shape_of(problem);
  if (!pays_for_weights(shape)) return false;
  // At most half of the direct multiplications, borders included.
  return 2 * WinogradShape::kPoints * shape.rows() * shape.columns() <= 9 * shape.height * shape.width;
}

void pack_winograd(const WinogradWeights& wanted, const float* plain, float* packed, Isa isa) {
  parallel_for(wanted.dst_blocks, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      winograd_weight_kernels(isa).pack(wanted, block, plain, packed);
    }
  });
}

std::string winograd_kernel() {
  return "sluice_wino:" + to_string(cpu_isa());
}

WinogradConvolution::WinogradConvolution(const ConvProblem& problem, bool gradient)
    : shape_(shape_of(problem)), type_(problem.src.type), gradient_(gradient) {
  if (gradient) {
    std::swap(shape_.src, shape_.dst);
    shape_.mask = shape_.mask.transposed();
    return;
  }
  epilogue_.adds = problem.epilogue.adds;
  epilogue_.low = problem.epilogue.low;
  epilogue_.high = problem.epilogue.high;
}

void WinogradConvolution::run(const void* src, const void* packed, const float* bias, void* dst) const {
  WinogradEpilogue epilogue = epilogue_;
  epilogue.bias = bias;
  if (type_ == DataType::kBF16) return convolve<BFloat16>(shape_, src, packed, epilogue, dst);
  convolve<float>(shape_, src, packed, epilogue, dst);
}

WinogradBackwardWeights::WinogradBackwardWeights(const ConvProblem& problem)
    : shape_(shape_of(problem)), dst_(problem.dst), type_(problem.src.type) {
  // A part for each thread, while all of them together stay small; else threads share one by its channels.
  constexpr std::int64_t kMostFloats = 1 << 23;
  const std::int64_t threads = num_threads();
  parts_ = std::clamp<std::int64_t>(kMostFloats / shape_.part(), 1, std::min(threads, shape_.groups()));
  pieces_ = std::min((threads + parts_ - 1) / parts_, shape_.dst.blocks);
}

void WinogradBackwardWeights::book(Scratch backward) {
  Scratch bias = backward;
  sums_ = backward.book<float>(parts_ * shape_.part());
  bias_sums_ = bias.book<double>(ChannelSums::count(dst_));
}

/// All but the step from packed to plain weights.
template <class T>
void WinogradBackwardWeights::run_as(const Memory& memory, const T* src, const T* diff_dst, float* diff_bias) const {
  if (diff_bias != nullptr) add_bias_gradient(dst_, diff_dst, diff_bias, memory[bias_sums_]);
  float* const sums = memory[sums_];
  const std::int64_t groups = shape_.groups(), blocks = shape_.dst.blocks;
  parallel_for(parts_ * pieces_, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t part = i / pieces_, piece = i % pieces_;
      const WinogradRange range = {groups * part / parts_, groups * (part + 1) / parts_, blocks * piece / pieces_,
                                   blocks * (piece + 1) / pieces_};
      winograd_kernels<T>().weight_gradient(shape_, range, src, diff_dst, sums + part * shape_.part());
    }
  });
}

void WinogradBackwardWeights::run(const Memory& memory, const void* src, const void* diff_dst, float* diff_weights,
                                  float* diff_bias) const {
  if (type_ == DataType::kBF16) {
    run_as(memory, static_cast<const BFloat16*>(src), static_cast<const BFloat16*>(diff_dst), diff_bias);
  } else {
    run_as(memory, static_cast<const float*>(src), static_cast<const float*>(diff_dst), diff_bias);
  }
  const float* const sums = memory[sums_];
  const std::int64_t blocks = shape_.src.blocks;
  parallel_for(blocks * shape_.dst.blocks, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t src_block = i % blocks, dst_block = i / blocks;
      if (!shape_.mask.has(dst_block, src_block)) continue;
      winograd_weight_kernels().unpack(shape_, src_block, dst_block, sums, parts_, diff_weights);
    }
  });
}

}  // namespace sluice
