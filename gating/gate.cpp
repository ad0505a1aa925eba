#include "gating/gate.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

GateConstants of_group(const GateConstants& constants, std::int64_t group) {
  return {constants.limit + 16 * group, constants.slope + 16 * group};
}

NormPair of_group(const NormPair& norms, std::int64_t group) {
  const std::int64_t at = 16 * group;
  return {norms.full_scale + at, norms.full_shift + at, norms.base_scale + at, norms.base_shift + at,
          norms.full_mean == nullptr ? nullptr : norms.full_mean + at};
}

/// Calls body(image, item) for all items of all images, in parallel.
template <class Body>
void for_each_item(std::int64_t images, std::int64_t items, Body&& body) {
  parallel_for(images * items, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i / items, i % items);
  });
}

}  // namespace

void GateOptions::describe(Keys& keys, Abilities abilities) {
  keys.optional("alpha", alpha, above_zero(), "steepness of the sigmoid whose gradient stands in for the gate's");
  keys.optional("sparse_backprop", sparse_backprop, "no gradient through gates that are closed");
  if (abilities.measures)
    describe_threshold(keys, threshold_init, open_share);
  else
    keys.optional("threshold_init", threshold_init, any_number(), "initial threshold");
  if (abilities.clips)
    keys.optional("threshold_clip", threshold_clip, at_least(0.0),
                  "thresholds further from 0 count as this far, and learn from the gating loss alone; 0: all count as "
                  "they are");
  std::vector<std::pair<std::string, Granularity>> choices = {
      {"element", Granularity::kElement}, {"slice", Granularity::kSlice}, {"pixel", Granularity::kPixel}};
  if (abilities.by_channel) choices.emplace_back("channel", Granularity::kChannel);
  keys.choice("granularity", granularity, choices,
              abilities.by_channel
                  ? "one decision for each output; for 16 consecutive channels of a pixel; for a whole pixel; or "
                    "for a channel of an image"
                  : "one decision for each output; for 16 consecutive channels of a pixel; or for a whole pixel");
}

void GateOptions::describe(Attributes& attributes) const {
  attributes.set("alpha", alpha);
  attributes.set("sparse_backprop", sparse_backprop);
  attributes.set("granularity", std::string(granularity == Granularity::kElement ? "element"
                                            : granularity == Granularity::kSlice ? "slice"
                                            : granularity == Granularity::kPixel ? "pixel"
                                                                                 : "channel"));
}

float clipped_threshold(float threshold, double clip) {
  const auto most = static_cast<float>(clip);
  return clip > 0 ? std::clamp(threshold, -most, most) : threshold;
}

void describe_threshold(Keys& keys, double& value, double& open_share) {
  std::string text = concat(value);
  keys.optional(
      "threshold_init", text,
      "initial threshold; or density:SHARE: those with which, on a run's first images, so many gates are open");
  const std::string prefix = "density:";
  const bool measured = starts_with(text, prefix);
  const std::string number = measured ? text.substr(prefix.size()) : text;
  char* end = nullptr;
  const double given = std::strtod(number.c_str(), &end);
  const bool sound = !number.empty() && *end == '\0' && std::isfinite(given);
  if (!sound || (measured && (given <= 0 || given > 1)))
    return keys.error("threshold_init",
                      concat("expected a number, or density:SHARE with a share above 0, up to 1, got '", text, "'"));
  (measured ? open_share : value) = given;
}

float threshold_for(std::vector<float>& values, double open_share) {
  const auto count = static_cast<double>(values.size());
  const auto closed = static_cast<std::size_t>(std::llround((1 - open_share) * count));
  if (closed == values.size()) return *std::max_element(values.begin(), values.end());
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(closed);
  std::nth_element(values.begin(), place, values.end());
  if (closed == 0) return *place - 1e-3F * (1 + std::abs(*place));
  return (*std::max_element(values.begin(), place) + *place) / 2;
}

TensorDesc Gate::products_desc(const TensorDesc& src, const TensorDesc& dst) {
  TensorDesc products = dst;
  products.shape = {dst.shape[kN], 2 * dst.shape[kC], dst.shape[kH], dst.shape[kW]};
  // 16 channels are NHWC and a block at once; then the source, or the processor, tells.
  const bool one_block = dst.shape[kC] == 16 && dst.block == 16;
  const bool blocked =
      one_block ? (src.block == 16 && (src.shape[kC] > 16 || cpu_isa() == Isa::kAvx512)) : dst.block < dst.shape[kC];
  products.block = blocked ? 16 : products.shape[kC];
  return products;
}

Gate::Gate(const GateOptions& options, const TensorDesc& products, const TensorDesc& dst)
    : options_(options),
      surrogate_{static_cast<float>(options.alpha), options.sparse_backprop},
      dst_stride_(dst.block),
      base_(products, 0, dst.shape[kC]),
      conditional_(products, dst.shape[kC], dst.shape[kC]),
      dst_(dst) {}

