// Operators that are layers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/onnx/translation.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;

/// Pixels of a result along an axis, from those of the padded source.
std::int64_t windows(std::int64_t padded, std::int64_t reach, std::int64_t stride) {
  return padded < reach ? 0 : (padded - reach) / stride + 1;
}

/// O x I from I x O; with `image` (H, W, C), the order in which our rows have what the model's have.
Floats linear_weights(const Floats& from, std::int64_t outputs, bool transposed, const Ints& image) {
  if (transposed && image.empty()) return from;
  const auto inputs = static_cast<std::int64_t>(from->size()) / outputs;
  auto to = std::make_shared<std::vector<float>>(from->size());
  for (std::int64_t i = 0; i < inputs; ++i) {
    std::int64_t theirs = i;
    if (!image.empty()) {
      const std::int64_t pixels = image[0] * image[1];
      theirs = i % pixels * image[2] + i / pixels;
    }
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t at = transposed ? o * inputs + theirs : theirs * outputs + o;
      (*to)[static_cast<std::size_t>(o * inputs + i)] = (*from)[static_cast<std::size_t>(at)];
    }
  }
  return to;
}

bool is_even(const Pads& pads) {
  return pads == Pads{pads[0], pads[0], pads[0], pads[0]};
}

/// One number but for what ceil_mode reaches.
bool fits_pool(const Pads& pads, std::int64_t stride) {
  const auto fits = [&](std::int64_t behind) { return behind >= pads[0] && behind - pads[0] < stride; };
  return pads[0] == pads[1] && fits(pads[2]) && fits(pads[3]);
}

struct ConvGeometry {
  std::int64_t kernel = 1, stride = 1, pad = 0, dilation = 1, groups = 1;
};

void set_geometry(ListedLayer& layer, std::int64_t channels, const ConvGeometry& geometry) {
  layer.set("channels", channels);
  layer.set("kernel", geometry.kernel);
  layer.set("stride", geometry.stride, 1);
  layer.set("pad", geometry.pad, 0);
  layer.set("dilation", geometry.dilation, 1);
  layer.set("groups", geometry.groups, 1);
}

}  // namespace

/// The zeros around an image for a window that reaches so far: of the attribute, and of a Pad before.
Pads Translation::pads_of(const ForeignNode& node, const Value& src, std::int64_t reach, std::int64_t stride) const {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  Pads pads = src.pads;
  const Ints given = attribute<Ints>(node, "pads", {0, 0, 0, 0});
  if (given.size() != 4) refuse(node, concat("has ", given.size(), " pads, expected 4"));
  const std::string by_itself = attribute<std::string>(node, "auto_pad", "NOTSET");
  for (std::size_t side = 0; side < 4; ++side) {
    if (given[side] < 0 || given[side] > kMost)
      refuse(node, concat("has pads of ", given[side], ", expected 0 to ", kMost));
    if (by_itself == "NOTSET") pads[side] += given[side];
  }
  if (by_itself != "SAME_UPPER" && by_itself != "SAME_LOWER") return pads;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t size = src.dims[axis + 1] + src.pads[axis] + src.pads[axis + 2];
    const std::int64_t outputs = (size + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>(0, (outputs - 1) * stride + reach - size);
    pads[axis] += by_itself == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[axis + 2] += by_itself == "SAME_UPPER" ? total - total / 2 : total / 2;
  }
  return pads;
}

void Translation::conv(const ForeignNode& node) {
  if (any_value(node, 0).form == Value::Form::kRows) return conv_of_rows(node);
  Value src = padded_image(node);
  if (src.pads_never_win) src = settled(node, 0);
  const Shape shape = weights(node, 4).shape;
  if (shape[2] != shape[3]) refuse(node, "has a filter that is not square");
  const std::int64_t stride = same(node, "strides", 1), dilation = same(node, "dilations", 1),
                     groups = whole(node, "group", 1);
  if (stride < 1 || dilation < 1) refuse(node, "has strides or dilations of 0");
  if (groups < 1 || shape[0] % groups != 0 || shape[1] > src.dims[0] / groups || shape[1] * groups != src.dims[0]) {
    refuse(node,
           concat("has weights ", to_string(shape), " in ", groups, " groups, but reads ", src.dims[0], " channels"));
  }
  if (shape[2] > std::numeric_limits<std::int32_t>::max() / dilation) refuse(node, "reaches too far");
  const std::int64_t reach = dilation * (shape[2] - 1) + 1;
  Pads pads = pads_of(node, src, reach, stride);
  if (!is_even(pads)) {
    src = with_zeros(node, src, pads);
    pads = {0, 0, 0, 0};
  }
  ListedLayer made = layer(node, "conv", {src.source});
  set_geometry(made, shape[0], {shape[2], stride, pads[0], dilation, groups});
  made.tensors["weight"] = tensor(node, 1, shape);
  const bool bias = has_operand(node, 2);
  if (bias) made.tensors["bias"] = tensor(node, 2, {shape[0]});
  made.set("bias", bias ? "yes" : "no", !bias);
  const std::int64_t height = windows(src.dims[1] + 2 * pads[0], reach, stride),
                     width = windows(src.dims[2] + 2 * pads[0], reach, stride);
  if (height < 1 || width < 1) refuse(node, concat("covers more than its image ", to_string(Shape(src.dims))));
  finish(node, std::move(made), Value::Form::kImage, {shape[0], height, width});
}

