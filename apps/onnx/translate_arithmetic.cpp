// Sums and products: of two values; and with constants, which are biases and normalisation.
#include <algorithm>
#include <cmath>

#include "apps/onnx/translation.hpp"

namespace sluice {
namespace {

double number(const ListedLayer& layer, const char* tensor, std::size_t i) {
  return static_cast<double>((*layer.tensors.at(tensor))[i]);
}

/// What a batch normalisation computes.
Affine function_of(const ListedLayer& batchnorm) {
  const double eps = std::stod(batchnorm.find("eps")->value);
  Affine affine;
  for (std::size_t c = 0; c < batchnorm.tensors.at("weight")->size(); ++c) {
    const double factor = number(batchnorm, "weight", c) / std::sqrt(number(batchnorm, "running_var", c) + eps);
    affine.factor.push_back(factor);
    affine.term.push_back(number(batchnorm, "bias", c) - number(batchnorm, "running_mean", c) * factor);
  }
  return affine;
}

bool are_all(const std::vector<double>& numbers, double wanted) {
  return std::all_of(numbers.begin(), numbers.end(), [&](double x) { return std::abs(x - wanted) < 1e-6; });
}

bool computes(const ListedLayer& layer, double factor, double term) {
  if (layer.type != "batchnorm") return false;
  const Affine affine = function_of(layer);
  return are_all(affine.factor, factor) && are_all(affine.term, term);
}

bool clips(const ListedLayer& layer, double low, double high) {
  return layer.type == "clip" && std::stod(layer.find("low")->value) == low &&
         std::stod(layer.find("high")->value) == high;
}

/// What a batch normalisation or a product computes, and then `next`.
void append(ListedLayer& layer, const Affine& next) {
  const std::size_t channels = next.factor.size();
  auto weight = std::make_shared<std::vector<float>>(*layer.tensors["weight"]);
  auto bias = std::make_shared<std::vector<float>>(channels);
  const std::size_t each = weight->size() / channels;
  for (std::size_t i = 0; i < weight->size(); ++i)
    (*weight)[i] = static_cast<float>(static_cast<double>((*weight)[i]) * next.factor[i / each]);
  const bool biased = layer.tensors["bias"] != nullptr;
  for (std::size_t c = 0; c < channels; ++c)
    (*bias)[c] = static_cast<float>((biased ? number(layer, "bias", c) : 0) * next.factor[c] + next.term[c]);
  layer.tensors["weight"] = weight;
  layer.tensors["bias"] = bias;
}

}  // namespace

/// A constant behind a layer without a bias is its bias.
bool Translation::add_bias(const ForeignNode& node) {
  const std::size_t operand = is_value(node, 0) ? 1 : 0;
  const ForeignConstant* const given = constant(node, operand);
  if (given == nullptr) return false;
  const Value src = value(node, 1 - operand);
  if (src.source.layer == LayerSource::kImages) return false;
  ListedLayer& before = list_.layers[static_cast<std::size_t>(src.source.layer)];
  const LayerKey* const bias = before.find("bias");
  const bool fits = src.form != Value::Form::kRowsLast && src.is_by_channel(given->shape) && bias != nullptr &&
                    bias->value == "no" && src.alone;
  if (!fits) return false;
  before.tensors["bias"] = tensor(node, operand, given->shape);
  before.set("bias", "yes", before.type == "linear");
  become(node, src);
  return true;
}

void Translation::add(const ForeignNode& node) {
  if (is_with_constant(node)) return add_bias(node) ? void() : compute_with_constant(node);
  const Value a = value(node, 0), b = value(node, 1);
  if (a.form != b.form || a.dims != b.dims)
    refuse(node, concat("adds ", to_string(Shape(a.dims)), " and ", to_string(Shape(b.dims)), ", expected one shape"));
  Value sum = a;
  sum.source = add(node, layer(node, "add", {a.source, b.source}), a.dims);
  sum.alone = true;
  become(node, sum);
}

/// x sigmoid(x), and the same with hard_sigmoid, is one layer where nobody else reads the sigmoid.
bool Translation::swish_of(const ForeignNode& node, std::size_t gate) {
  const Value share = value(node, gate), src = value(node, 1 - gate);
  if (share.source.layer == LayerSource::kImages || !share.alone) return false;
  ListedLayer& before = list_.layers[static_cast<std::size_t>(share.source.layer)];
  const bool smooth = before.type == "sigmoid", hard = before.type == "hard_sigmoid";
  if ((!smooth && !hard) || !(before.src[0] == src.source) || share.dims != src.dims) return false;
  before.type = smooth ? "silu" : "hard_swish";
  before.name = layer(node, "", {}).name;
  become(node, share);
  return true;
}

void Translation::multiply(const ForeignNode& node) {
  if (is_with_constant(node)) return compute_with_constant(node);
  if (swish_of(node, 0) || swish_of(node, 1)) return;
  Value a = value(node, 0), b = value(node, 1);
  if (a.form == Value::Form::kRows && b.form != Value::Form::kRows) std::swap(a, b);
  const bool by_channel = a.is_image() && b.form == Value::Form::kRows && a.is_by_channel(Shape(b.dims));
  if (!by_channel && (a.form != b.form || a.dims != b.dims)) {
    refuse(node, concat("multiplies ", to_string(Shape(a.dims)), " and ", to_string(Shape(b.dims)),
                        ", expected one shape, or an image and a number for each of its channels"));
  }
  Value product = a;
  product.source = add(node, layer(node, "multiply", {a.source, b.source}), a.dims);
  product.alone = true;
  become(node, product);
}

void Translation::compute_with_constant(const ForeignNode& node) {
  if (!is_with_constant(node)) refuse(node, "is understood with a constant alone");
  const std::size_t operand = is_value(node, 0) ? 1 : 0;
  const Value src = value(node, 1 - operand);
  if (src.form == Value::Form::kRowsLast) refuse(node, "changes rows of pixels whose channels stand last");
  if (node.op == "Div" && operand == 0) refuse(node, "divides by a value");
  const Affine affine = affine_of(node, src, operand);
  if (!end_hard_sigmoid(node, src, affine)) apply(node, src, affine);
}

/// What a constant does to each channel.
Affine Translation::affine_of(const ForeignNode& node, const Value& src, std::size_t operand) const {
  const ForeignConstant* const given = constant(node, operand);
  const Floats numbers = tensor(node, operand, given == nullptr ? Shape() : given->shape);
  const bool one = numbers->size() == 1 && given->shape.rank() <= src.dims.size() + 1;
  if (!one && !src.is_by_channel(given->shape)) {
    refuse(node, concat("computes with a constant ", to_string(given->shape),
                        ", expected one number, or one for each channel of ", to_string(Shape(src.dims))));
  }
  Affine affine;
  for (std::size_t c = 0; c < static_cast<std::size_t>(src.channels()); ++c) {
    const auto x = static_cast<double>((*numbers)[one ? 0 : c]);
    const bool from_constant = node.op == "Sub" && operand == 0;
    affine.factor.push_back(node.op == "Mul" ? x : node.op == "Div" ? 1 / x : from_constant ? -1 : 1);
    affine.term.push_back(node.op == "Add" || from_constant ? x : node.op == "Sub" ? -x : 0);
    if (!std::isfinite(affine.factor.back())) refuse(node, "divides by 0");
  }
  return affine;
}

/// Of the images it is their normalisation; else a batch normalisation, which takes along what follows (and goes into a
/// product, see merge_row_norms).
void Translation::apply(const ForeignNode& node, const Value& src, const Affine& affine) {
  const std::size_t channels = affine.factor.size();
  const bool rises = std::all_of(affine.factor.begin(), affine.factor.end(), [](double factor) { return factor > 0; });
  if (src.source.layer == LayerSource::kImages && src.alone && rises) {
    Affine& all = list_.normalization;
    if (all.factor.empty()) all = {std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
    for (std::size_t c = 0; c < channels; ++c) {
      all.factor[c] *= affine.factor[c];
      all.term[c] = all.term[c] * affine.factor[c] + affine.term[c];
    }
    return become(node, src);
  }
  if (src.alone && src.source.layer != LayerSource::kImages && layer_of(src).type == "batchnorm") {
    append(layer_of(src), affine);
    return become(node, src);
  }
  ListedLayer made = plain_batchnorm(channels);
  made.name = layer(node, "", {}).name;
  made.src = {src.source};
  if (are_all(affine.factor, 1)) {
    auto mean = std::make_shared<std::vector<float>>();
    for (double term : affine.term) mean->push_back(static_cast<float>(-term));
    made.tensors["running_mean"] = mean;
  } else {
    append(made, affine);
  }
  Value result = src;
  result.source = add(node, std::move(made), src.dims);
  result.alone = true;
  become(node, result);
  if (src.form == Value::Form::kRows) row_norms_[result.source.layer] = &node;
}

/// Layers normalise images: what does so with rows goes into the product before.
void Translation::merge_row_norms() {
  if (row_norms_.empty()) return;
  std::vector<int> readers(list_.layers.size()), places;
  for (const ListedLayer& layer : list_.layers) {
    for (const LayerSource& src : layer.src) {
      if (src.layer != LayerSource::kImages) ++readers[static_cast<std::size_t>(src.layer)];
    }
  }
  const auto moved = [&](LayerSource source) {
    if (source.layer != LayerSource::kImages) source.layer = places[static_cast<std::size_t>(source.layer)];
    return source;
  };
  std::vector<ListedLayer> kept;
  for (std::size_t i = 0; i < list_.layers.size(); ++i) {
    ListedLayer& layer = list_.layers[i];
    const int before = layer.src[0].layer;
    for (LayerSource& src : layer.src) src = moved(src);
    const auto norm = row_norms_.find(static_cast<int>(i));
    if (norm == row_norms_.end()) {
      places.push_back(static_cast<int>(kept.size()));
      kept.push_back(std::move(layer));
      continue;
    }
    const bool merges = before != LayerSource::kImages && readers[static_cast<std::size_t>(before)] == 1 &&
                        kept[static_cast<std::size_t>(layer.src[0].layer)].type == "linear";
    if (!merges) refuse(*norm->second, "changes rows of numbers otherwise than right behind a product");
    ListedLayer& product = kept[static_cast<std::size_t>(layer.src[0].layer)];
    append(product, function_of(layer));
    product.set("bias", "yes", true);
    places.push_back(layer.src[0].layer);
  }
  list_.answer = moved(list_.answer);
  list_.layers = std::move(kept);
}

/// relu6(x + 3) / 6.
bool Translation::end_hard_sigmoid(const ForeignNode& node, const Value& src, const Affine& affine) {
  if (!are_all(affine.factor, 1.0 / 6) || !are_all(affine.term, 0) || !is_last(src)) return false;
  const LayerSource before = list_.layers.back().src[0];
  const int sum = static_cast<int>(list_.layers.size()) - 2;
  const bool fits =
      clips(list_.layers.back(), 0, 6) && before.layer == sum && sum >= 0 && computes(*(list_.layers.end() - 2), 1, 3);
  const bool is_read = std::any_of(values_.begin(), values_.end(), [&](const auto& entry) {
    return entry.second.source.layer == sum && !entry.second.alone;
  });
  if (!fits || is_read) return false;
  list_.layers.pop_back();
  row_norms_.erase(sum);
  make_hard_sigmoid(node, src);
  return true;
}

/// clip(x / 6 + 1 / 2, 0, 1).
bool Translation::clip_hard_sigmoid(const ForeignNode& node, double low, double high) {
  const Value src = value(node, 0);
  if (low != 0 || high != 1 || !is_last(src) || !computes(list_.layers.back(), 1.0 / 6, 0.5)) return false;
  make_hard_sigmoid(node, src);
  return true;
}

/// In the place of the last layer.
void Translation::make_hard_sigmoid(const ForeignNode& node, const Value& src) {
  Value result = src;
  const std::vector<LayerSource> sources = list_.layers.back().src;
  list_.layers.pop_back();
  row_norms_.erase(static_cast<int>(list_.layers.size()));
  result.source = add(node, layer(node, "hard_sigmoid", sources), src.dims);
  become(node, result);
}

}  // namespace sluice
