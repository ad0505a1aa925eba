// Operators that are layers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
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

/// The constant's shape says one number for each channel of the value.
bool is_by_channel(const Value& value, const Shape& shape) {
  const std::size_t rank = value.dims.size(), axis = value.channel_axis();
  Ints dims = shape.dims();
  while (dims.size() > rank && dims.front() == 1) dims.erase(dims.begin());
  if (dims.size() > rank) return false;
  dims.insert(dims.begin(), rank - dims.size(), 1);
  for (std::size_t d = 0; d < rank; ++d) {
    if (dims[d] != (d == axis ? value.dims[d] : 1)) return false;
  }
  return true;
}

/// The shortest text of a float.
std::string text_of(double number) {
  const auto wanted = static_cast<float>(number);
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(wanted));
    if (std::strtof(text, nullptr) == wanted) break;
  }
  return text;
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
    const std::int64_t size = src.dims[axis + 1], outputs = (size + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>(0, (outputs - 1) * stride + reach - size);
    pads[axis] += by_itself == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[axis + 2] += by_itself == "SAME_UPPER" ? total - total / 2 : total / 2;
  }
  return pads;
}

void Translation::conv(const ForeignNode& node) {
  if (any_value(node, 0).form == Value::Form::kRows) return conv_of_rows(node);
  const Value src = image(node);
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
  const Pads pads = pads_of(node, src, reach, stride);
  if (pads != Pads{pads[0], pads[0], pads[0], pads[0]})
    refuse(node, "pads its sides by different numbers; layers have one number");
  ListedLayer made = layer(node, "conv", {src.source});
  made.set("channels", shape[0]);
  made.set("kernel", shape[2]);
  made.set("stride", stride, 1);
  made.set("pad", pads[0], 0);
  made.set("dilation", dilation, 1);
  made.set("groups", groups, 1);
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
  const Value src = image(node);
  if (src.is_padded()) refuse(node, "reads an image with zeros around it; convolutions and pools alone do");
  const char* const tensors[] = {"weight", "bias", "running_mean", "running_var"};
  ListedLayer made = layer(node, "batchnorm", {src.source});
  for (std::size_t i = 0; i < 4; ++i) made.tensors[tensors[i]] = tensor(node, i + 1, {src.dims[0]});
  const auto eps = attribute<double>(node, "epsilon", 1e-5);
  made.set("eps", text_of(eps), std::abs(eps - 1e-5) < 1e-10);
  finish(node, std::move(made), Value::Form::kImage, src.dims);
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
  linear(node, value(node, 0), false, nullptr);
}

void Translation::linear(const ForeignNode& node, const Value& src, bool transposed, Floats bias) {
  const Shape shape = weights(node, 2).shape;
  const std::int64_t outputs = shape[transposed ? 0 : 1], inputs = shape[transposed ? 1 : 0];
  const bool rows = src.form == Value::Form::kRows || src.form == Value::Form::kRowsLast;
  if (!rows || src.dims.size() != 1) refuse(node, "multiplies what are no rows of numbers");
  if (src.dims[0] != inputs)
    refuse(node, concat("has weights ", to_string(shape), ", but reads rows of ", src.dims[0], " numbers"));
  ListedLayer made = layer(node, "linear", {src.source});
  made.set("features", outputs);
  made.tensors["weight"] = linear_weights(tensor(node, 1, shape), outputs, transposed, src.image);
  if (bias != nullptr) made.tensors["bias"] = bias;
  made.set("bias", bias != nullptr ? "yes" : "no", bias != nullptr);
  finish(node, std::move(made), Value::Form::kRows, {outputs});
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
  simple(node, "clip");
  ListedLayer& made = list_.layers.back();
  made.set("low", text_of(low), low == 0);
  made.set("high", text_of(high));
}

void Translation::leaky_relu(const ForeignNode& node) {
  simple(node, "leaky_relu");
  const auto slope = attribute<double>(node, "alpha", 0.01);
  list_.layers.back().set("slope", text_of(slope), std::abs(slope - 0.01) < 1e-9);
}