/// A 1x1 convolution of images of one pixel is a linear layer.
void Translation::conv_of_rows(const ForeignNode& node) {
  const Value src = value(node, 0);
  const Shape shape = weights(node, 4).shape;
  const Ints pads = attribute<Ints>(node, "pads", {});
  const bool plain = shape[2] == 1 && shape[3] == 1 && whole(node, "group", 1) == 1 &&
                     src.dims == Ints{shape[1], 1, 1} &&
                     std::all_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad == 0; });
  if (!plain) refuse(node, "reads what is no image any more, and is no 1x1 convolution of its channels");
  ListedLayer made = layer(node, "linear", {src.source});
  made.set("features", shape[0]);
  made.tensors["weight"] = tensor(node, 1, shape);
  const bool bias = has_operand(node, 2);
  if (bias) made.tensors["bias"] = tensor(node, 2, {shape[0]});
  made.set("bias", bias ? "yes" : "no", bias);
  finish(node, std::move(made), Value::Form::kRows, {shape[0], 1, 1});
}

void Translation::batchnorm(const ForeignNode& node) {
  const Value src = value(node, 0);
  if (src.channel_axis() != 0 || src.form == Value::Form::kRowsLast)
    refuse(node, "normalises along another axis than that of the channels");
  const char* const tensors[] = {"weight", "bias", "running_mean", "running_var"};
  ListedLayer made = layer(node, "batchnorm", {src.source});
  for (std::size_t i = 0; i < 4; ++i) made.tensors[tensors[i]] = tensor(node, i + 1, {src.dims[0]});
  const auto eps = attribute<double>(node, "epsilon", 1e-5);
  made.set("eps", float_text(eps), std::abs(eps - 1e-5) < 1e-10);
  finish(node, std::move(made), src.form, src.dims);
  if (src.form == Value::Form::kRows) row_norms_[static_cast<int>(list_.layers.size()) - 1] = &node;
}

void Translation::gemm(const ForeignNode& node) {
  const bool plain = whole(node, "transA", 0) == 0 && attribute<double>(node, "alpha", 1) == 1 &&
                     attribute<double>(node, "beta", 1) == 1;
  if (!plain) refuse(node, "transposes or scales otherwise than a linear layer");
  const bool transposed = whole(node, "transB", 0) == 1;
  const Shape shape = weights(node, 2).shape;
  const std::int64_t outputs = shape[transposed ? 0 : 1];
  Floats bias;
  if (has_operand(node, 2)) {
    const ForeignConstant* const given = constant(node, 2);
    const bool row = given != nullptr && given->shape == Shape{1, outputs};
    bias = tensor(node, 2, row ? Shape{1, outputs} : Shape{outputs});
  }
  linear(node, value(node, 0), transposed, bias);
}

void Translation::matmul(const ForeignNode& node) {
  if (is_value(node, 0) && any_value(node, 0).form == Value::Form::kLast) return product_of_pixels(node);
  linear(node, value(node, 0), false, nullptr);
}

/// A product with the channels of each pixel is a 1x1 convolution; its stride are the steps between the pixels.
void Translation::product_of_pixels(const ForeignNode& node) {
  Value src = any_value(node, 0);
  if (src.is_padded() || src.step[0] != src.step[1]) src = settled(node, 0);
  const Shape shape = weights(node, 2).shape;
  if (shape[0] != src.channels())
    refuse(node, concat("has weights ", to_string(shape), ", but reads ", src.channels(), " channels"));
  ListedLayer made = layer(node, "conv", {src.source});
  set_geometry(made, shape[1], {1, src.step[0], 0, 1, 1});
  made.tensors["weight"] = linear_weights(tensor(node, 1, shape), shape[1], false, {});
  made.set("bias", "no", true);
  finish(node, std::move(made), Value::Form::kLast, {src.dims[0], src.dims[1], shape[1]});
}

