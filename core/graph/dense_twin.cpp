#include "core/graph/dense_twin.hpp"

#include <algorithm>

namespace sluice {
namespace {

bool is_layer(const Section& section) {
  return section.name().rfind("layer.", 0) == 0;
}

/// The dense type of a layer's section, or "".
std::string dense_type(const Section& section, const Registry& registry) {
  const Entry* const type = is_layer(section) ? section.find("type") : nullptr;
  return type == nullptr ? "" : registry.dense_type(type->value);
}

Section with_type(const Section& section, const std::string& type, const Registry& registry) {
  std::vector<std::string> known = {"type", "from", "share"};
  for (const KeyDoc& key : registry.keys(type)) known.push_back(key.name);
  Section dense(section.name(), section.source());
  for (Entry entry : section.entries()) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) continue;
    if (entry.key == "type") entry.value = type;
    dense.set(std::move(entry));
  }
  return dense;
}

}  // namespace

Config dense_twin(const Config& config, const Registry& registry) {
  Config twin = Config::stored(config.resolved(), "dense twin");
  std::deque<Section>& sections = twin.sections();
  sections.erase(std::remove_if(sections.begin(), sections.end(),
                                [](const Section& s) { return s.name() != "network" && !is_layer(s); }),
                 sections.end());
  for (Section& section : sections) {
    const std::string type = dense_type(section, registry);
    if (!type.empty()) section = with_type(section, type, registry);
  }
  return twin;
}

bool has_dense_twin(const Config& config, const Registry& registry) {
  const std::deque<Section>& sections = config.sections();
  return std::any_of(sections.begin(), sections.end(),
                     [&](const Section& section) { return !dense_type(section, registry).empty(); });
}

}  // namespace sluice