Gate::Gate(const GateOptions& options, const TensorDesc& dst)
    : options_(options),
      surrogate_{static_cast<float>(options.alpha), options.sparse_backprop},
      dst_stride_(dst.block),
      conditional_start_(dst.count()),
      base_(dst),
      conditional_(dst),
      dst_(dst) {}

template <class T>
GateForward<T> Gate::operands(const T* products, T* dst, const GateNorms* norms, NormPair& own, std::int64_t image,
                              std::int64_t group) const {
  if (norms != nullptr) own = of_group(norms->constants, group);
  return {products + base_.offset(image, group), products + conditional_offset(image, group),
          dst + dst_.offset(image, group), dst_stride_, norms == nullptr ? nullptr : &own};
}

template <class T>
GateBackward<T> Gate::operands(const T* products, const T* diff_dst, const float* mean, T* diff_products,
                               const GateNorms* norms, const float* gain, NormPair& own, std::int64_t image,
                               std::int64_t group) const {
  const std::int64_t base = base_.offset(image, group), conditional = conditional_offset(image, group);
  GateBackward<T> b{products + base,
                    products + conditional,
                    diff_dst + dst_.offset(image, group),
                    dst_stride_,
                    diff_products + base,
                    diff_products + conditional,
                    mean == nullptr ? nullptr : mean + 16 * group,
                    gain == nullptr ? 0.0F : gain[image],
                    nullptr,
                    nullptr,
                    nullptr};
  if (norms == nullptr) return b;
  own = of_group(norms->constants, group);
  b.norms = &own;
  b.full_sums = norms->full->of(image, group);
  b.base_sums = norms->base->of(image, group);
  return b;
}

template <class T>
std::int64_t Gate::forward(const T* products, const GateConstants& constants, T* dst, float* score,
                           const GateNorms* norms) const {
  const GateKernels<T>& kernels = gate_kernels<T>();
  std::atomic<std::int64_t> open{0};
  if (options_.granularity == Granularity::kElement) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      NormPair own;
      open +=
          kernels.forward(base_.at(group), of_group(constants, group), operands(products, dst, norms, own, n, group));
    });
    return open;
  }
  if (by_channel()) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      NormPair own;
      float* const q = score + n * base_.padded() + 16 * group;
      kernels.channel_score(base_.at(group), of_group(constants, group), products + base_.offset(n, group), q);
      open += kernels.forward_channels(base_.at(group), q, operands(products, dst, norms, own, n, group));
    });
    return open;
  }
  const std::int64_t groups = base_.count / slices();
  for_each_item(base_.images, slices(), [&](std::int64_t n, std::int64_t slice) {
    float* const q = score + (n * slices() + slice) * base_.rows;
    const std::int64_t first = slice * groups;
    for (std::int64_t group = first; group < first + groups; ++group) {
      kernels.score(base_.at(group), of_group(constants, group), products + base_.offset(n, group), q, group > first);
    }
    for (std::int64_t group = first; group < first + groups; ++group) {
      NormPair own;
      open += kernels.forward_scored(base_.at(group), q, operands(products, dst, norms, own, n, group));
    }
  });
  return open;
}

template <class T>
void Gate::backward(const T* products, const T* diff_dst, const GateConstants& constants, const float* mean,
                    const float* score, float* gradient, T* diff_products, ChannelSums& sums, const GateNorms* norms,
                    const float* gain) const {
  const GateKernels<T>& kernels = gate_kernels<T>();
  sums.clear();
  if (norms != nullptr) {
    norms->full->clear();
    norms->base->clear();
  }
  if (options_.granularity == Granularity::kElement) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      NormPair own;
      double* const sum = sums.of(n, group);
      kernels.backward(base_.at(group), of_group(constants, group), surrogate_,
                       operands(products, diff_dst, mean, diff_products, norms, gain, own, n, group), sum, sum + 16);
    });
    return;
  }
  if (by_channel()) {
    for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
      NormPair own;
      const std::int64_t at = n * base_.padded() + 16 * group;
      const GateBackward<T> b = operands(products, diff_dst, mean, diff_products, norms, gain, own, n, group);
      double* const sum = sums.of(n, group);
      kernels.channel_gradient(base_.at(group), b, gradient + at);
      kernels.backward_channels(base_.at(group), of_group(constants, group), surrogate_, score + at, gradient + at, b,
                                sum, sum + 16);
    });
    return;
  }
  const std::int64_t groups = base_.count / slices();
  for_each_item(base_.images, slices(), [&](std::int64_t n, std::int64_t slice) {
    const std::int64_t at = (n * slices() + slice) * base_.rows, first = slice * groups;
    const float* const q = score + at;
    float* const whole = gradient + at;
    NormPair own;
    std::int64_t width = 0;
    for (std::int64_t group = first; group < first + groups; ++group) {
      kernels.gradient(base_.at(group), operands(products, diff_dst, mean, diff_products, norms, gain, own, n, group),
                       whole, group > first);
      width += base_.at(group).lanes;
    }
    for (std::int64_t group = first; group < first + groups; ++group) {
      double* const sum = sums.of(n, group);
      kernels.backward_scored(base_.at(group), of_group(constants, group), surrogate_, width, q, whole,
                              operands(products, diff_dst, mean, diff_products, norms, gain, own, n, group), sum,
                              sum + 16);
    }
  });
}

