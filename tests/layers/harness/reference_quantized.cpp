// References of quantised layers: the plain layer's reference over quantised values.
#include <cmath>

#include "tests/layers/harness/quantize_reference.hpp"
#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

/// Half to even.
double rounded(double x) {
  const double below = std::floor(x), rest = x - below;
  if (rest != 0.5) return rest > 0.5 ? below + 1 : below;
  return std::fmod(below, 2.0) == 0 ? below : below + 1;
}

/// Which way a number rounds is decided in fp32, as published: near halves of levels that is part of the definition.
double level_of(double x, double levels, double scale) {
  const float share = static_cast<float>(std::abs(x)) / static_cast<float>(scale);
  return rounded(static_cast<double>(std::min(share, 1.0F) * static_cast<float>(levels)));
}

double sign(double x) {
  return x > 0 ? 1 : (x < 0 ? -1 : 0);
}

/// The number of a bipolar level, from 0 to `levels`.
double number_of(double x, double levels) {
  const float within = std::min(std::max(static_cast<float>(x), -1.0F), 1.0F);
  return rounded(static_cast<double>((within + 1.0F) * static_cast<float>(levels / 2)));
}

std::int64_t levels_of(std::int64_t bits) {
  return (std::int64_t{1} << bits) - 1;
}

double scale_at(const Scales& scales, const Array& x, std::int64_t i) {
  return scales[static_cast<std::size_t>(scales.size() == 1 ? 0 : i / (x.count() / x.shape[kN]))];
}

/// The plain layer, with quantised weights and source; gradients go straight through the quantisers.
class QuantizedReference : public ReferenceOp {
 public:
  QuantizedReference(const std::string& plain_type, const ReferenceKeys& keys) : keys_(keys) {
    ReferenceTable table;
    add_linear_references(table);
    plain_ = table.at(plain_type)(keys);
  }

  void forward(ReferenceCall& call) override {
    // Buffers are as before the step in forward, and as after it in backward, which needs the batch's own scale.
    const Array x = quantized_source(keys_, *call.src[0], reference_scales(keys_, call));
    ReferenceCall inner = call;
    const Array w = quantized_weights(keys_, *call.param.at("weight"));
    inner.src = {&x};
    inner.param["weight"] = &w;
    plain_->forward(inner);
    call.dst = std::move(inner.dst);
  }

  void backward(ReferenceCall& call) override {
    const Array &src = *call.src[0], &weight = *call.param.at("weight");
    const Array x = quantized_source(keys_, src, batch_scales(keys_, src)), w = quantized_weights(keys_, weight);
    ReferenceCall inner = call;
    Array diff_weight(weight.shape);
    inner.src = {&x};
    inner.param["weight"] = &w;
    inner.diff_param["weight"] = &diff_weight;
    plain_->backward(inner);
    call.diff_src[0] = straight_through_source(keys_, src, std::move(inner.diff_src[0]));
    const double rescale = weight_rescale(keys_, weight);
    const Array passed = straight_through_weights(keys_, weight, std::move(diff_weight));
    for (std::int64_t i = 0; i < passed.count(); ++i) (*call.diff_param.at("weight"))[i] += rescale * passed[i];
  }

 private:
  QuantizeKeys keys_;
  std::unique_ptr<ReferenceOp> plain_;
};

}  // namespace

QuantizeKeys::QuantizeKeys(const ReferenceKeys& keys)
    : weight_bits(keys.integer("weight_bits", 8)),
      activation_bits(keys.integer("activation_bits", 8)),
      signed_weights(keys.text("weight_levels", "full") == "signed"),
      frozen(keys.text("scales", "frozen") == "frozen"),
      by_image(keys.text("scales", "frozen") == "image"),
      bipolar(keys.text("activation_levels", "full") == "bipolar"),
      weight_clip(keys.number("weight_clip", 0)) {}

double QuantizeKeys::weight_levels() const {
  return static_cast<double>(levels_of(signed_weights ? weight_bits - 1 : weight_bits));
}

double QuantizeKeys::activation_levels() const {
  return static_cast<double>(levels_of(activation_bits));
}

double largest_magnitude(const Array& x) {
  double largest = 0;
  for (double value : x.values) largest = std::max(largest, std::abs(value));
  return static_cast<double>(static_cast<float>(largest) + 1e-7F);
}

