#include "layers/portable.hpp"

#include <algorithm>
#include <limits>

#include "core/base/error.hpp"
#include "core/graph/registry.hpp"
#include "layers/int8_convolution.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;

std::string convolution(const PortableLayer& layer, PortableGraph& graph) {
  std::vector<std::string> inputs = {layer.src[0]};
  if (layer.multiplies_int8) {
    inputs.push_back(portable_weights(layer, graph, layer.name() + ".weight", layer.shape("weight"),
                                      layer.copy("weight"), weight_scales(layer)));
  } else {
    inputs.push_back(layer.put(graph, "weight"));
  }
  if (layer.flag("bias")) inputs.push_back(layer.put(graph, "bias"));
  return graph.add("Conv", layer.name(), inputs, conv_attributes(layer, layer.whole("groups")));
}

std::string quantized_convolution(const PortableLayer& layer, PortableGraph& graph) {
  std::vector<std::string> inputs = {quantized_source(layer, graph), quantized_weights(layer, graph)};
  if (layer.flag("bias")) inputs.push_back(layer.put(graph, "bias"));
  return graph.add("Conv", layer.name(), inputs, conv_attributes(layer, layer.whole("groups")));
}

/// src W^T + bias, of rows.
std::string product(const PortableLayer& layer, PortableGraph& graph, std::string src, const std::string& weights) {
  if (layer.src_shapes[0].rank() != 2) src = graph.add("Flatten", layer.part("flatten"), {src}, {{"axis", 1}});
  std::vector<std::string> inputs = {src, weights};
  if (layer.flag("bias")) inputs.push_back(layer.put(graph, "bias"));
  return graph.add("Gemm", layer.name(), inputs, {{"transB", 1}});
}

std::string linear(const PortableLayer& layer, PortableGraph& graph) {
  return product(layer, graph, layer.src[0], layer.put(graph, "weight"));
}

std::string quantized_linear(const PortableLayer& layer, PortableGraph& graph) {
  return product(layer, graph, quantized_source(layer, graph), quantized_weights(layer, graph));
}

std::string batch_normalization(const PortableLayer& layer, PortableGraph& graph) {
  const bool affine = layer.flag("affine");
  return add_normalization(layer, graph, layer.name(), layer.src[0], affine ? "weight" : nullptr,
                           affine ? "bias" : nullptr, "running_mean", "running_var");
}

std::string clip(const PortableLayer& layer, PortableGraph& graph) {
  const double low = layer.number("low"), high = layer.number("high");
  if (low == 0 && high == std::numeric_limits<double>::infinity())
    return graph.add("Relu", layer.name(), {layer.src[0]});
  return graph.add("Clip", layer.name(), {layer.src[0]}, {{"min", low}, {"max", high}});
}

std::string clip_at_learned_bound(const PortableLayer& layer, PortableGraph& graph) {
  const double bound = static_cast<double>(*layer.values("upper_bound"));
  return graph.add("Clip", layer.name(), {layer.src[0]}, {{"min", 0.0}, {"max", bound}});
}

std::string shifted_prelu(const PortableLayer& layer, PortableGraph& graph) {
  const auto put = [&](const char* tensor) {
    return by_channel(graph, layer.name() + "." + tensor, layer.copy(tensor));
  };
  const std::string shifted = graph.add("Add", layer.part("shifted"), {layer.src[0], put("shift_x")});
  const std::string bent = graph.add("PRelu", layer.part("bent"), {shifted, put("weight")});
  return graph.add("Add", layer.name(), {bent, put("shift_y")});
}

/// Windows that ceil_mode lets reach beyond the padded image get padding of their own on that side.
Ints pool_pads(const PortableLayer& layer, std::int64_t pad) {
  const std::int64_t kernel = layer.whole("kernel"), stride = layer.whole("stride"), real = layer.whole("pad");
  const auto behind = [&](std::size_t axis) {
    const std::int64_t covered = (layer.node.declared.dst[axis] - 1) * stride + kernel;
    return pad + std::max<std::int64_t>(0, covered - layer.src_shapes[0][axis] - 2 * real);
  };
  return {pad, pad, behind(kH), behind(kW)};
}

PortableAttributes pool_attributes(const PortableLayer& layer, std::int64_t pad) {
  const std::int64_t kernel = layer.whole("kernel"), stride = layer.whole("stride");
  return {{"kernel_shape", Ints{kernel, kernel}}, {"strides", Ints{stride, stride}}, {"pads", pool_pads(layer, pad)}};
}

std::string max_pool(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("MaxPool", layer.name(), {layer.src[0]}, pool_attributes(layer, layer.whole("pad")));
}

