// Builds a network from its configuration: expands blocks and composites, resolves sources, infers shapes, places
// parameters.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/base/text_stream.hpp"
#include "core/config/blocks.hpp"
#include "core/config/text.hpp"
#include "core/graph/closed_channels.hpp"
#include "core/graph/declare.hpp"
#include "core/graph/gated_layers.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

Entry make_entry(const std::string& key, const std::string& value, const Source& source) {
  Entry entry;
  entry.key = key;
  entry.value = value;
  entry.source = source;
  return entry;
}

/// No key of a layer may be larger, so that products of two of them fit into 64 bits.
constexpr std::int64_t kMostInKey = (std::int64_t{1} << 31) - 1;
/// Elements of one tensor, of one image where it is an activation.
constexpr std::int64_t kMostElements = (std::int64_t{1} << 31) - 1;

bool too_large(const std::string& value) {
  const bool whole = value.find_first_not_of("0123456789") == std::string::npos;
  return whole && (value.size() > 10 || std::stoll("0" + value) > kMostInKey);
}

bool too_large(const Shape& shape) {
  std::int64_t room = kMostElements;
  for (std::int64_t size : shape.dims()) {
    if (size > room) return true;
    if (size > 0) room /= size;
  }
  return false;
}

std::string shapes_text(const std::vector<Shape>& shapes) {
  std::string text;
  for (const Shape& s : shapes) text += (text.empty() ? "" : ", ") + to_string(s);
  return text;
}

}  // namespace

/// Works through the flat list of layer sections in order, keeping the shape of every result.
class Network::Builder {
 public:
  Builder(Network& network, Config& config, const Registry& registry)
      : network_(network), config_(config), registry_(registry) {}

  void build() {
    network_.input_ = config_.read<NetworkOptions>("network").input;
    network_.inputs_ = {{"data", network_.input_shape(1), DataType::kF32}, {"labels", Shape{1}, DataType::kS32}};
    if (too_large(network_.input_shape(1)))
      config_.section("network").report(config_.diagnostics(), "input",
                                        concat("expected at most ", kMostElements, " elements"));
    const std::size_t errors = config_.diagnostics().errors().size();
    std::vector<Section> layers = expand_layers(config_);
    check_type_sections(config_, registry_.types());
    bool sound = config_.diagnostics().errors().size() == errors;
    for (Section& section : layers) {
      if (sound) {
        sound = add(section);
      } else {
        check_keys(section);  // shapes are unknown behind a mistake
      }
    }
    if (network_.nodes_.empty() && !config_.diagnostics().has_errors()) {
      config_.section("network").report(config_.diagnostics(), "",
                                        "the configuration declares no layers; include a network file, such as "
                                        "configs/networks/resnet20.ini");
    }
    if (!config_.diagnostics().has_errors()) check_idle_types();
    config_.replace_layers(std::move(flat_));
    place();
  }

 private:
  using Ids = std::vector<NodeResult>;

  /// Adds a section's layer or composite; false after an error that leaves its result unknown.
  bool add(Section& section) {
    const std::string type = take(section, "type");
    if (!registry_.is_layer(type) && !registry_.is_composite(type)) {
      unknown_type(section, type);
      return false;
    }
    if (results_.count(section.name()) != 0) {  // a member of a composite has it
      error(section, "", concat("a layer '", section.name(), "' stands before this one; rename one of them"));
      return false;
    }
    types_.insert(type);
    Ids src;
    if (!resolve_sources(section, src)) return false;
    const bool added = registry_.is_layer(type) ? add_layer(section, type, src) : add_composite(section, type, src);
    section.reject_unused(config_.diagnostics());
    return added;
  }

  /// Reads a section's keys, so that all mistakes in them are reported together.
  void check_keys(Section& section) {
    const std::string type = take(section, "type");
    if (!registry_.is_layer(type) && !registry_.is_composite(type)) return unknown_type(section, type);
    take(section, "from");
    take(section, "share");
    Keys keys(section, config_.diagnostics());
    try {
      if (registry_.is_layer(type)) {
        make_layer(registry_, type, keys);
      } else {
        registry_.expand(type, keys, {Shape{1, 1, 1, 1}});
      }
    } catch (const ShapeError&) {
      // of the shape made up here
    }
    section.reject_unused(config_.diagnostics());
  }

