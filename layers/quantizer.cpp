#include "layers/quantizer.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/distributed/batch_share.hpp"
#include "core/distributed/communicator.hpp"
#include "core/graph/onednn.hpp"
#include "layers/kernels/bipolar_kernels.hpp"
#include "layers/kernels/kernels.hpp"
#include "layers/kernels/level_kernels.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kQuantizeGrain = 1 << 14;  ///< values worth a thread's while
constexpr std::int64_t kMostExact = std::int64_t{1} << 24;
constexpr float kLeastScale = 1e-7F;
constexpr float kRunning = 0.1F;  ///< weight of the newest batch in a running estimate

template <class T>
float largest_magnitude(std::int64_t n, const T* src) {
  std::atomic<std::int32_t> most{0};  // bits of magnitudes are ordered as they are
  parallel_for(n, kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
    const float value = magnitude_kernels<T>().largest(end - begin, src + begin);
    std::int32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (std::int32_t before = most; before < bits && !most.compare_exchange_weak(before, bits);) continue;
  });
  const std::int32_t bits = most;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Calls body(T{}, L{}) for the element types of numbers and their levels.
template <class Body>
void with_types(DataType numbers, DataType levels, Body&& body) {
  if (numbers == DataType::kF32 && levels == DataType::kF32) return body(float{}, float{});
  if (numbers == DataType::kF32 && levels == DataType::kBF16) return body(float{}, BFloat16{});
  if (numbers == DataType::kBF16 && levels == DataType::kBF16) return body(BFloat16{}, BFloat16{});
  throw Error(ExitCode::kInternal,
              concat("no kernel for levels as ", to_string(levels), " of ", to_string(numbers), " numbers"));
}

LevelRange range_of(const Quantizer& quantizer, float scale) {
  return {scale, static_cast<float>(quantizer.levels())};
}

bool is_no_number(float x) {
  return std::isnan(x);
}
bool is_no_number(std::uint8_t level) {
  return level == kNoLevel;
}
float no_number(float) {
  return std::numeric_limits<float>::quiet_NaN();
}
std::uint8_t no_number(std::uint8_t) {
  return kNoLevel;
}

/// Of which levels with their `kept` highest bits alone are multiples.
float step_of(const Quantizer& quantizer, std::int64_t kept) {
  return static_cast<float>(std::int64_t{1} << (quantizer.bits - kept));
}

/// The first element of an image, and the element types of a source and of its levels.
template <class T, class L>
struct FirstOf {
  using Number = T;
  using Level = L;
  std::int64_t place;
};

/// Calls body(first, count, range, unit) for each image of a source, with a range and a unit of its own.
template <class Body>
void for_images(const Quantizer& quantizer, const Tensor& src, const Tensor& levels, Body&& body) {
  const std::int64_t images = src.shape()[kN], each = src.desc.count() / images;
  with_types(src.desc.type, levels.desc.type, [&](auto number, auto level) {
    using T = decltype(number);
    parallel_for(images, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t first = begin * each; first < end * each; first += each) {
        const float scale = magnitude_kernels<T>().largest(each, src.as<const T>() + first) + kLeastScale;
        body(FirstOf<T, decltype(level)>{first}, each, range_of(quantizer, scale), quantizer.unit(scale));
      }
    });
  });
}

template <class L>
void multiply(std::int64_t count, float factor, L* values) {
  for (std::int64_t i = 0; i < count; ++i) narrow(widen(values[i]) * factor, values[i]);
}

/// Of all ranks' magnitudes; a NaN is the largest.
float largest_of(const BatchShare* share, float magnitude) {
  if (share == nullptr) return magnitude;
  std::uint32_t bits = 0;  // ordered as magnitudes are
  std::memcpy(&bits, &magnitude, sizeof bits);
  std::int64_t most = bits;
  share->ranks->largest(&most, 1);
  bits = static_cast<std::uint32_t>(most);
  std::memcpy(&magnitude, &bits, sizeof bits);
  return magnitude;
}

}  // namespace