void Translation::linear(const ForeignNode& node, const Value& src, bool transposed, Floats bias) {
  const Shape shape = weights(node, 2).shape;
  const std::int64_t outputs = shape[transposed ? 0 : 1], inputs = shape[transposed ? 1 : 0];
  const bool rows = src.form == Value::Form::kRows || src.form == Value::Form::kRowsLast;
  if (!rows || src.dims.empty()) refuse(node, "multiplies what are no rows of numbers");
  if (src.dims.back() != inputs || Shape(src.dims).count() != inputs)
    refuse(node,
           concat("has weights ", to_string(shape), ", but reads rows of ", to_string(Shape(src.dims)), " numbers"));
  ListedLayer made = layer(node, "linear", {src.source});
  made.set("features", outputs);
  made.tensors["weight"] = linear_weights(tensor(node, 1, shape), outputs, transposed, src.image);
  if (bias != nullptr) made.tensors["bias"] = bias;
  made.set("bias", bias != nullptr ? "yes" : "no", bias != nullptr);
  Ints dims = src.dims;
  dims.back() = outputs;
  finish(node, std::move(made), Value::Form::kRows, dims);
}

void Translation::hard_sigmoid(const ForeignNode& node) {
  const bool usual =
      std::abs(attribute<double>(node, "alpha", 0.2) - 1.0 / 6) < 1e-6 && attribute<double>(node, "beta", 0.5) == 0.5;
  if (!usual) refuse(node, "is another one than relu6(x + 3) / 6");
  simple(node, "hard_sigmoid");
}

void Translation::swish(const ForeignNode& node) {
  if (attribute<double>(node, "alpha", 1) != 1) refuse(node, "has another alpha than 1");
  simple(node, "silu");
}

void Translation::clip(const ForeignNode& node) {
  const double none = std::numeric_limits<float>::max();
  const double low = number(node, "min", 1, -none), high = number(node, "max", 2, none);
  if (low == 0 && high >= none) return simple(node, "relu");
  if (!(low < high) || low <= -none || high >= none) refuse(node, "has no two bounds, one below the other");
  if (clip_hard_sigmoid(node, low, high)) return;
  simple(node, "clip");
  ListedLayer& made = list_.layers.back();
  made.set("low", float_text(low), low == 0);
  made.set("high", float_text(high));
}

void Translation::leaky_relu(const ForeignNode& node) {
  simple(node, "leaky_relu");
  const auto slope = attribute<double>(node, "alpha", 0.01);
  list_.layers.back().set("slope", float_text(slope), std::abs(slope - 0.01) < 1e-9);
}

/// What a model adds on two sides alone is what ceil_mode would reach.
void Translation::pool(const ForeignNode& node, const char* type, const Value& src, const Pads& pads, bool count_pad) {
  const std::int64_t kernel = same(node, "kernel_shape", 1), stride = same(node, "strides", 1);
  if (same(node, "dilations", 1) != 1) refuse(node, "has dilations, which pools of ours have not");
  bool ceil_mode = whole(node, "ceil_mode", 0) != 0;
  const std::int64_t pad = pads[0];
  if (pad >= kernel) refuse(node, concat("pads ", pad, " pixels, as many as its windows cover or more"));
  Ints dims = {src.dims[0]};
  if (!fits_pool(pads, stride)) refuse(node, "pads its sides by different numbers; layers have one number");
  ceil_mode = ceil_mode || !is_even(pads);
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t size = src.dims[axis + 1], wanted = windows(size + pads[axis] + pads[axis + 2], kernel, stride);
    std::int64_t count = windows(size + 2 * pad + (ceil_mode ? stride - 1 : 0), kernel, stride);
    if (count > 1 && (count - 1) * stride >= size + pad) --count;  // the last window must start at a pixel
    if (whole(node, "ceil_mode", 0) == 0 && count != wanted)
      refuse(node, "pads its sides by different numbers; layers have one number");
    if (count < 1) refuse(node, concat("covers more than its image ", to_string(Shape(src.dims))));
    dims.push_back(count);
  }
  ListedLayer made = layer(node, type, {src.source});
  made.set("kernel", kernel);
  made.set("stride", stride, kernel);
  made.set("pad", pad, 0);
  made.set("ceil_mode", ceil_mode ? "yes" : "no", !ceil_mode);
  if (made.type == "average_pool") {
    const bool counts = count_pad || pad == 0;  // no matter without padding
    made.set("count_include_pad", counts ? "yes" : "no", counts);
  }
  finish(node, std::move(made), Value::Form::kImage, dims);
}