  /// No layer reads a section of a type that none has: mistakes in it, and the wrong type on a command line, would go
  /// unseen.
  void check_idle_types() {
    for (const Section& section : config_.sections()) {
      if (section.name().rfind("type.", 0) != 0 || section.entries().empty()) continue;
      const std::string type = section.name().substr(5);
      if (types_.count(type) != 0 || (!registry_.is_layer(type) && !registry_.is_composite(type))) continue;
      Section trial = section;
      trial.set(make_entry("type", type, section.source()));
      for (const KeyDoc& key : registry_.keys(type)) {
        const bool set = trial.find(key.name) != nullptr || trial.find(key.old_name) != nullptr;
        if (key.required && !set) trial.set(make_entry(key.name, "1", section.source()));
      }
      check_keys(trial);
      for (const Entry& entry : section.entries()) {  // in a file it may wait for another [define]
        if (entry.origin == Entry::Origin::kCommandLine)
          config_.diagnostics().warning(concat(section.where(entry.key), ": no layer is of this type: has no effect"));
      }
    }
  }

  /// The value of a key that every layer has, or "".
  static std::string take(Section& section, const std::string& key) {
    section.note_known(key, std::nullopt);
    Entry* entry = section.find(key);
    if (entry == nullptr) return "";
    entry->used = true;
    return entry->value;
  }

  void error(const Section& section, const std::string& key, const std::string& text) {
    const Entry* entry = section.find(key);
    config_.diagnostics().error(entry != nullptr ? entry->source : section.source(), "layer." + section.name(),
                                entry != nullptr ? key : "", text);
  }

  void unknown_type(const Section& section, const std::string& type) {
    const std::string close = nearest_match(type, registry_.types());
    const std::string place = section.where("type");
    if (told_types_.empty()) told_types_ = place;  // a block's one mistake comes with every layer made of it
    const std::string known =
        concat("; known types: ", join(registry_.types()), "; if it is a plug-in's, add --plugins.load=FILE.so");
    section.report(config_.diagnostics(), "type",
                   concat("unknown layer type '", type, "'", told_types_ == place ? known : "",
                          close.empty() ? "" : concat("; did you mean '", close, "'?")));
  }

  bool resolve_sources(Section& section, Ids& src) {
    for (const std::string& name : split_list(take(section, "from"))) {
      const std::size_t colon = name.find(':');
      const auto found = results_.find(name.substr(0, colon));
      if (found == results_.end()) {
        std::vector<std::string> names;
        for (const auto& entry : results_) names.push_back(entry.first);
        const std::string close = nearest_match(name, names);
        error(section, "from",
              concat("no layer '", name, "' before this one",
                     close.empty() ? "" : concat("; did you mean '", close, "'?")));
        return false;
      }
      src.push_back(found->second);
      if (colon != std::string::npos &&
          !resolve_result(section, name.substr(0, colon), name.substr(colon + 1), src.back()))
        return false;
    }
    return true;
  }

  /// Turns a layer's first result into the one of that name.
  bool resolve_result(const Section& section, const std::string& layer, const std::string& name, NodeResult& source) {
    std::vector<std::string> names;
    if (!source.is_input() && source.result == 0) {
      for (const ResultSpec& spec : network_.nodes_[static_cast<std::size_t>(source.node)].declared.more_dst)
        names.push_back(spec.name);
    }
    const auto found = std::find(names.begin(), names.end(), name);
    source.result = static_cast<int>(found - names.begin()) + 1;
    if (found != names.end()) return true;
    error(section, "from",
          concat("'", layer, "' has no result '", name, "'; ",
                 names.empty() ? concat("it has one, which '", layer, "' alone names")
                               : concat("beside '", layer, "' it has ", join(names))));
    return false;
  }

  std::vector<Shape> shapes_of(const Ids& src) const {
    std::vector<Shape> shapes;
    for (const NodeResult& source : src) shapes.push_back(network_.shape(source));
    return shapes;
  }

  bool all_nonnegative(const Ids& src) const {
    return std::all_of(src.begin(), src.end(), [this](const NodeResult& source) {
      return !source.is_input() && source.result == 0 &&
             network_.nodes_[static_cast<std::size_t>(source.node)].declared.nonnegative;
    });
  }