std::int64_t Quantizer::levels() const {
  if (bits <= 1) return 1;
  return (std::int64_t{1} << (set == LevelSet::kSigned ? bits - 1 : bits)) - 1;
}

float dynamic_scale(const Tensor& src) {
  const std::int64_t n = src.desc.count();
  const float largest = src.desc.type == DataType::kBF16 ? largest_magnitude(n, src.as<const BFloat16>())
                                                         : largest_magnitude(n, src.as<const float>());
  return largest + kLeastScale;
}

void quantize(const Quantizer& quantizer, float scale, const Tensor& src, const Tensor& levels) {
  const auto count = static_cast<float>(quantizer.levels());
  with_types(src.desc.type, levels.desc.type, [&](auto number, auto level) {
    using T = decltype(number);
    using L = decltype(level);
    parallel_for(src.desc.count(), kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
      const T* const from = src.as<const T>() + begin;
      L* const to = levels.as<L>() + begin;
      if (quantizer.is_binary()) return quantize_kernels<T, L>().binarize(end - begin, from, to);
      if (quantizer.is_bipolar()) return bipolar_kernels<T, L>().quantize(end - begin, from, count, to);
      quantize_kernels<T, L>().quantize(end - begin, from, range_of(quantizer, scale), to);
    });
  });
}

void quantize_split(const Quantizer& quantizer, std::int64_t kept, float scale, const Tensor& src, const Tensor& base,
                    const Tensor& rest) {
  const float step = step_of(quantizer, kept);
  with_types(src.desc.type, base.desc.type, [&](auto number, auto level) {
    using T = decltype(number);
    using L = decltype(level);
    parallel_for(src.desc.count(), kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
      const T* const from = src.as<const T>() + begin;
      L *const high = base.as<L>() + begin, *const low = rest.as<L>() + begin;
      const LevelRange range = range_of(quantizer, scale);
      if (quantizer.is_bipolar()) return bipolar_kernels<T, L>().split(end - begin, from, range.count, step, high, low);
      quantize_kernels<T, L>().split(end - begin, from, range, step, high, low);
    });
  });
}

void mask_gradient(const Tensor& levels, const Tensor& diff) {
  with_types(diff.desc.type, levels.desc.type, [&](auto number, auto level) {
    using T = decltype(number);
    using L = decltype(level);
    parallel_for(diff.desc.count(), kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
      quantize_kernels<T, L>().mask(end - begin, levels.as<const L>() + begin, diff.as<T>() + begin);
    });
  });
}

void mask_outside(const Tensor& src, const Tensor& diff) {
  const auto mask = [&](auto type) {
    using T = decltype(type);
    parallel_for(diff.desc.count(), kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
      T* const own = diff.as<T>() + begin;
      pointwise_kernels<T>().clip_backward(end - begin, src.as<const T>() + begin, own, own, Clip{-1, 1});
    });
  };
  diff.desc.type == DataType::kBF16 ? mask(BFloat16{}) : mask(float{});
}

void widen_levels(const Tensor& levels, float* dst) {
  parallel_for(levels.desc.count(), kQuantizeGrain, [&](std::int64_t begin, std::int64_t end) {
    if (levels.desc.type == DataType::kBF16)
      return magnitude_kernels<BFloat16>().widen(end - begin, levels.as<const BFloat16>() + begin, dst + begin);
    magnitude_kernels<float>().widen(end - begin, levels.as<const float>() + begin, dst + begin);
  });
}

bool narrow_levels(const Tensor& levels, bool pairs, std::uint8_t* dst) {
  const std::int64_t channels = levels.shape()[kC], rows = levels.desc.count() / channels;
  std::atomic<bool> finite{true};
  parallel_for(rows, kQuantizeGrain / channels + 1, [&](std::int64_t begin, std::int64_t end) {
    const float* const src = levels.as<const float>() + begin * channels;
    const bool nans = pairs ? int8_kernels().narrow_pairs(end - begin, channels, src, dst + 2 * begin * channels)
                            : int8_kernels().narrow((end - begin) * channels, src, dst + begin * channels);
    if (nans) finite = false;
  });
  return finite;
}

