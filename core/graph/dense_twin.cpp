#include "core/graph/dense_twin.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "core/config/text.hpp"
#include "core/graph/channel_factors.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

constexpr char kLayer[] = "layer.";

bool is_layer(const Section& section) {
  return section.name().rfind(kLayer, 0) == 0;
}

std::string layer_name(const Section& section) {
  return section.name().substr(sizeof kLayer - 1);
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

/// What a network is without decisions about whole channels: layers that multiply by them are their first sources, and
/// what is read for the sake of the decisions alone is left out.
class WithoutDecisions {
 public:
  explicit WithoutDecisions(const Network& network) : network_(network) {
    for (const Node& node : network.nodes()) {
      if (closing_node(network.nodes(), node) >= 0) drop(node);
    }
    while (drop_unread()) continue;
  }

  bool leaves_out(const std::string& layer) const { return dropped_.count(layer) != 0; }

  /// A layer's sources, with what they have become.
  std::string sources(const std::string& from) const {
    std::vector<std::string> names = split_list(from);
    for (std::string& name : names) {
      for (auto found = replaced_.find(name); found != replaced_.end(); found = replaced_.find(name))
        name = found->second;
    }
    return join(names);
  }

 private:
  void drop(const Node& node) {
    dropped_.insert(node.name);
    replaced_[node.name] = network_.name(node.src[0]);
  }

  static bool reads(const Node& reader, int place) {
    return std::any_of(reader.src.begin(), reader.src.end(),
                       [&](const NodeResult& source) { return source.node == place; });
  }

  /// Whether the twin has a reader; what has become its first source stands for its own readers.
  bool is_read(int place) const {
    return std::any_of(network_.nodes().begin(), network_.nodes().end(), [&](const Node& reader) {
      if (replaced_.count(reader.name) != 0) return reader.src[0].node == place;
      return dropped_.count(reader.name) == 0 && reads(reader, place);
    });
  }

  bool fed_what_is_dropped(int place) const {
    return std::any_of(network_.nodes().begin(), network_.nodes().end(),
                       [&](const Node& reader) { return dropped_.count(reader.name) != 0 && reads(reader, place); });
  }

  /// Decisions that nobody reads any more, and in turn what only such layers read.
  bool drop_unread() {
    bool any = false;
    for (int i = 0; i < static_cast<int>(network_.nodes().size()); ++i) {
      const Node& node = network_.nodes()[static_cast<std::size_t>(i)];
      if (dropped_.count(node.name) != 0 || !fed_what_is_dropped(i) || is_read(i)) continue;
      dropped_.insert(node.name);
      any = true;
    }
    return any;
  }

  const Network& network_;
  std::set<std::string> dropped_;
  std::map<std::string, std::string> replaced_;  ///< those that are their first sources now
};

bool has_decisions(const Network& network) {
  return std::any_of(network.nodes().begin(), network.nodes().end(),
                     [&](const Node& node) { return closing_node(network.nodes(), node) >= 0; });
}

/// A copy of the layers and the [network] section.
Config layers_of(const Config& config) {
  Config layers = Config::stored(config.resolved(), "dense twin");
  std::deque<Section>& sections = layers.sections();
  sections.erase(std::remove_if(sections.begin(), sections.end(),
                                [](const Section& s) { return s.name() != "network" && !is_layer(s); }),
                 sections.end());
  return layers;
}

}  // namespace

Config dense_twin(const Config& config, const Registry& registry) {
  Config twin = layers_of(config), built = layers_of(config);
  const Network network(built, registry);
  const WithoutDecisions without(network);
  std::deque<Section>& sections = twin.sections();
  sections.erase(std::remove_if(sections.begin(), sections.end(),
                                [&](const Section& s) { return is_layer(s) && without.leaves_out(layer_name(s)); }),
                 sections.end());
  for (Section& section : sections) {
    if (!is_layer(section)) continue;
    if (Entry* const from = section.find("from")) from->value = without.sources(from->value);
    const std::string type = dense_type(section, registry);
    if (!type.empty()) section = with_type(section, type, registry);
  }
  return twin;
}

bool has_dense_twin(const Config& config, const Registry& registry) {
  const std::deque<Section>& sections = config.sections();
  if (std::any_of(sections.begin(), sections.end(),
                  [&](const Section& section) { return !dense_type(section, registry).empty(); }))
    return true;
  Config built = layers_of(config);
  return has_decisions(Network(built, registry));
}

}  // namespace sluice