template <class T>
void Gate::measure_thresholds(const T* products, const GateConstants& constants, float* thresholds) const {
  const Granularity shared = options_.granularity;
  const std::int64_t width = shared == Granularity::kPixel ? base_.channels : shared == Granularity::kSlice ? 16 : 1;
  std::vector<float> scores;
  for (std::int64_t first = 0; first < base_.channels; first += width) {
    const std::int64_t last = std::min(first + width, base_.channels);
    const auto score_of = [&](std::int64_t n, std::int64_t row) {
      double sum = 0;
      for (std::int64_t o = first; o < last; ++o) {
        const T p = products[base_.offset(n, o / 16) + o % 16 + row * base_.at(o / 16).stride];
        sum += static_cast<double>((widen(p) - constants.limit[o]) * constants.slope[o]);
      }
      return sum / static_cast<double>(last - first);
    };
    scores.clear();
    for (std::int64_t n = 0; n < base_.images; ++n) {
      double image = 0;
      for (std::int64_t row = 0; row < base_.rows; ++row) {
        const double score = score_of(n, row);
        image += score / static_cast<double>(base_.rows);
        if (!by_channel()) scores.push_back(static_cast<float>(score));
      }
      if (by_channel()) scores.push_back(static_cast<float>(image));
    }
    std::fill(thresholds + first, thresholds + last, threshold_for(scores, options_.open_share));
  }
}

template <class T>
void Gate::decisions(const T* products, const GateConstants& constants, const float* score, float* dst) const {
  const bool shared = options_.granularity != Granularity::kElement;
  for_each_item(base_.images, base_.channels, [&](std::int64_t n, std::int64_t channel) {
    const std::int64_t group = channel / 16, lane = channel % 16, slice = slices() == 1 ? 0 : group;
    const std::int64_t own = base_.offset(n, group) + lane, result = dst_.offset(n, group) + lane;
    const float* const q =
        by_channel() ? score + n * base_.padded() + channel : score + (n * slices() + slice) * base_.rows;
    for (std::int64_t row = 0; row < base_.rows; ++row) {
      const float distance = widen(products[own + row * base_.at(group).stride]) - constants.limit[channel];
      const float decided = by_channel() ? *q : shared ? q[row] : distance * constants.slope[channel];
      dst[result + row * dst_stride_] = decided > 0.0F ? 1.0F : 0.0F;
    }
  });
}

template <class T>
void Gate::full_statistics(const T* products, float* mean, float* variance, double* memory,
                           const BatchShare* share) const {
  batch_statistics_of(
      base_,
      [&](std::int64_t channel) {
        return widen(products[base_.channel_offset(channel)]) +
               widen(products[conditional_start_ + conditional_.channel_offset(channel)]);
      },
      [&](std::int64_t n, std::int64_t group, const float* pivot, double* sum) {
        gate_kernels<T>().full_statistics(base_.at(group), products + base_.offset(n, group),
                                          products + conditional_offset(n, group), pivot, sum, sum + 16);
      },
      mean, variance, memory, share);
}

template <class T>
void Gate::correct(const T* products, const GateCorrection& correction, T* diff_products) const {
  for_each_item(base_.images, base_.count, [&](std::int64_t n, std::int64_t group) {
    const std::int64_t base = base_.offset(n, group), conditional = conditional_offset(n, group), o = 16 * group;
    GateCorrection own;
    own.mean = correction.mean + o;
    own.b = correction.b + o;
    own.c = correction.c + o;
    if (correction.full_mean != nullptr) {
      own.full_mean = correction.full_mean + o;
      own.full_b = correction.full_b + o;
      own.full_c = correction.full_c + o;
    }
    GateBackward<T> b;
    b.base = products + base;
    b.conditional = products + conditional;
    b.diff_base = diff_products + base;
    b.diff_conditional = diff_products + conditional;
    gate_kernels<T>().correct(base_.at(group), own, b);
  });
}

#define SLUICE_INSTANTIATE_GATE(T)                                                                               \
  template std::int64_t Gate::forward(const T*, const GateConstants&, T*, float*, const GateNorms*) const;       \
  template void Gate::backward(const T*, const T*, const GateConstants&, const float*, const float*, float*, T*, \
                               ChannelSums&, const GateNorms*, const float*) const;                              \
  template void Gate::measure_thresholds(const T*, const GateConstants&, float*) const;                          \
  template void Gate::decisions(const T*, const GateConstants&, const float*, float*) const;                     \
  template void Gate::full_statistics(const T*, float*, float*, double*, const BatchShare*) const;               \
  template void Gate::correct(const T*, const GateCorrection&, T*) const;
SLUICE_INSTANTIATE_GATE(float)
SLUICE_INSTANTIATE_GATE(BFloat16)

}  // namespace sluice
