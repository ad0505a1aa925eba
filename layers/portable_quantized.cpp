// Quantised layers as standard operators.
//
// Where 8 bits hold the levels of both operands and the scale is known, numbers become levels by QuantizeLinear and
// DequantizeLinear; elsewhere by the formulas of layers/quantizer.hpp, step by step. (Weights in floats behind a
// DequantizeLinear would not stay what they are: ONNX Runtime rounds them to 8 bits on its own account.)
#include "core/base/error.hpp"
#include "layers/portable.hpp"
#include "layers/quantizer.hpp"

namespace sluice {
namespace {

QuantizationOptions options_of(const PortableLayer& layer) {
  QuantizationOptions options;
  options.weight_bits = layer.whole("weight_bits");
  options.activation_bits = layer.whole("activation_bits");
  options.scales = layer.flag("image_scales")    ? SourceScale::kImage
                   : layer.flag("frozen_scales") ? SourceScale::kFrozen
                                                 : SourceScale::kBatch;
  if (options.weights().levels() != layer.whole("weight_levels")) options.weight_levels = LevelSet::kSigned;
  if (layer.flag("bipolar_source")) options.activation_levels = LevelSet::kBipolar;
  return options;
}

std::string scalar(const PortableLayer& layer, PortableGraph& graph, const char* part, float value) {
  return graph.constant(layer.part(part), value);
}

/// -1 and 1.
std::string binary_source(const PortableLayer& layer, PortableGraph& graph) {
  const std::string one = scalar(layer, graph, "one", 1), half = scalar(layer, graph, "half", 0.5F);
  const std::string above = graph.add("Add", layer.part("source+1"), {layer.src[0], one});
  const std::string position = graph.add("Mul", layer.part("position"), {above, half});
  const std::string is_one = graph.add("Greater", layer.part("is_one"), {position, half});
  return graph.add("Where", layer.part("levels"), {is_one, one, scalar(layer, graph, "minus_one", -1)});
}

/// 2 round((x + 1) n / 2) - n, x clamped to [-1, 1].
std::string bipolar_source(const PortableLayer& layer, PortableGraph& graph, float levels) {
  const std::string within = graph.add("Clip", layer.part("within"), {layer.src[0]}, {{"min", -1.0}, {"max", 1.0}});
  const std::string above = graph.add("Add", layer.part("source+1"), {within, scalar(layer, graph, "one", 1)});
  const std::string half = scalar(layer, graph, "half_levels", levels / 2);
  const std::string number =
      graph.add("Round", layer.part("number"), {graph.add("Mul", layer.part("place"), {above, half})});
  const std::string twice = graph.add("Mul", layer.part("twice"), {number, scalar(layer, graph, "two", 2)});
  return graph.add("Sub", layer.part("levels"), {twice, scalar(layer, graph, "lowest", levels)});
}

/// max |x| + 1e-7 of all images together, or of each.
std::string dynamic_scale(const PortableLayer& layer, PortableGraph& graph, bool by_image) {
  const std::string magnitudes = graph.add("Abs", layer.part("magnitudes"), {layer.src[0]});
  PortableAttributes attributes = {{"keepdims", by_image ? 1 : 0}};
  if (by_image)
    attributes["axes"] =
        layer.src_shapes[0].rank() == 4 ? std::vector<std::int64_t>{1, 2, 3} : std::vector<std::int64_t>{1};
  const std::string largest = graph.add("ReduceMax", layer.part("largest"), {magnitudes}, attributes);
  return graph.add("Add", layer.part("scale"), {largest, scalar(layer, graph, "least_scale", 1e-7F)});
}

/// sign(x) round(min(|x| / scale, 1) n)
std::string rounded(const PortableLayer& layer, PortableGraph& graph, const std::string& scale, std::int64_t levels) {
  const std::string share = graph.add("Div", layer.part("share"), {layer.src[0], scale});
  const std::string within = graph.add("Clip", layer.part("within"), {share}, {{"min", -1.0}, {"max", 1.0}});
  const std::string count = scalar(layer, graph, "level_count", static_cast<float>(levels));
  return graph.add("Round", layer.part("levels"), {graph.add("Mul", layer.part("position"), {within, count})});
}

/// Whether int8 holds the levels of the weights.
bool has_int8_weights(const QuantizationOptions& options) {
  return !options.weights().is_identity() && options.weights().levels() <= 127;
}

/// The source in levels: in 8 bits (with a `zero` of their type), or as floats.
struct RoundedSource {
  std::string levels, unit, zero;
};

RoundedSource in_8_bits(const PortableLayer& layer, PortableGraph& graph, float scale, const Quantizer& quantizer) {
  const bool is_unsigned = layer.src_nonnegative, saturates = is_unsigned && quantizer.levels() == 255;
  const auto bound = static_cast<double>(scale);
  RoundedSource source;
  source.unit = scalar(layer, graph, "unit", quantizer.unit(scale));
  source.zero = is_unsigned ? graph.constant(layer.part("zero"), {}, std::vector<std::uint8_t>{0})
                            : graph.constant(layer.part("zero"), {}, std::vector<std::int8_t>{0});
  std::string within = layer.src[0];
  if (!saturates)
    within = graph.add("Clip", layer.part("within"), {within}, {{"min", is_unsigned ? 0.0 : -bound}, {"max", bound}});
  source.levels = graph.add("QuantizeLinear", layer.part("levels"), {within, source.unit, source.zero});
  return source;
}

RoundedSource source_of(const PortableLayer& layer, PortableGraph& graph) {
  const QuantizationOptions options = options_of(layer);
  const Quantizer quantizer = options.activations();
  if (quantizer.is_bipolar()) {
    const auto levels = static_cast<float>(quantizer.levels());
    return {bipolar_source(layer, graph, levels), scalar(layer, graph, "unit", quantizer.unit(1)), ""};
  }
  if (!quantizer.has_scale())
    return {quantizer.is_binary() ? binary_source(layer, graph) : layer.src[0], scalar(layer, graph, "unit", 1), ""};
  const float stored = *layer.values("src_scale");
  const bool known = options.frozen() && stored > 0;
  if (known && has_int8_weights(options) && quantizer.levels() <= (layer.src_nonnegative ? 255 : 127))
    return in_8_bits(layer, graph, stored, quantizer);
  const std::string scale =
      known ? scalar(layer, graph, "scale", stored) : dynamic_scale(layer, graph, options.by_image());
  const std::string count = scalar(layer, graph, "level_count", static_cast<float>(quantizer.levels()));
  const std::string unit = known ? scalar(layer, graph, "unit", quantizer.unit(stored))
                                 : graph.add("Div", layer.part("unit"), {scale, count});
  return {rounded(layer, graph, scale, quantizer.levels()), unit, ""};
}

/// The weights in levels, and what one stands for.
float weight_levels_of(const PortableLayer& layer, std::vector<float>& levels) {
  const Shape shape = layer.shape("weight");
  levels.resize(static_cast<std::size_t>(shape.count()));
  return QuantizedWeights(options_of(layer), shape.count(), shape.count() / shape[0])
      .quantize(layer.values("weight"), levels.data());
}

}  // namespace

std::string quantized_source(const PortableLayer& layer, PortableGraph& graph) {
  const RoundedSource source = source_of(layer, graph);
  if (!source.zero.empty())
    return graph.add("DequantizeLinear", layer.part("source"), {source.levels, source.unit, source.zero});
  const Quantizer quantizer = options_of(layer).activations();
  if (!quantizer.has_scale() && !quantizer.is_bipolar()) return source.levels;
  return graph.add("Mul", layer.part("source"), {source.levels, source.unit});
}

PortableLevels source_levels(const PortableLayer& layer, PortableGraph& graph) {
  const RoundedSource source = source_of(layer, graph);
  if (source.zero.empty()) return {source.levels, source.unit};
  const std::string one = scalar(layer, graph, "one", 1);
  return {graph.add("DequantizeLinear", layer.part("source"), {source.levels, one, source.zero}), source.unit};
}

std::string quantized_weights(const PortableLayer& layer, PortableGraph& graph) {
  std::vector<float> levels;
  const float unit = weight_levels_of(layer, levels);
  const std::string name = layer.name() + ".weight";
  const Shape shape = layer.shape("weight");
  if (!has_int8_weights(options_of(layer))) {
    for (float& level : levels) level *= unit;
    return graph.constant(name, shape, std::move(levels));
  }
  std::vector<std::int8_t> narrowed;
  for (float level : levels) narrowed.push_back(static_cast<std::int8_t>(level));
  return graph.add("DequantizeLinear", name + "/floats",
                   {graph.constant(name, shape, std::move(narrowed)), graph.constant(name + "/unit", unit),
                    graph.constant(name + "/zero", {}, std::vector<std::int8_t>{0})});
}

PortableLevels weight_levels(const PortableLayer& layer, PortableGraph& graph) {
  std::vector<float> levels;
  const float unit = weight_levels_of(layer, levels);
  const std::string name = layer.name() + ".weight";
  return {graph.constant(name, layer.shape("weight"), std::move(levels)), graph.constant(name + "/unit", unit)};
}

}  // namespace sluice