  bool add_layer(Section& section, const std::string& type, const Ids& src) {
    const std::string share = take(section, "share");
    const std::size_t errors = config_.diagnostics().errors().size();
    Keys keys(section, config_.diagnostics());
    Node node{section.name(), type, section, src, {}, {}, {}, {}, nullptr};
    const std::vector<Shape> shapes = shapes_of(src);
    try {
      node.layer = make_layer(registry_, type, keys);
      if (config_.diagnostics().errors().size() == errors) check_key_sizes(section);
      if (config_.diagnostics().errors().size() != errors) return false;
      node.declared = declare(*node.layer, shapes);
      if (node.declared.keeps_nonnegative) node.declared.nonnegative = all_nonnegative(node.src);
    } catch (const ShapeError& e) {
      error(section, e.key(), concat(e.what(), " (", type, " of ", shapes_text(shapes), ")"));
      return false;
    }
    if (!check_shapes(section, node.declared)) return false;
    if (!declare_parameters(section, node, share)) return false;
    for (const BufferSpec& spec : node.declared.buffers) {
      node.buffers.push_back(static_cast<int>(network_.buffers_.size()));
      network_.buffers_.push_back({node.name, spec.name, spec.shape, spec.initial, spec.measured, 0});
    }
    for (const InputSpec& spec : node.declared.inputs) {
      node.inputs.push_back(static_cast<int>(network_.inputs_.size()));
      network_.inputs_.push_back({node.name + ":" + spec.name, spec.shape, spec.type});
    }
    results_.insert_or_assign(node.name, static_cast<int>(network_.nodes_.size()));
    network_.nodes_.push_back(std::move(node));
    flat_.push_back(section);
    Entry* from = flat_.back().find("from");
    from->value = source_names(src);  // composites have no name in the flat network
    return true;
  }

  void check_key_sizes(const Section& section) {
    for (const Entry& entry : section.entries()) {
      if (too_large(entry.value))
        error(section, entry.key, concat("expected at most ", kMostInKey, ", got '", entry.value, "'"));
    }
  }

  bool check_shapes(const Section& section, const Declarations& declared) {
    const std::size_t errors = config_.diagnostics().errors().size();
    const auto check = [&](const std::string& what, const Shape& shape) {
      if (too_large(shape))
        error(section, "", concat(what, " of ", to_string(shape), " has more than ", kMostElements, " elements"));
    };
    check("its result", declared.dst);
    for (const ResultSpec& spec : declared.more_dst) check(concat("its result '", spec.name, "'"), spec.shape);
    for (const InputSpec& spec : declared.inputs) check(concat("its input '", spec.name, "'"), spec.shape);
    for (const ParameterSpec& spec : declared.parameters) check(concat("its parameter '", spec.name, "'"), spec.shape);
    return config_.diagnostics().errors().size() == errors;
  }

  std::string source_names(const Ids& src) const {
    std::string text;
    for (const NodeResult& source : src) text += (text.empty() ? "" : ", ") + network_.name(source);
    return text;
  }

  bool declare_parameters(const Section& section, Node& node, const std::string& share) {
    if (!share.empty() && results_.count(share) == 0) {
      error(section, "share", concat("no layer '", share, "' before this one to share parameters with"));
      return false;
    }
    for (const ParameterSpec& spec : node.declared.parameters) {
      const int shared = share.empty() ? -1 : find_parameter(share, spec.name);
      if (shared < 0 && !share.empty()) {
        error(section, "share", concat("layer '", share, "' has no parameter '", spec.name, "'"));
        return false;
      }
      if (shared >= 0 && network_.parameters_[static_cast<std::size_t>(shared)].shape != spec.shape) {
        error(section, "share",
              concat("parameter '", spec.name, "' of layer '", share, "' has shape ",
                     to_string(network_.parameters_[static_cast<std::size_t>(shared)].shape), ", this layer needs ",
                     to_string(spec.shape)));
        return false;
      }
      const int id = shared >= 0 ? shared : static_cast<int>(network_.parameters_.size());
      if (shared < 0) network_.parameters_.push_back({node.name, spec.name, spec.shape, spec.group, spec.init, 0, {}});
      network_.parameters_[static_cast<std::size_t>(id)].users.push_back(node.name);
      node.params.push_back(id);
    }
    return true;
  }

