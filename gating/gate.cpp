#include "gating/gate.hpp"

#include <atomic>

#include "core/base/parallel.hpp"

namespace sluice {
namespace {

GateConstants of_group(const GateConstants& constants, std::int64_t group) {
  return {constants.limit + 16 * group, constants.slope + 16 * group};
}

/// Calls body(image, item) for all items of all images, in parallel.
template <class Body>
void for_each_item(std::int64_t images, std::int64_t items, Body&& body) {
  parallel_for(images * items, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i / items, i % items);
  });
}

}  // namespace

void GateOptions::describe(Keys& keys) {
  keys.optional("alpha", alpha, above_zero(), "steepness of the sigmoid whose gradient stands in for the gate's");
  keys.optional("sparse_backprop", sparse_backprop, "no gradient through gates that are closed");
  keys.optional("threshold_init", threshold_init, any_number(), "initial threshold");
  keys.choice("granularity", granularity,
              {{"element", Granularity::kElement}, {"slice", Granularity::kSlice}, {"pixel", Granularity::kPixel}},
              "one decision for each output; for 16 consecutive channels of a pixel; or for a whole pixel");
}

Gate::Gate(const GateOptions& options, const TensorDesc& products, const TensorDesc& dst)
    : options_(options),
      surrogate_{static_cast<float>(options.alpha), options.sparse_backprop},
      dst_stride_(dst.block),
      base_(products, 0, dst.shape[kC]),
      conditional_(products, dst.shape[kC], dst.shape[kC]),
      dst_(dst) {}

template <class T>
GateForward<T> Gate::forward_operands(const T* products, T* dst, std::int64_t image, std::int64_t group) const {
  return {products + base_.offset(image, group), products + conditional_.offset(image, group),
          dst + dst_.offset(image, group), dst_stride_};
}

template <class T>
GateBackward<T> Gate::backward_operands(const T* products, const T* diff_dst, const float* mean, T* diff_products,
                                        std::int64_t image, std::int64_t group) const {
  const std::int64_t base = base_.offset(image, group), conditional = conditional_.offset(image, group);
  return {products + base,      products + conditional,      diff_dst + dst_.offset(image, group),         dst_stride_,
          diff_products + base, diff_products + conditional, mean == nullptr ? nullptr : mean + 16 * group};
}

template <class T>
std::int64_t Gate::forward(const T* products, const GateConstants& constants, T* dst, void* score) const {
  const GateKernels<T>& kernels = gate_kernels<T>();
  std::atomic<std::int64_t> open{0};
  if (options_.granularity == Granularity::kElement) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      open += kernels.forward(base_.at(group), of_group(constants, group), forward_operands(products, dst, n, group));
    });
    return open;
  }
  const std::int64_t groups = base_.count / slices();
  for_each_item(base_.images, slices(), [&](std::int64_t n, std::int64_t slice) {
    float* const q = static_cast<float*>(score) + (n * slices() + slice) * base_.rows;
    const std::int64_t first = slice * groups;
    for (std::int64_t group = first; group < first + groups; ++group) {
      kernels.score(base_.at(group), of_group(constants, group), products + base_.offset(n, group), q, group > first);
    }
    for (std::int64_t group = first; group < first + groups; ++group)
      open += kernels.forward_scored(base_.at(group), q, forward_operands(products, dst, n, group));
  });
  return open;
}

template <class T>
void Gate::backward(const T* products, const T* diff_dst, const GateConstants& constants, const float* mean,
                    const void* score, void* gradient, T* diff_products, ChannelSums& sums) const {
  const GateKernels<T>& kernels = gate_kernels<T>();
  sums.clear();
  if (options_.granularity == Granularity::kElement) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      double* const sum = sums.of(n, group);
      kernels.backward(base_.at(group), of_group(constants, group), surrogate_,
                       backward_operands(products, diff_dst, mean, diff_products, n, group), sum, sum + 16);
    });
    return;
  }
  const std::int64_t groups = base_.count / slices();
  for_each_item(base_.images, slices(), [&](std::int64_t n, std::int64_t slice) {
    const std::int64_t at = (n * slices() + slice) * base_.rows, first = slice * groups;
    const float* const q = static_cast<const float*>(score) + at;
    float* const own = static_cast<float*>(gradient) + at;
    std::int64_t width = 0;
    for (std::int64_t group = first; group < first + groups; ++group) {
      kernels.gradient(base_.at(group), backward_operands(products, diff_dst, mean, diff_products, n, group), own,
                       group > first);
      width += base_.at(group).lanes;
    }
    for (std::int64_t group = first; group < first + groups; ++group) {
      double* const sum = sums.of(n, group);
      kernels.backward_scored(base_.at(group), of_group(constants, group), surrogate_, width, q, own,
                              backward_operands(products, diff_dst, mean, diff_products, n, group), sum, sum + 16);
    }
  });
}

template std::int64_t Gate::forward(const float*, const GateConstants&, float*, void*) const;
template std::int64_t Gate::forward(const BFloat16*, const GateConstants&, BFloat16*, void*) const;
template void Gate::backward(const float*, const float*, const GateConstants&, const float*, const void*, void*, float*,
                             ChannelSums&) const;
template void Gate::backward(const BFloat16*, const BFloat16*, const GateConstants&, const float*, const void*, void*,
                             BFloat16*, ChannelSums&) const;

}  // namespace sluice
