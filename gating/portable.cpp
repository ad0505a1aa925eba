#include "gating/portable.hpp"

#include <algorithm>

#include "core/graph/registry.hpp"
#include "gating/cg_conv.hpp"
#include "gating/gate.hpp"
#include "layers/portable.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;

/// The weights of a 1x1 convolution that adds up, for each channel, what its slice decides by.
std::vector<float> slice_sums(const std::vector<float>& slope) {
  const std::size_t channels = slope.size();
  std::vector<float> sums(channels * channels);
  for (std::size_t o = 0; o < channels; ++o) {
    for (std::size_t i = o / 16 * 16; i < std::min(channels, o / 16 * 16 + 16); ++i) sums[o * channels + i] = slope[i];
  }
  return sums;
}

/// Where gates are open: the mean of (base - limit) slope over those who decide together is above 0.
std::string decisions(const PortableLayer& layer, PortableGraph& graph, const std::string& base,
                      std::vector<float> limit, std::vector<float> slope) {
  const std::string granularity = layer.word("granularity"), limits = by_channel(graph, layer.part("limit"), limit);
  if (granularity == "element") return graph.add("Greater", layer.part("open"), {base, limits});
  if (granularity == "channel") {  // slopes are above 0
    const std::string mean = graph.add("GlobalAveragePool", layer.part("mean"), {base});
    return graph.add("Greater", layer.part("open"), {mean, limits});
  }
  const auto channels = static_cast<std::int64_t>(slope.size());
  const bool by_pixel = granularity == "pixel";
  const Shape shape{by_pixel ? 1 : channels, channels, 1, 1};
  const std::string distance = graph.add("Sub", layer.part("distance"), {base, limits});
  const std::string slopes =
      graph.constant(layer.part("slopes"), shape, by_pixel ? std::move(slope) : slice_sums(slope));
  const std::string score = graph.add("Conv", layer.part("score"), {distance, slopes}, {{"kernel_shape", Ints{1, 1}}});
  return graph.add("Greater", layer.part("open"), {score, graph.constant(layer.part("none"), 0)});
}

/// The base path's filters without the inputs that they do not read.
std::vector<float> base_weights(const PortableLayer& layer, const PathMask& mask, const Shape& weights) {
  const float* const values = layer.values("weight");
  const std::int64_t taps = weights[kH] * weights[kW];
  std::vector<float> base;
  for (std::int64_t row = 0; row < weights[0] * weights[1]; ++row) {
    if (mask.is_base(row / weights[1], row % weights[1]))
      base.insert(base.end(), values + row * taps, values + (row + 1) * taps);
  }
  return base;
}

/// Yp: of the first inputs, or as a convolution in groups.
std::string base_product(const PortableLayer& layer, PortableGraph& graph, std::string src, const PathMask& mask,
                         bool group) {
  Shape shape = layer.shape("weight");
  const std::vector<float> weights = base_weights(layer, mask, shape);
  if (!group && mask.base_inputs() < shape[1]) {
    src = graph.add("Slice", layer.part("base_source"), {src},
                    {{"starts", Ints{0}}, {"ends", Ints{mask.base_inputs()}}, {"axes", Ints{1}}});
  }
  shape[1] = mask.base_inputs();
  const std::string value =
      portable_weights(layer, graph, layer.name() + ".base_weight", shape, weights, weight_scales(layer));
  return graph.add("Conv", layer.part("base"), {src, value},
                   conv_attributes(layer, group ? layer.whole("partitions") : 1));
}

/// dst = Yp + d (.) Yr, as a choice between Yp + Yr and Yp, or between their normalisations.
std::string channel_gated_convolution(const PortableLayer& layer, PortableGraph& graph) {
  const PathOptions paths{layer.whole("partitions"), layer.flag("own_chunk"), layer.flag("shuffle")};
  const PathMask mask(paths, layer.shape("weight"));
  const std::string src =
      paths.shuffle ? add_shuffle(layer, graph, layer.part("shuffled"), paths.partitions) : layer.src[0];
  std::string base = base_product(layer, graph, src, mask, paths.own_chunk);
  const std::string weights = portable_weights(layer, graph, layer.name() + ".weight", layer.shape("weight"),
                                               layer.copy("weight"), weight_scales(layer));
  std::string full = graph.add("Conv", layer.part("full"), {src, weights}, conv_attributes(layer, 1));
  std::vector<float> limit, slope;
  for (std::int64_t o = 0; o < layer.shape("threshold")[0]; ++o) {
    const GateLimit gate = gate_limit(layer.values("gate_running_mean")[o], layer.values("gate_running_var")[o],
                                      layer.values("threshold")[o], layer.number("eps"));
    limit.push_back(gate.limit);
    slope.push_back(gate.slope);
  }
  const std::string open = decisions(layer, graph, base, std::move(limit), std::move(slope));
  if (layer.flag("two_norms")) {
    full = add_normalization(layer, graph, layer.part("full_norm"), full, "full_weight", "full_bias",
                             "full_running_mean", "full_running_var");
    base = add_normalization(layer, graph, layer.part("base_norm"), base, "base_weight", "base_bias",
                             "gate_running_mean", "gate_running_var");
  }
  return graph.add("Where", layer.name(), {open, full, base});
}