/// Around an image without numbers below 0 zeros win as little as padding.
void Translation::max_pool(const ForeignNode& node) {
  if (node.attributes.count("kernel_shape") == 0) refuse(node, "has no kernel_shape");
  Value src = padded_image(node);
  if (src.is_padded() && !src.pads_never_win && !is_nonnegative(src.source)) src = settled(node, 0);
  const std::int64_t kernel = same(node, "kernel_shape", 1), stride = same(node, "strides", 1);
  if (kernel < 1 || stride < 1) refuse(node, "has a window or strides of 0");
  Pads pads = pads_of(node, src, kernel, stride);
  if (!fits_pool(pads, stride) && is_nonnegative(src.source)) {
    src = with_zeros(node, src, pads);
    pads = {0, 0, 0, 0};
  }
  pool(node, "max_pool", src, pads, true);
}

void Translation::average_pool(const ForeignNode& node) {
  if (node.attributes.count("kernel_shape") == 0) refuse(node, "has no kernel_shape");
  Value src = padded_image(node);
  if (src.pads_never_win || !is_even(src.pads)) src = settled(node, 0);
  const std::int64_t kernel = same(node, "kernel_shape", 1), stride = same(node, "strides", 1);
  if (kernel < 1 || stride < 1) refuse(node, "has a window or strides of 0");
  Value bare = src;
  bare.pads = {0, 0, 0, 0};
  const Pads own = pads_of(node, bare, kernel, stride);
  if (own == Pads{0, 0, 0, 0} && !src.is_padded()) {
    if (kernel == 1 && stride == 1) return become(node, src);
    if (kernel == src.dims[1] && kernel == src.dims[2]) return mean_over_image(node, true);
  }
  // What reaches beyond the padding on two sides alone is ceil_mode's, and never counts.
  const bool counts = whole(node, "count_include_pad", 0) != 0, uneven = own[0] != own[2] || own[1] != own[3];
  if (counts ? uneven : src.is_padded() && (own[0] != 0 || own[1] != 0))
    refuse(node, "counts some of the zeros around its image, but not all of them");
  pool(node, "average_pool", src, pads_of(node, src, kernel, stride), counts || src.is_padded());
}

void Translation::mean_over_image(const ForeignNode& node, bool keep) {
  const Value src = value(node, 0);
  const std::int64_t channels = src.channels();
  Ints dims = {channels};
  if (keep && src.form == Value::Form::kImage) dims = {channels, 1, 1};
  if (keep && src.form == Value::Form::kLast) dims = {1, 1, channels};
  finish(node, layer(node, "global_pool", {src.source}), Value::Form::kRows, dims);
}

void Translation::global_pool(const ForeignNode& node) {
  padded_image(node);
  mean_over_image(node, true);
}

void Translation::reduce_mean(const ForeignNode& node) {
  const Value& src = value(node, 0);
  const std::optional<Ints> axes = list(node, "axes", 1);
  const bool last = src.form == Value::Form::kLast;
  std::vector<bool> reduced(src.dims.size() + 1);
  for (std::int64_t a : axes.value_or(Ints())) reduced[axis(node, a, reduced.size())] = true;
  const bool whole_image = src.is_image() && reduced == (last ? std::vector<bool>{false, true, true, false}
                                                              : std::vector<bool>{false, false, true, true});
  if (!whole_image) refuse(node, "takes the mean of something else than the pixels of an image");
  mean_over_image(node, whole(node, "keepdims", 1) != 0);
}

bool Translation::is_nonnegative(const LayerSource& source) const {
  if (source.layer == LayerSource::kImages) return false;
  const ListedLayer& made = list_.layers[static_cast<std::size_t>(source.layer)];
  const LayerKey* const low = made.find("low");
  return made.type == "relu" || made.type == "sigmoid" || made.type == "hard_sigmoid" ||
         (low != nullptr && std::stod(low->value) >= 0);
}

}  // namespace sluice