/// Padding that counts is put there as zeros; what ceil_mode adds never counts.
std::string average_pool(const PortableLayer& layer, PortableGraph& graph) {
  const std::int64_t pad = layer.whole("pad");
  const bool counts = layer.flag("count_include_pad") && pad > 0;
  std::string src = layer.src[0];
  if (counts) src = graph.add("Pad", layer.part("pad"), {src}, {{"pads", Ints{0, 0, pad, pad, 0, 0, pad, pad}}});
  return graph.add("AveragePool", layer.name(), {src}, pool_attributes(layer, counts ? 0 : pad));
}

/// Windows of one size are an average pool.
std::string adaptive_average_pool(const PortableLayer& layer, PortableGraph& graph) {
  const std::int64_t size = layer.whole("size"), height = layer.src_shapes[0][kH], width = layer.src_shapes[0][kW];
  if (height % size != 0 || width % size != 0) {
    throw Error(ExitCode::kUsage, concat(layer.name(), ": windows of several sizes (", size, " of ", height, "x", width,
                                         " pixels) are no standard operator"));
  }
  const Ints window{height / size, width / size};
  return graph.add("AveragePool", layer.name(), {layer.src[0]}, {{"kernel_shape", window}, {"strides", window}});
}

std::string global_average_pool(const PortableLayer& layer, PortableGraph& graph) {
  const std::string pooled = graph.add("GlobalAveragePool", layer.part("pool"), {layer.src[0]});
  return graph.add("Flatten", layer.name(), {pooled}, {{"axis", 1}});
}

std::string flatten(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("Flatten", layer.name(), {layer.src[0]}, {{"axis", 1}});
}

/// Every stride-th pixel is the largest one of a window of one.
std::string pad_channels(const PortableLayer& layer, PortableGraph& graph) {
  const std::int64_t stride = layer.whole("stride"), pad = (layer.whole("channels") - layer.src_shapes[0][kC]) / 2;
  std::string src = layer.src[0];
  if (stride > 1)
    src = graph.add("MaxPool", layer.part("pixels"), {src},
                    {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{stride, stride}}});
  return graph.add("Pad", layer.name(), {src}, {{"pads", Ints{0, pad, 0, 0, 0, pad, 0, 0}}});
}

std::string add(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("Add", layer.name(), layer.src);
}

std::string leaky_relu(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("LeakyRelu", layer.name(), {layer.src[0]}, {{"alpha", layer.number("slope")}});
}

std::string sigmoid(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("Sigmoid", layer.name(), {layer.src[0]});
}

std::string silu(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("Mul", layer.name(), {layer.src[0], graph.add("Sigmoid", layer.part("sigmoid"), {layer.src[0]})});
}