void spread_nans(const Tensor& src, const Tensor& dst) {
  const auto of_image = [](const Tensor& tensor, std::int64_t n, auto&& use) {
    const std::int64_t count = tensor.desc.count() / tensor.shape()[kN];
    if (tensor.desc.type == DataType::kU8) return use(tensor.as<std::uint8_t>() + n * count, count);
    return use(tensor.as<float>() + n * count, count);
  };
  for (std::int64_t n = 0; n < src.shape()[kN]; ++n) {
    const bool spoiled = of_image(src, n, [](const auto* from, std::int64_t count) {
      return std::any_of(from, from + count, [](auto x) { return is_no_number(x); });
    });
    if (!spoiled) continue;
    of_image(dst, n, [](auto* to, std::int64_t count) {
      std::fill_n(to, count, no_number(*to));
      return true;
    });
  }
}

void QuantizationOptions::describe(Keys& keys) {
  keys.optional("weight_bits", weight_bits, between(0, 16), "of the weights; 0: floating point, 1: -1 and 1");
  keys.optional("activation_bits", activation_bits, between(0, 16), "of the source; 0: floating point, 1: -1 and 1");
  keys.choice("weight_levels", weight_levels, {{"full", LevelSet::kFull}, {"signed", LevelSet::kSigned}},
              "levels of b-bit weights on each side of 0: 2^b - 1 as published, or 2^(b-1) - 1, which fit a signed "
              "integer");
  keys.choice("scales", scales,
              {{"frozen", SourceScale::kFrozen}, {"dynamic", SourceScale::kBatch}, {"image", SourceScale::kImage}},
              "evaluation scales the source by the running estimate of training (an image's result does not depend on "
              "its batch), or by each batch's maximum, as published; image: each image by its own, in training too");
}

void QuantizationOptions::describe_signs(Keys& keys) {
  keys.choice("activation_levels", activation_levels, {{"full", LevelSet::kFull}, {"bipolar", LevelSet::kBipolar}},
              "of the source: a sign and activation_bits bits of magnitude, as published, or 2^activation_bits equally "
              "spaced numbers from -1 to 1, with no scale (2 bits: -1, -1/3, 1/3, 1)");
  keys.optional("weight_clip", weight_clip, at_least(0.0),
                "1-bit weights beyond it on either side get no gradient; 0: all do, as published");
}

void QuantizationOptions::describe(Attributes& attributes) const {
  attributes.set("weight_bits", weight_bits);
  attributes.set("activation_bits", activation_bits);
  attributes.set("weight_levels", weights().levels());
  attributes.set("frozen_scales", frozen());
  attributes.set("image_scales", scales == SourceScale::kImage);
  attributes.set("bipolar_source", activations().is_bipolar());
  attributes.set("weight_clip", weights().is_binary() ? weight_clip : 0.0);
}

void QuantizationOptions::declare_scale(Declarations& declare) const {
  const int scale = declare.buffer("src_scale", {1}, 0.0F);
  declare.buffers[static_cast<std::size_t>(scale)].measured = frozen() && activations().has_scale();
  declare.mixes_images = activations().has_scale() && !frozen() && !by_image();
}

std::optional<float> QuantizationOptions::fixed_unit() const {
  if (activations().has_scale() && !by_image()) return std::nullopt;
  return unit(1);
}

std::optional<SourceLevels> QuantizationOptions::source_levels() const {
  const std::int64_t count = activations().levels();
  if (!frozen() || !activations().has_scale() || count > kMostInt8Level) return std::nullopt;
  return SourceLevels{0, static_cast<int>(count)};
}

bool QuantizationOptions::has_exact_sums(std::int64_t terms) const {
  const Quantizer w = weights(), x = activations();
  return !w.is_identity() && !x.is_identity() && !by_image() && w.levels() * x.levels() * terms < kMostExact;
}

bool QuantizationOptions::has_exact_pairs(std::int64_t terms) const {
  constexpr std::int64_t kMost = (1 << 15) - 1;
  return std::max(weights().levels(), activations().levels()) <= kMost && has_exact_sums(terms);
}