/// A factor for each channel, 0 where q = saliency - threshold is not above 0.
std::string channel_decision(const PortableLayer& layer, PortableGraph& graph) {
  const std::string limit = graph.constant(layer.part("limit"), layer.shape("threshold"), layer.copy("threshold"));
  const std::string q = graph.add("Sub", layer.part("distance"), {layer.src[0], limit});
  const std::string zero = graph.constant(layer.part("none"), 0);
  const std::string open = graph.add("Greater", layer.part("open"), {q, zero}), scale = layer.word("scale");
  if (scale == "saliency") return graph.add("Where", layer.name(), {open, q, zero});
  if (scale == "none") return graph.add("Where", layer.name(), {open, graph.constant(layer.part("one"), 1), zero});
  const std::string half = graph.add("Sigmoid", layer.part("sigmoid"), {q});
  const std::string factor = graph.add("Mul", layer.part("factor"), {half, graph.constant(layer.part("two"), 2)});
  return graph.add("Where", layer.name(), {open, factor, zero});
}

/// T(levels) of bipolar ones: the middle of those that agree in the highest bits of their number.
std::string cut_bipolar(const PortableLayer& layer, PortableGraph& graph, const std::string& levels) {
  const std::int64_t bits = layer.whole("activation_bits"), low_bits = bits - layer.whole("prediction_bits");
  const auto count = static_cast<float>((std::int64_t{1} << bits) - 1),
             step = static_cast<float>(std::int64_t{1} << low_bits);
  const std::string above =
      graph.add("Add", layer.part("above"), {levels, graph.constant(layer.part("lowest_level"), count)});
  const std::string shares =
      graph.add("Mul", layer.part("shares"), {above, graph.constant(layer.part("share"), 1 / (2 * step))});
  const std::string whole = graph.add("Floor", layer.part("whole"), {shares});
  const std::string kept = graph.add("Mul", layer.part("kept"), {whole, graph.constant(layer.part("step"), 2 * step)});
  return graph.add("Sub", layer.part("middle"), {kept, graph.constant(layer.part("offset"), count + 1 - step)});
}

/// T(levels): all but the highest bits of their magnitude cut off.
std::string cut(const PortableLayer& layer, PortableGraph& graph, const std::string& levels) {
  if (layer.flag("bipolar_source")) return cut_bipolar(layer, graph, levels);
  const std::int64_t low_bits = layer.whole("activation_bits") - layer.whole("prediction_bits");
  const auto step = static_cast<float>(std::int64_t{1} << low_bits);
  std::string magnitude = levels;
  if (!layer.src_nonnegative) magnitude = graph.add("Abs", layer.part("magnitude"), {levels});
  const std::string shares =
      graph.add("Mul", layer.part("shares"), {magnitude, graph.constant(layer.part("share"), 1 / step)});
  const std::string whole = graph.add("Floor", layer.part("whole"), {shares});
  const std::string kept = graph.add("Mul", layer.part("kept"), {whole, graph.constant(layer.part("step"), step)});
  if (layer.src_nonnegative) return kept;
  const std::string sign = graph.add("Sign", layer.part("sign"), {levels});
  return graph.add("Mul", layer.part("signed"), {kept, sign});
}

/// dst = A + d (.) L as a choice between A + L, the product of all bits, and A. Both are products of whole levels,
/// which add up exactly.
std::string precision_gated_convolution(const PortableLayer& layer, PortableGraph& graph) {
  const PortableLevels source = source_levels(layer, graph), weights = weight_levels(layer, graph);
  const std::string unit = graph.add("Mul", layer.part("product_unit"), {source.unit, weights.unit});
  const PortableAttributes attributes = conv_attributes(layer, layer.whole("groups"));
  const auto product = [&](const std::string& name, const std::string& levels) {
    const std::string sums = graph.add("Conv", layer.part(name + "_levels"), {levels, weights.levels}, attributes);
    return graph.add("Mul", layer.part(name), {sums, unit});
  };
  const std::string base = product("base", cut(layer, graph, source.levels)), full = product("full", source.levels);
  std::vector<float> limit = layer.copy("threshold");
  for (float& threshold : limit) threshold = clipped_threshold(threshold, layer.number("threshold_clip"));
  std::vector<float> slope(limit.size(), 1.0F);
  const std::string open = decisions(layer, graph, base, std::move(limit), std::move(slope));
  return graph.add("Where", layer.name(), {open, full, base});
}

}  // namespace

void register_gated_translators(Registry& registry) {
  registry.add_translator("channel_gated_convolution", channel_gated_convolution);
  registry.add_translator("precision_gated_convolution", precision_gated_convolution);
  registry.add_translator("channel_decision", channel_decision);
}

}  // namespace sluice