/// What a model adds on two sides alone is what ceil_mode would reach.
void Translation::pool(const ForeignNode& node, const char* type, const Value& src, const Pads& pads, bool count_pad) {
  const std::int64_t kernel = same(node, "kernel_shape", 1), stride = same(node, "strides", 1);
  if (same(node, "dilations", 1) != 1) refuse(node, "has dilations, which pools of ours have not");
  bool ceil_mode = whole(node, "ceil_mode", 0) != 0;
  const std::int64_t pad = pads[0];
  Ints dims = {src.dims[0]};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t extra = pads[axis + 2] - pad;
    if (pads[axis] != pad || extra < 0 || extra >= stride)
      refuse(node, "pads its sides by different numbers; layers have one number");
    ceil_mode = ceil_mode || extra > 0;
  }
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

/// Zeros that a Pad has put around an image without numbers below 0 win as little as padding.
void Translation::max_pool(const ForeignNode& node) {
  if (node.attributes.count("kernel_shape") == 0) refuse(node, "has no kernel_shape");
  const Value src = image(node);
  if (src.is_padded() && !is_nonnegative(src.source))
    refuse(node, "looks for the largest number among zeros that a Pad has put around its image");
  const std::int64_t kernel = same(node, "kernel_shape", 1), stride = same(node, "strides", 1);
  if (kernel < 1 || stride < 1) refuse(node, "has a window or strides of 0");
  pool(node, "max_pool", src, pads_of(node, src, kernel, stride), true);
}

void Translation::average_pool(const ForeignNode& node) {
  if (node.attributes.count("kernel_shape") == 0) refuse(node, "has no kernel_shape");
  const Value src = image(node);
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
  image(node);
  mean_over_image(node, true);
}

void Translation::reduce_mean(const ForeignNode& node) {
  const Value& src = value(node, 0);
  const std::optional<Ints> axes = list(node, "axes", 1);
  const bool last = src.form == Value::Form::kLast;
  std::vector<bool> reduced(src.dims.size() + 1);
  for (std::int64_t a : axes.value_or(Ints())) reduced[axis(node, a, reduced.size())] = true;
  const bool whole_image =
      (last || src.form == Value::Form::kImage) &&
      reduced == (last ? std::vector<bool>{false, true, true, false} : std::vector<bool>{false, false, true, true});
  if (!whole_image) refuse(node, "takes the mean of something else than the pixels of an image");
  mean_over_image(node, whole(node, "keepdims", 1) != 0);
}

/// A constant behind a layer without a bias is its bias.
bool Translation::add_bias(const ForeignNode& node) {
  const std::size_t operand = is_value(node, 0) ? 1 : 0;
  const ForeignConstant* const given = constant(node, operand);
  if (given == nullptr) return false;
  const Value src = value(node, 1 - operand);
  if (src.source.layer == LayerSource::kImages) return false;
  ListedLayer& before = list_.layers[static_cast<std::size_t>(src.source.layer)];
  const LayerKey* const bias = before.find("bias");
  const bool fits = src.form != Value::Form::kRowsLast && is_by_channel(src, given->shape) && bias != nullptr &&
                    bias->value == "no" && src.alone;
  if (!fits) return false;
  before.tensors["bias"] = tensor(node, operand, given->shape);
  before.set("bias", "yes", before.type == "linear");
  become(node, src);
  return true;
}

void Translation::add(const ForeignNode& node) {
  if (is_value(node, 0) != is_value(node, 1) && add_bias(node)) return;
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
  if (swish_of(node, 0) || swish_of(node, 1)) return;
  Value a = value(node, 0), b = value(node, 1);
  if (a.form == Value::Form::kRows && b.form != Value::Form::kRows) std::swap(a, b);
  const bool by_channel = (a.form == Value::Form::kImage || a.form == Value::Form::kLast) &&
                          b.form == Value::Form::kRows && is_by_channel(a, Shape(b.dims));
  if (!by_channel && (a.form != b.form || a.dims != b.dims)) {
    refuse(node, concat("multiplies ", to_string(Shape(a.dims)), " and ", to_string(Shape(b.dims)),
                        ", expected one shape, or an image and a number for each of its channels"));
  }
  Value product = a;
  product.source = add(node, layer(node, "multiply", {a.source, b.source}), a.dims);
  product.alone = true;
  become(node, product);
}

bool Translation::is_nonnegative(const LayerSource& source) const {
  if (source.layer == LayerSource::kImages) return false;
  const ListedLayer& made = list_.layers[static_cast<std::size_t>(source.layer)];
  const LayerKey* const low = made.find("low");
  return made.type == "relu" || made.type == "sigmoid" || made.type == "hard_sigmoid" ||
         (low != nullptr && std::stod(low->value) >= 0);
}

}  // namespace sluice
