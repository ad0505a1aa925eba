#include "apps/onnx/gate_layers.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/text.hpp"
#include "core/graph/layer.hpp"

namespace sluice {
namespace {

/// Keys of the layer that the type takes. Nothing where it lacks one that matters; a bias can be put elsewhere.
std::optional<std::vector<LayerKey>> keys_for(const ListedLayer& layer, const std::set<std::string>& known) {
  std::vector<LayerKey> keys;
  for (const LayerKey& key : layer.keys) {
    if (known.count(key.name) != 0)
      keys.push_back(key);
    else if (!key.usual && key.name != "bias")
      return std::nullopt;
  }
  return keys;
}

bool fits(const ListedLayer& layer, const Shape& src, const Registry& registry, const GateRequest& request,
          const std::set<std::string>& known) {
  const auto keys = keys_for(layer, known);
  if (layer.type != "conv" || !keys) return false;
  std::string text = "[layer.gated]\n";
  for (const LayerKey& key : *keys) text += concat(key.name, " = ", key.value, "\n");
  for (const auto& [key, value] : request.keys) text += concat(key, " = ", value, "\n");
  Config config = Config::parse(text, "--gate");
  Keys reader(config.section("layer.gated"), config.diagnostics());
  const std::unique_ptr<Layer> gated = registry.make(request.type, reader);
  if (config.diagnostics().has_errors()) return false;
  try {
    Declarations declared;
    gated->infer({src}, declared);
  } catch (const ShapeError&) {
    return false;
  }
  return true;
}

std::set<std::string> keys_of(const Registry& registry, const std::string& type) {
  std::set<std::string> names;
  for (const KeyDoc& key : registry.keys(type)) names.insert(key.name);
  return names;
}

/// x + bias.
ListedLayer bias_layer(const ListedLayer& convolution, int at) {
  const Floats bias = convolution.tensors.at("bias");
  ListedLayer made = plain_batchnorm(bias->size());
  made.name = convolution.name + "_bn";
  made.src = {{at, ""}};
  made.tensors["bias"] = bias;
  return made;
}

}  // namespace

GateRequest GateRequest::parse(const std::string& text, const Registry& registry) {
  GateRequest request;
  const std::size_t colon = text.find(':');
  request.type = trim(text.substr(0, colon));
  if (registry.dense_type(request.type).empty()) {
    std::vector<std::string> types;
    for (const std::string& type : registry.types()) {
      if (!registry.dense_type(type).empty()) types.push_back(type);
    }
    refuse_text(concat("expected one of ", join(types), ", got '", request.type, "'"));
  }
  const std::set<std::string> known = keys_of(registry, request.type);
  for (const std::string& item : split_list(colon == std::string::npos ? "" : text.substr(colon + 1))) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) refuse_text(concat("expected KEY=VALUE behind the type, got '", item, "'"));
    const std::string key = trim(item.substr(0, equals));
    if (known.count(key) == 0)
      refuse_text(
          concat(request.type, " has no key '", key, "'", suggestion(key, {known.begin(), known.end()}, "its keys")));
    request.keys.emplace_back(key, trim(item.substr(equals + 1)));
  }
  return request;
}

std::vector<bool> find_gateable(const LayerList& list, const Network& dense, const Registry& registry,
                                const GateRequest& request) {
  const std::set<std::string> known = keys_of(registry, request.type);
  std::vector<bool> gateable;
  for (const ListedLayer& layer : list.layers) {
    const NodeResult src = dense.nodes()[static_cast<std::size_t>(dense.find(layer.name))].src[0];
    gateable.push_back(!src.is_input() && fits(layer, dense.shape(src), registry, request, known));
  }
  return gateable;
}

void put_biases_behind(LayerList& list, std::vector<bool>& gateable) {
  LayerList made = {list.image, list.normalization, {}, list.answer, list.defaults};
  std::vector<bool> kept;
  std::vector<int> places;  // of the layers' results
  const auto moved = [&](LayerSource source) {
    if (source.layer != LayerSource::kImages) source.layer = places[static_cast<std::size_t>(source.layer)];
    return source;
  };
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    ListedLayer layer = list.layers[i];
    for (LayerSource& src : layer.src) src = moved(src);
    const bool biased = gateable[i] && layer.tensors.count("bias") != 0;
    const int at = static_cast<int>(made.layers.size());
    places.push_back(biased ? at + 1 : at);
    kept.push_back(gateable[i]);
    if (biased) {
      const ListedLayer behind = bias_layer(layer, at);
      layer.tensors.erase("bias");
      layer.set("bias", "no", true);
      made.layers.push_back(std::move(layer));
      made.layers.push_back(behind);
      kept.push_back(false);
    } else {
      made.layers.push_back(std::move(layer));
    }
  }
  made.answer = moved(list.answer);
  list = std::move(made);
  gateable = std::move(kept);
}

void gate_layers(LayerList& list, const std::vector<bool>& gateable, const GateRequest& request) {
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    if (!gateable[i]) continue;
    ListedLayer& layer = list.layers[i];
    layer.type = request.type;
    layer.keys.erase(std::remove_if(layer.keys.begin(), layer.keys.end(),
                                    [](const LayerKey& key) { return key.name == "bias" || key.name == "groups"; }),
                     layer.keys.end());
  }
  for (const auto& [key, value] : request.keys) list.defaults[request.type].push_back({key, value});
}

}  // namespace sluice