  int find_parameter(const std::string& layer, const std::string& name) const {
    const auto found = results_.find(layer);
    if (found == results_.end() || found->second.is_input()) return -1;
    for (int id : network_.nodes_[static_cast<std::size_t>(found->second.node)].params) {
      if (network_.parameters_[static_cast<std::size_t>(id)].name == name) return id;
    }
    return -1;
  }

  bool add_composite(Section& section, const std::string& type, const Ids& src) {
    Keys keys(section, config_.diagnostics());
    const std::size_t errors = config_.diagnostics().errors().size();
    std::vector<Section> members;
    try {
      members = registry_.expand(type, keys, shapes_of(src));
    } catch (const ShapeError& e) {
      error(section, e.key(), concat(e.what(), " (", type, " of ", shapes_text(shapes_of(src)), ")"));
      return false;
    }
    if (config_.diagnostics().errors().size() != errors) return false;
    results_.insert_or_assign(section.name(), src[0]);  // an empty composite is the identity
    const std::string input = section.find("from")->value;
    std::string before = input;
    for (const Section& member : members) {
      Section named(section.name() + "." + member.name(), section.source());
      named.set_title(section.title());
      for (const Entry& entry : member.entries()) named.set(entry);
      const Entry* from = named.find("from");
      named.set(make_entry("from", from == nullptr ? before : member_sources(section.name(), from->value, input),
                           section.source()));
      add_type_defaults(config_, named);
      if (!add(named)) return false;
      before = named.name();
      results_.insert_or_assign(section.name(), results_.at(before));
    }
    return true;
  }

  static std::string member_sources(const std::string& composite, const std::string& from, const std::string& input) {
    std::string text;
    const std::vector<std::string> inputs = split_list(input);
    for (const std::string& name : split_list(from)) {
      const bool one = starts_with(name, "input:");
      const std::string source = one ? inputs.at(std::stoul(name.substr(6))) : input;
      text += (text.empty() ? "" : ", ") + (one || name == "input" ? source : composite + "." + name);
    }
    return text;
  }

  /// Gives every parameter and buffer its place and takes the memory.
  void place() {
    const auto aligned = [](std::int64_t count) { return align_up(count * 4) / 4; };
    for (Parameter& p : network_.parameters_) {
      p.offset = network_.parameter_floats_;
      network_.parameter_floats_ += aligned(p.shape.count());
    }
    for (StateBuffer& b : network_.buffers_) {
      b.offset = network_.buffer_floats_;
      network_.buffer_floats_ += aligned(b.shape.count());
    }
    network_.parameter_arena_ = Buffer(network_.parameter_floats_ * 4);
    network_.buffer_arena_ = Buffer(network_.buffer_floats_ * 4);
  }

  Network& network_;
  Config& config_;
  const Registry& registry_;
  std::vector<Section> flat_;
  std::string told_types_;       ///< where the known types were listed
  std::set<std::string> types_;  ///< of the layers and composites so far
  std::map<std::string, NodeResult> results_ = {{"data", kDataSource}, {"labels", kLabelsSource}};
};

Network::Network(Config& config, const Registry& registry) : registry_(registry) {
  Builder(*this, config, registry).build();
  for (const std::string& section : registry.auxiliary_losses()) {
    if (config.find(section) == nullptr) continue;
    Keys keys(config.section(section), config.diagnostics());
    auxiliary_losses_.emplace_back(section, registry.make_auxiliary_loss(section, keys));
  }
  config.diagnostics().throw_if_errors();
  channel_products_ = count_channel_products(*this, nodes_);
  for (auto& [section, loss] : auxiliary_losses_) {
    loss->bind(*this);
    warn_of_idle(*loss, *this, config.section(section), config.diagnostics());
  }
  auxiliary_losses_.erase(std::remove_if(auxiliary_losses_.begin(), auxiliary_losses_.end(),
                                         [](const auto& loss) { return !loss.second->applies(); }),
                          auxiliary_losses_.end());
}

}  // namespace sluice
