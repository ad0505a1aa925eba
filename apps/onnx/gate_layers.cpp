#include "apps/onnx/gate_layers.hpp"

#include <algorithm>
#include <memory>
#include <optional>
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

/// A layer of the type. Null where keys are wrong.
std::unique_ptr<Layer> make_gated(const Registry& registry, const GateRequest& request,
                                  const std::vector<LayerKey>& own) {
  std::string text = "[layer.gated]\n";
  for (const LayerKey& key : own) text += concat(key.name, " = ", key.value, "\n");
  for (const auto& [key, value] : request.keys) text += concat(key, " = ", value, "\n");
  Config config = Config::parse(text, "--gate");
  Keys reader(config.section("layer.gated"), config.diagnostics());
  std::unique_ptr<Layer> gated = registry.make(request.type, reader);
  return config.diagnostics().has_errors() ? nullptr : std::move(gated);
}

bool stands_for_norms(const Registry& registry, const GateRequest& request) {
  const auto gated = make_gated(registry, request, {{"channels", "1"}, {"kernel", "1"}});
  return gated != nullptr && gated->attributes().get<bool>("two_norms").value_or(false);
}

bool fits(const ListedLayer& layer, const Shape& src, const Registry& registry, const GateRequest& request,
          const std::set<std::string>& known) {
  const auto keys = keys_for(layer, known);
  if (layer.type != "conv" || !keys) return false;
  const auto gated = make_gated(registry, request, *keys);
  if (gated == nullptr) return false;
  try {
    Declarations declared;
    gated->infer({src}, declared);
  } catch (const ShapeError&) {
    return false;
  }
  return true;
}

/// The batch normalisation that reads a layer as the only one, or nothing.
std::optional<int> norm_behind(const LayerList& list, int layer) {
  std::optional<int> norm;
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    const ListedLayer& reader = list.layers[i];
    if (std::none_of(reader.src.begin(), reader.src.end(), [&](const LayerSource& src) { return src.layer == layer; }))
      continue;
    if (norm || reader.type != "batchnorm") return std::nullopt;
    norm = static_cast<int>(i);
  }
  return list.answer.layer == layer ? std::nullopt : norm;
}

std::set<std::string> keys_of(const Registry& registry, const std::string& type) {
  std::set<std::string> names;
  for (const KeyDoc& key : registry.keys(type)) names.insert(key.name);
  return names;
}

/// x + bias. It has no source yet.
ListedLayer bias_layer(const ListedLayer& convolution) {
  const Floats bias = convolution.tensors.at("bias");
  ListedLayer made = plain_batchnorm(bias->size());
  made.name = convolution.name + "_bn";
  made.tensors["bias"] = bias;
  return made;
}

/// A list that is made anew, layer by layer: what layers read is found where it has gone.
class Rebuilding {
 public:
  Rebuilding(LayerList& list, std::vector<bool>& gateable)
      : list_(list), gateable_(gateable), made_{list.image, list.normalization, {}, list.answer, list.defaults} {}

  /// The next layer of the list, reading what its sources have become.
  ListedLayer next() const {
    ListedLayer layer = list_.layers[places_.size()];
    for (LayerSource& src : layer.src) src = moved(src);
    return layer;
  }
  bool next_is_gateable() const { return gateable_[places_.size()]; }
  /// Returns its place.
  int add(ListedLayer layer, bool gateable) {
    made_.layers.push_back(std::move(layer));
    kept_.push_back(gateable);
    return static_cast<int>(made_.layers.size()) - 1;
  }
  /// The next layer has become this one.
  void became(int place) { places_.push_back(place); }
  void finish() {
    made_.answer = moved(list_.answer);
    list_ = std::move(made_);
    gateable_ = std::move(kept_);
  }

 private:
  LayerSource moved(LayerSource source) const {
    if (source.layer != LayerSource::kImages) source.layer = places_[static_cast<std::size_t>(source.layer)];
    return source;
  }

  LayerList& list_;
  std::vector<bool>& gateable_;
  LayerList made_;
  std::vector<bool> kept_;
  std::vector<int> places_;  ///< of the layers' results
};

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
  request.two_norms = stands_for_norms(registry, request);
  return request;
}

std::vector<bool> find_gateable(const LayerList& list, const Network& dense, const Registry& registry,
                                const GateRequest& request) {
  const std::set<std::string> known = keys_of(registry, request.type);
  std::vector<bool> gateable;
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    const ListedLayer& layer = list.layers[i];
    const NodeResult src = dense.nodes()[static_cast<std::size_t>(dense.find(layer.name))].src[0];
    const bool has_norm = layer.tensors.count("bias") == 0 && norm_behind(list, static_cast<int>(i)).has_value();
    gateable.push_back(!src.is_input() && (has_norm || !request.two_norms) &&
                       fits(layer, dense.shape(src), registry, request, known));
  }
  return gateable;
}

void put_biases_behind(LayerList& list, std::vector<bool>& gateable) {
  Rebuilding rebuilding(list, gateable);
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    ListedLayer layer = rebuilding.next();
    const bool is_gateable = rebuilding.next_is_gateable();
    const auto bias = layer.tensors.find("bias");
    if (!is_gateable || bias == layer.tensors.end()) {
      rebuilding.became(rebuilding.add(std::move(layer), is_gateable));
      continue;
    }
    ListedLayer behind = bias_layer(layer);
    layer.tensors.erase(bias);
    layer.set("bias", "no", true);
    behind.src = {{rebuilding.add(std::move(layer), true), ""}};
    rebuilding.became(rebuilding.add(std::move(behind), false));
  }
  rebuilding.finish();
}

void drop_norms(LayerList& list, std::vector<bool>& gateable) {
  std::set<int> norms;
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    if (gateable[i]) norms.insert(*norm_behind(list, static_cast<int>(i)));
  }
  Rebuilding rebuilding(list, gateable);
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    ListedLayer layer = rebuilding.next();
    const bool is_gateable = rebuilding.next_is_gateable();
    const int source = layer.src.empty() ? LayerSource::kImages : layer.src[0].layer;
    rebuilding.became(norms.count(static_cast<int>(i)) != 0 ? source : rebuilding.add(std::move(layer), is_gateable));
  }
  rebuilding.finish();
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