Scales batch_scales(const QuantizeKeys& keys, const Array& x) {
  if (!keys.by_image) return {largest_magnitude(x)};
  Scales scales;
  const std::int64_t each = x.count() / x.shape[kN];
  for (auto first = x.values.begin(); first != x.values.end(); first += each) {
    Array image(Shape{each});
    image.values.assign(first, first + each);
    scales.push_back(largest_magnitude(image));
  }
  return scales;
}

Scales reference_scales(const QuantizeKeys& keys, const ReferenceCall& call) {
  if (keys.activation_bits < 2 || keys.bipolar) return {1};
  const Scales scales = batch_scales(keys, *call.src[0]);
  if (keys.by_image) return scales;
  double& stored = (*call.buffer.at("src_scale"))[0];
  if (!call.training) return keys.frozen && stored > 0 ? Scales{stored} : scales;
  stored = stored > 0 ? 0.9 * stored + 0.1 * scales[0] : scales[0];
  return scales;
}

Array quantized(const Array& x, std::int64_t bits, double levels, const Scales& scales) {
  Array result = x;
  for (std::int64_t i = 0; i < x.count(); ++i) {
    double& value = result[i];
    if (bits == 1) value = 2 * rounded((std::min(std::max(value, -1.0), 1.0) + 1) / 2) - 1;
    if (bits < 2) continue;
    const double scale = scale_at(scales, x, i);
    value = sign(value) * level_of(value, levels, scale) * scale / levels;
  }
  return result;
}

Array truncated(const Array& x, double levels, const Scales& scales, double step) {
  Array result = x;
  for (std::int64_t i = 0; i < x.count(); ++i) {
    const double scale = scale_at(scales, x, i);
    result[i] = sign(x[i]) * std::floor(level_of(x[i], levels, scale) / step) * step * scale / levels;
  }
  return result;
}

Array quantized_source(const QuantizeKeys& keys, const Array& x, const Scales& scales) {
  const double levels = keys.activation_levels();
  if (!keys.bipolar || keys.activation_bits == 0) return quantized(x, keys.activation_bits, levels, scales);
  Array result = x;
  for (double& value : result.values) value = 2 * number_of(value, levels) / levels - 1;
  return result;
}

Array truncated_source(const QuantizeKeys& keys, const Array& x, const Scales& scales, double step) {
  const double levels = keys.activation_levels();
  if (!keys.bipolar) return truncated(x, levels, scales, step);
  Array result = x;
  for (double& value : result.values) {
    const double first = std::floor(number_of(value, levels) / step) * step, last = first + step - 1;
    value = (first + last) / levels - 1;  // the mean of 2 first / levels - 1 and of the same of the last
  }
  return result;
}

double weight_rescale(const QuantizeKeys& keys, const Array& weight) {
  const double terms = static_cast<double>(weight.count() / weight.shape[0]);
  return keys.weight_bits == 1 ? std::sqrt(1 / terms) : 1;
}

Array quantized_weights(const QuantizeKeys& keys, const Array& weight) {
  Array result = quantized(weight, keys.weight_bits, keys.weight_levels(), {largest_magnitude(weight)});
  for (double& value : result.values) value *= weight_rescale(keys, weight);
  return result;
}

Array straight_through(const Array& x, std::int64_t bits, Array diff) {
  for (std::int64_t i = 0; bits > 1 && i < x.count(); ++i) {
    if (x[i] == 0) diff[i] = 0;
  }
  return diff;
}

Array straight_through_source(const QuantizeKeys& keys, const Array& x, Array diff) {
  if (!keys.bipolar || keys.activation_bits == 0) return straight_through(x, keys.activation_bits, std::move(diff));
  for (std::int64_t i = 0; i < x.count(); ++i) {
    if (!(x[i] > -1 && x[i] < 1)) diff[i] = 0;
  }
  return diff;
}

Array straight_through_weights(const QuantizeKeys& keys, const Array& weight, Array diff) {
  diff = straight_through(weight, keys.weight_bits, std::move(diff));
  const double clip = static_cast<double>(static_cast<float>(keys.weight_clip));
  for (std::int64_t i = 0; keys.weight_bits == 1 && clip > 0 && i < weight.count(); ++i) {
    if (std::abs(weight[i]) > clip) diff[i] = 0;
  }
  return diff;
}

void add_quantized_references(ReferenceTable& table) {
  for (const std::string plain : {"conv", "linear"}) {
    table["quantized_" + plain] = [plain](const ReferenceKeys& keys) {
      return std::make_unique<QuantizedReference>(plain, keys);
    };
  }
}

}  // namespace sluice
