#include "core/graph/registry.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// Columns and keys that training and evaluation write themselves.
constexpr const char* kOwnFigures =
    " accuracy average_bits bit_operations_dense bit_operations_executed checkpoint classes confusion correct "
    "cross_entropy data_wait_percent dataset distillation_loss epoch flop_reduction gradient_norm images "
    "images_per_second layers loss lr macs_dense macs_executed name parameters seconds split statistics step type ";

void check_metric_name(const std::string& name) {
  const auto refuse = [&](const char* why) { throw Error(ExitCode::kUsage, concat("metric '", name, "': ", why)); };
  if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
    refuse("a name has lower-case letters, digits and underscores only");
  if (std::strstr(kOwnFigures, concat(" ", name, " ").c_str()) != nullptr)
    refuse("Sluice itself reports something of this name");
  for (const char* prefix : {"train_", "val_", "test_"}) {
    if (name.rfind(prefix, 0) == 0) refuse("the prefixes train_, val_ and test_ say what was measured");
  }
}

}  // namespace

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

void Registry::add_metric(const std::string& name, const std::string& doc, const std::string& unit,
                          MetricType::OfLayer of_layer) {
  check_metric_name(name);
  for (const MetricType& metric : metrics_) {
    if (metric.name != name) continue;
    throw Error(ExitCode::kUsage,
                concat("metric '", name, "' is registered twice; two plug-ins may use the same name"));
  }
  metrics_.push_back({name, doc, unit, "", std::move(of_layer)});
}

void Registry::add_complement(const std::string& name, const std::string& doc, const std::string& metric) {
  const auto found =
      std::find_if(metrics_.begin(), metrics_.end(), [&](const MetricType& type) { return type.name == metric; });
  if (found == metrics_.end()) {
    throw Error(ExitCode::kUsage,
                concat("metric '", name, "': is to be 1 - '", metric, "', which is not registered before it"));
  }
  add_metric(name, doc, found->unit, [of_layer = found->of_layer](const Node& node, const std::int64_t* counts) {
    std::optional<Ratio> ratio = of_layer(node, counts);
    if (ratio) ratio->part = ratio->whole - ratio->part;
    return ratio;
  });
  metrics_.back().complement = metric;
}

void Registry::add_dense_type(const std::string& type, const std::string& dense) {
  if (dense_types_.emplace(type, dense).second) return;
  throw Error(ExitCode::kUsage,
              concat("the dense type of '", type, "' is registered twice; two plug-ins may use the same name"));
}

std::string Registry::dense_type(const std::string& type) const {
  const auto found = dense_types_.find(type);
  return found == dense_types_.end() ? "" : found->second;
}

void Registry::add_torch_name(const std::string& name, const std::string& torch_name) {
  if (torch_names_.emplace(name, torch_name).second) return;
  throw Error(ExitCode::kUsage,
              concat("the name of '", name, "' in PyTorch is registered twice; two plug-ins may use the same name"));
}

void Registry::add_translator(const std::string& kind, Translator translator) {
  if (translators_.emplace(kind, std::move(translator)).second) return;
  throw Error(ExitCode::kUsage,
              concat("the translator of '", kind, "' is registered twice; two plug-ins may use the same kind"));
}

const Translator* Registry::translator(const std::string& kind) const {
  const auto found = translators_.find(kind);
  return found == translators_.end() ? nullptr : &found->second;
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
