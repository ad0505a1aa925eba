#include "core/graph/registry.hpp"

#include "core/base/error.hpp"

namespace sluice {

void Registry::require_free(const std::string& type) const {
  if (is_layer(type) || is_composite(type)) {
    throw Error(ExitCode::kUsage,
                concat("layer type '", type, "' is registered twice; two plug-ins may use the same name"));
  }
}

void Registry::add_layer(const std::string& type, const std::string& doc, LayerFactory factory) {
  require_free(type);
  layers_.emplace(type, LayerType{doc, std::move(factory)});
}

void Registry::add_composite(const std::string& type, const std::string& doc, CompositeFactory factory) {
  require_free(type);
  composites_.emplace(type, CompositeType{doc, std::move(factory)});
}

void Registry::add_auxiliary_loss(const std::string& section, const std::string& doc, AuxiliaryLossFactory factory) {
  if (!auxiliary_losses_.emplace(section, AuxiliaryLossType{doc, std::move(factory)}).second) {
    throw Error(ExitCode::kUsage,
                concat("auxiliary loss '", section, "' is registered twice; two plug-ins may use the same name"));
  }
}

std::vector<std::string> Registry::auxiliary_losses() const {
  std::vector<std::string> names;
  for (const auto& entry : auxiliary_losses_) names.push_back(entry.first);
  return names;
}

std::unique_ptr<AuxiliaryLoss> Registry::make_auxiliary_loss(const std::string& section, Keys& keys) const {
  return auxiliary_losses_.at(section).factory(keys);
}

std::unique_ptr<Layer> Registry::make(const std::string& type, Keys& keys) const {
  return layers_.at(type).factory(keys);
}

std::vector<Section> Registry::expand(const std::string& type, Keys& keys, const std::vector<Shape>& src) const {
  return composites_.at(type).factory(keys, src);
}

std::vector<std::string> Registry::types() const {
  std::map<std::string, int> names;
  for (const auto& entry : layers_) names[entry.first];
  for (const auto& entry : composites_) names[entry.first];
  std::vector<std::string> sorted;
  for (const auto& entry : names) sorted.push_back(entry.first);
  return sorted;
}

std::string Registry::doc(const std::string& type) const {
  return is_layer(type) ? layers_.at(type).doc : composites_.at(type).doc;
}

std::vector<KeyDoc> Registry::keys(const std::string& type) const {
  Keys documenting;
  if (is_layer(type)) {
    make(type, documenting);
  } else {
    expand(type, documenting, {Shape{1, 1, 1, 1}});
  }
  return documenting.docs();
}

}  // namespace sluice