std::string hard_sigmoid(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("HardSigmoid", layer.name(), {layer.src[0]}, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
}

/// HardSwish itself is too new.
std::string hard_swish(const PortableLayer& layer, PortableGraph& graph) {
  const std::string share =
      graph.add("HardSigmoid", layer.part("hard_sigmoid"), {layer.src[0]}, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
  return graph.add("Mul", layer.name(), {layer.src[0], share});
}

/// A number for each channel goes with all of its pixels.
std::string multiply(const PortableLayer& layer, PortableGraph& graph) {
  std::string factor = layer.src[1];
  if (layer.src_shapes[0] != layer.src_shapes[1])
    factor =
        graph.add("Reshape", layer.part("by_channel"), {factor}, {{"shape", Ints{0, layer.src_shapes[0][kC], 1, 1}}});
  return graph.add("Mul", layer.name(), {layer.src[0], factor});
}

std::string concat_channels(const PortableLayer& layer, PortableGraph& graph) {
  return graph.add("Concat", layer.name(), layer.src, {{"axis", 1}});
}

/// The first part; the others are called "<layer>/second" and so on.
std::string split(const PortableLayer& layer, PortableGraph& graph) {
  const std::int64_t each = layer.node.declared.dst[kC];
  const auto part = [&](const std::string& name, std::int64_t begin) {
    return graph.add("Slice", name, {layer.src[0]},
                     {{"axes", Ints{1}}, {"starts", Ints{begin}}, {"ends", Ints{begin + each}}});
  };
  std::int64_t begin = 0;
  for (const ResultSpec& further : layer.node.declared.more_dst) part(layer.part(further.name), begin += each);
  return part(layer.name(), 0);
}

std::string channel_shuffle(const PortableLayer& layer, PortableGraph& graph) {
  return add_shuffle(layer, graph, layer.name(), layer.whole("groups"));
}

std::string zero_pad(const PortableLayer& layer, PortableGraph& graph) {
  const Ints pads{0, 0, layer.whole("top"), layer.whole("left"), 0, 0, layer.whole("bottom"), layer.whole("right")};
  return graph.add("Pad", layer.name(), {layer.src[0]}, {{"pads", pads}});
}

/// Inference knows no dropout.
std::string dropout(const PortableLayer& layer, PortableGraph&) {
  return layer.src[0];
}

}  // namespace

PortableAttributes conv_attributes(const PortableLayer& layer, std::int64_t groups) {
  const std::int64_t kernel = layer.whole("kernel"), stride = layer.whole("stride"), pad = layer.whole("pad"),
                     dilation = layer.whole("dilation");
  return {{"kernel_shape", Ints{kernel, kernel}},
          {"strides", Ints{stride, stride}},
          {"pads", Ints{pad, pad, pad, pad}},
          {"dilations", Ints{dilation, dilation}},
          {"group", groups}};
}

std::string by_channel(PortableGraph& graph, const std::string& name, std::vector<float> values) {
  const auto channels = static_cast<std::int64_t>(values.size());
  return graph.constant(name, {1, channels, 1, 1}, std::move(values));
}

std::vector<float> weight_scales(const PortableLayer& layer) {
  std::vector<float> scales;
  if (!layer.multiplies_int8) return scales;
  const Shape shape = layer.shape("weight");
  const std::int64_t filter = shape.count() / shape[0];
  for (std::int64_t o = 0; o < shape[0]; ++o) scales.push_back(int8_scale(layer.values("weight") + o * filter, filter));
  return scales;
}

std::string portable_weights(const PortableLayer& layer, PortableGraph& graph, const std::string& name,
                             const Shape& shape, const std::vector<float>& weights, const std::vector<float>& scales) {
  if (!layer.multiplies_int8) return graph.constant(name, shape, weights);
  const std::size_t filter = weights.size() / scales.size();
  std::vector<std::int8_t> levels;
  for (std::size_t i = 0; i < weights.size(); ++i)
    levels.push_back(static_cast<std::int8_t>(int8_level(weights[i], scales[i / filter])));
  const Shape outputs{shape[0]};
  return graph.add("DequantizeLinear", name + "/floats",
                   {graph.constant(name, shape, levels), graph.constant(name + "/scales", outputs, scales),
                    graph.constant(name + "/zeros", outputs, std::vector<std::int8_t>(scales.size()))},
                   {{"axis", 0}});
}

std::string add_normalization(const PortableLayer& layer, PortableGraph& graph, const std::string& name,
                              const std::string& src, const char* weight, const char* bias, const char* mean,
                              const char* variance) {
  const Shape shape = layer.shape(mean);
  const auto or_else = [&](const char* tensor, const char* part, float value) {
    if (tensor != nullptr) return layer.put(graph, tensor);
    return graph.constant(layer.part(part), shape, std::vector<float>(static_cast<std::size_t>(shape.count()), value));
  };
  return graph.add(
      "BatchNormalization", name,
      {src, or_else(weight, "ones", 1), or_else(bias, "zeros", 0), layer.put(graph, mean), layer.put(graph, variance)},
      {{"epsilon", layer.number("eps")}});
}

std::string add_shuffle(const PortableLayer& layer, PortableGraph& graph, const std::string& name,
                        std::int64_t groups) {
  const Shape& src = layer.src_shapes[0];
  const std::string apart = graph.add("Reshape", layer.part("groups"), {layer.src[0]},
                                      {{"shape", Ints{0, groups, src[kC] / groups, src[kH], src[kW]}}});
  const std::string turned = graph.add("Transpose", layer.part("transposed"), {apart}, {{"perm", Ints{0, 2, 1, 3, 4}}});
  return graph.add("Reshape", name, {turned}, {{"shape", Ints{0, src[kC], src[kH], src[kW]}}});
}

void register_translators(Registry& registry) {
  registry.add_translator("adaptive_average_pool", adaptive_average_pool);
  registry.add_translator("add", add);
  registry.add_translator("average_pool", average_pool);
  registry.add_translator("batch_normalization", batch_normalization);
  registry.add_translator("channel_shuffle", channel_shuffle);
  registry.add_translator("clip", clip);
  registry.add_translator("clip_at_learned_bound", clip_at_learned_bound);
  registry.add_translator("concat", concat_channels);
  registry.add_translator("convolution", convolution);
  registry.add_translator("dropout", dropout);
  registry.add_translator("stochastic_depth", dropout);
  registry.add_translator("flatten", flatten);
  registry.add_translator("global_average_pool", global_average_pool);
  registry.add_translator("hard_sigmoid", hard_sigmoid);
  registry.add_translator("hard_swish", hard_swish);
  registry.add_translator("leaky_relu", leaky_relu);
  registry.add_translator("linear", linear);
  registry.add_translator("max_pool", max_pool);
  registry.add_translator("multiply", multiply);
  registry.add_translator("pad_channels", pad_channels);
  registry.add_translator("quantized_convolution", quantized_convolution);
  registry.add_translator("quantized_linear", quantized_linear);
  registry.add_translator("shifted_prelu", shifted_prelu);
  registry.add_translator("sigmoid", sigmoid);
  registry.add_translator("silu", silu);
  registry.add_translator("split", split);
  registry.add_translator("zero_pad", zero_pad);
}

}  // namespace sluice