DataType QuantizationOptions::operand_type(DataType activation, std::int64_t terms) const {
  if (activation == DataType::kBF16 || by_image()) return activation;
  const bool exact = std::max(weights().levels(), activations().levels()) <= 256 && has_exact_sums(terms);
  return exact && onednn::has_bf16() ? DataType::kBF16 : DataType::kF32;
}

float QuantizationOptions::weight_rescale(std::int64_t terms) const {
  return weights().is_binary() ? static_cast<float>(std::sqrt(1.0 / static_cast<double>(terms))) : 1.0F;
}

float batch_scale(const QuantizationOptions& options, const Tensor& src, float& stored, const BatchShare* share) {
  if (!options.activations().has_scale() || options.by_image()) return 1.0F;
  const float scale = largest_of(share, dynamic_scale(src));
  stored = stored > 0 ? (1.0F - kRunning) * stored + kRunning * scale : scale;
  return scale;
}

float stored_scale(const QuantizationOptions& options, const Tensor& src, float stored) {
  if (!options.activations().has_scale() || options.by_image()) return 1.0F;
  if (options.frozen() && stored > 0) return stored;
  if (src.desc.type == DataType::kU8)
    throw Error(ExitCode::kInternal,
                "the scale of levels that come in bytes is not known any more; make the executor anew");
  return dynamic_scale(src);
}

void quantize_source(const QuantizationOptions& options, float scale, const Tensor& src, const Tensor& operand) {
  if (!options.by_image()) return quantize(options.activations(), scale, src, operand);
  for_images(options.activations(), src, operand, [&](auto first, std::int64_t count, LevelRange range, float unit) {
    using T = typename decltype(first)::Number;
    using L = typename decltype(first)::Level;
    L* const to = operand.as<L>() + first.place;
    quantize_kernels<T, L>().quantize(count, src.as<const T>() + first.place, range, to);
    multiply(count, unit, to);
  });
}

void split_source(const QuantizationOptions& options, std::int64_t kept, float scale, const Tensor& src,
                  const Tensor& base, const Tensor& rest) {
  const Quantizer quantizer = options.activations();
  if (!options.by_image()) return quantize_split(quantizer, kept, scale, src, base, rest);
  for_images(quantizer, src, base, [&](auto first, std::int64_t count, LevelRange range, float unit) {
    using T = typename decltype(first)::Number;
    using L = typename decltype(first)::Level;
    L *const high = base.as<L>() + first.place, *const low = rest.as<L>() + first.place;
    quantize_kernels<T, L>().split(count, src.as<const T>() + first.place, range, step_of(quantizer, kept), high, low);
    multiply(count, unit, high);
    multiply(count, unit, low);
  });
}

QuantizedWeights::QuantizedWeights(const QuantizationOptions& options, std::int64_t count, std::int64_t terms)
    : quantizer_(options.weights()),
      count_(count),
      rescale_(options.weight_rescale(terms)),
      clip_(quantizer_.is_binary() ? static_cast<float>(options.weight_clip) : 0.0F) {}

float QuantizedWeights::quantize(const float* weights, float* levels) const {
  const TensorDesc flat{{count_}, DataType::kF32, 0};
  const Tensor src{flat, const_cast<float*>(weights)}, dst{flat, levels};
  if (quantizer_.is_identity()) {
    widen_levels(src, levels);
    return 1.0F;
  }
  const float scale = quantizer_.has_scale() ? dynamic_scale(src) : 1.0F;
  sluice::quantize(quantizer_, scale, src, dst);
  return quantizer_.unit(scale) * rescale_;
}

void QuantizedWeights::restore(float unit, float* levels) const {
  for (std::int64_t i = 0; i < count_; ++i) levels[i] *= unit;
}

void QuantizedWeights::add_gradient(const float* weights, const float* diff, float unit, float* diff_weights) const {
  const float factor = unit * rescale_;
  for (std::int64_t i = 0; i < count_; ++i) {
    if (clip_ > 0 && std::abs(weights[i]) > clip_) continue;
    if (!quantizer_.has_scale() || weights[i] != 0) diff_weights[i] += factor * diff[i];
  }
}

}  // namespace sluice
