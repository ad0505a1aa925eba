// Expands the layer, block and type sections of a network's description into a flat list of layers.
#include "core/config/blocks.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/block_library.hpp"
#include "core/config/expression.hpp"
#include "core/config/ini.hpp"
#include "core/config/substitute.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kLayerPrefix = 6;  // "layer."
constexpr int kMostRepetitions = 1000;
constexpr std::size_t kMostLayers = 20000;

/// What the sections of a block are expanded in; for the network itself all of it is empty.
struct Scope {
  std::string prefix;                      ///< of the names of its layers: "layer1.0."
  std::map<std::string, Entry> arguments;  ///< values of the block's parameters
  Names input;                             ///< what `input` means
  Names chain;                             ///< the blocks around, to find recursion
  bool in_block() const { return !chain.empty(); }
};

class Expander {
 public:
  Expander(Config& config, const Names& sources)
      : config_(config), diagnostics_(config.diagnostics()), sources_(sources), blocks_(read_blocks(config)) {}

  std::vector<Section> run() {
    collect();
    check_type_defaults();
    previous_ = {sources_.front()};
    for (const Section* section : top_) expand_item(*section, section->name().substr(kLayerPrefix), {});
    for (const Unresolved& unresolved : unresolved_) report_unresolved(unresolved);
    for (const auto& [name, section] : changes_) report_unknown_layer(*section);
    for (const Section* section : unknown_layers_) report_unknown_layer(*section);
    return std::move(flat_);
  }

 private:
  /// A name in `from` or `share` that no earlier layer has.
  struct Unresolved {
    Section item;
    std::string key, name, prefix;
  };

  /// Sorts the `layer.` sections into layers and changes of expanded layers.
  void collect() {
    std::set<std::string> with_block;
    for (const Section& section : config_.sections()) {
      if (starts_with(section.name(), "layer.") && section.find("block") != nullptr) with_block.insert(section.name());
    }
    const auto below_block = [&with_block](const std::string& name) {
      for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        if (with_block.count(name.substr(0, dot)) != 0) return true;
      }
      return false;
    };
    for (const Section& section : config_.sections()) {
      if (!starts_with(section.name(), "layer.")) continue;
      if (below_block(section.name())) {
        changes_.emplace(section.name().substr(kLayerPrefix), &section);
      } else if (section.source().file.empty()) {
        unknown_layers_.push_back(&section);
      } else {
        top_.push_back(&section);
      }
    }
  }

  /// A layer or a call of a block, standing in `section`, under the flat name `name`.
  void expand_item(const Section& section, const std::string& name, const Scope& scope) {
    ++expanded_;
    Section item = bind(section, name, scope);
    const bool changed_from = apply_change(item);
    if (!claim_name(item)) return;
    const Entry* type = item.find("type");
    const Entry* block = item.find("block");
    if (type != nullptr && block != nullptr) {
      item.report(diagnostics_, "block", "a layer has either 'type' or 'block', not both");
    } else if (type == nullptr && block == nullptr) {
      item.report(diagnostics_, "", "the layer needs 'type' (what it is) or 'block' (a group of layers)");
    }
    const Names from = sources_of(item, changed_from ? Scope{} : scope);
    if (block != nullptr && type == nullptr) {
      expand_block(item, from, scope);
    } else {
      emit_layer(item, from, scope);
    }
  }

  /// A copy of the section with the scope's arguments in its values.
  Section bind(const Section& section, const std::string& name, const Scope& scope) {
    Section item(name, section.source());
    item.set_title(section.title());
    for (Entry entry : section.entries()) {
      if (scope.in_block()) put_in_arguments(section, entry, scope.arguments);
      item.set(std::move(entry));
    }
    return item;
  }

  /// Puts arguments in the place of their names in an entry of `section`.
  void put_in_arguments(const Section& section, Entry& entry, const std::map<std::string, Entry>& arguments) {
    if (entry.broken) return;
    const std::size_t told = entry.detail.size();  // the section's own entry has this much of it
    const auto value_of = [&](const std::string& name) -> std::string {
      const auto argument = arguments.find(name);
      if (argument == arguments.end()) {
        entry.broken = true;
        return name;
      }
      entry.take_origin_of(name, argument->second);
      return entry.broken ? name : argument->second.value;
    };
    try {
      entry.value = substitute(entry.value, [&](const std::string& inner) {
        if (!is_expression(inner)) return value_of(inner);
        const std::string known = replace_names(inner, value_of);
        return entry.broken ? "" : std::to_string(evaluate(known));
      });
      growth_.add(entry.value.size());
    } catch (const Error& error) {
      section.report(diagnostics_, entry.key, error.what() + entry.detail.substr(told));
      entry.broken = true;
    }
  }

  /// Takes the values of a section that changes this expanded layer; returns whether `from` is one of them.
  bool apply_change(Section& item) {
    const auto change = changes_.find(item.name());
    if (change == changes_.end()) return false;
    for (Entry entry : change->second->entries()) {
      entry.section = change->second->title();
      item.set(std::move(entry));
    }
    const bool from = change->second->find("from") != nullptr;
    changes_.erase(change);
    return from;
  }

  bool claim_name(const Section& item) {
    if (item.name().size() > kLongestName) {
      item.report(diagnostics_, "", concat("the layer's name gets more than ", kLongestName, " characters"));
      return false;
    }
    if (contains(sources_, item.name())) {
      item.report(diagnostics_, "", concat("the name ", quoted(item.name()), " is taken by the network's input"));
      return false;
    }
    if (outputs_.count(item.name()) != 0) {
      item.report(diagnostics_, "", concat("a second layer gets the name ", quoted(item.name())));
      return false;
    }
    return true;
  }

  /// The flat names that the item's `from` means; the layer before where there is none.
  Names sources_of(const Section& item, const Scope& scope) {
    const Entry* from = item.find("from");
    if (from == nullptr || from->broken) return previous_;
    Names sources;
    for (const std::string& name : from->items()) {
      if (name.empty()) {
        item.report(diagnostics_, "from",
                    concat("expected names of layers separated by commas, got an empty item in ", quoted(from->value)));
        return previous_;
      }
      const Names found = resolve(item, "from", name, scope);
      sources.insert(sources.end(), found.begin(), found.end());
    }
    if (sources.empty()) item.report(diagnostics_, "from", "expected names of layers separated by commas, got ''");
    return sources;
  }

  Names resolve(const Section& item, const std::string& key, const std::string& name, const Scope& scope) {
    const std::size_t colon = name.find(':');
    if (colon != std::string::npos) return resolve_result(item, key, name.substr(0, colon), name.substr(colon), scope);
    const auto local = outputs_.find(scope.prefix + name);
    if (local != outputs_.end()) return local->second;
    if (scope.in_block() && name == "input") return scope.input;
    const auto global = outputs_.find(name);
    if (global != outputs_.end()) return global->second;
    if (contains(sources_, name)) return {name};
    unresolved_.push_back({item, key, name, scope.prefix});
    return {name};
  }

  /// LAYER:RESULT: `result` begins with the colon, which no layer has in its name.
  Names resolve_result(const Section& item, const std::string& key, const std::string& layer, const std::string& result,
                       const Scope& scope) {
    Names layers = resolve(item, key, layer, scope);
    if (layers.size() != 1)
      item.report(diagnostics_, key,
                  concat(quoted(layer), " stands for ", join(layers), "; name the one whose result is meant"));
    layers.front() += result;
    return layers;
  }

  void emit_layer(Section& item, const Names& from, const Scope& scope) {
    Entry entry;
    entry.key = "from";
    entry.source = item.source();
    entry.origin = Entry::Origin::kDefault;
    if (const Entry* written = item.find("from")) entry = *written;
    entry.value = join(from);
    entry.form = ValueForm::kPlain;
    item.set(entry);
    resolve_share(item, scope);
    add_type_defaults(config_, item);
    outputs_[item.name()] = previous_ = {item.name()};
    if (item.find("type") == nullptr || item.find("type")->broken || item.find("block") != nullptr) return;
    layers_.insert(item.name());
    flat_.push_back(std::move(item));
  }

  void resolve_share(Section& item, const Scope& scope) {
    Entry* share = item.find("share");
    if (share == nullptr || share->broken || share->value.empty()) return;
    // A section that changes an expanded layer stands outside of the block.
    const std::string wanted = share->value;
    const std::size_t unresolved = unresolved_.size();
    share->value = join(resolve(item, "share", wanted, share->section.empty() ? scope : Scope{}));
    if (unresolved == unresolved_.size() && (layers_.count(share->value) == 0 || is_block_name(wanted, scope))) {
      share->value = wanted;
      item.report(diagnostics_, "share", concat(quoted(wanted), " is no layer; name a single earlier layer"));
    }
  }

  bool is_block_name(const std::string& name, const Scope& scope) const {
    return block_names_.count(scope.prefix + name) != 0 || (name == "input" && scope.in_block()) ||
           (outputs_.count(scope.prefix + name) == 0 && block_names_.count(name) != 0);
  }

  void expand_block(Section& call, const Names& from, const Scope& scope) {
    outputs_[call.name()] = {call.name()};
    const Entry& reference = *call.find("block");
    const auto found = blocks_.find(reference.value);
    if (reference.broken) return;
    if (found == blocks_.end()) {
      Names known;
      for (const auto& [name, block] : blocks_) known.push_back(name);
      return call.report(
          diagnostics_, "block",
          concat("unknown block ", quoted(reference.value), suggestion(reference.value, known, "known blocks")));
    }
    if (contains(scope.chain, found->first)) {
      return call.report(diagnostics_, "block",
                         concat("the block uses itself: ", join(scope.chain, " -> "), " -> ", found->first));
    }
    if (scope.chain.size() == kDeepest)
      return call.report(diagnostics_, "block", concat("blocks stand in blocks more than ", kDeepest, " deep"));
    const Block& block = found->second;
    if (block.layers.empty()) {
      return call.report(diagnostics_, "block", concat("the block ", quoted(found->first), " has no layers"));
    }
    std::int64_t repeat = 1;
    Keys keys(call, diagnostics_);
    keys.optional("repeat", repeat, between(1, kMostRepetitions), "number of repetitions");
    check_arguments(call, found->first, block);
    repeat_block(call, found->first, block, call.find("repeat") == nullptr ? 0 : repeat, from, scope);
  }

  void check_arguments(const Section& call, const std::string& name, const Block& block) {
    const Names parameters = block.parameter_names();
    for (const Entry& entry : call.entries()) {
      if (contains({"block", "repeat", "from"}, entry.key) || contains(parameters, entry.key)) continue;
      const std::string nearest = nearest_match(entry.key, parameters);
      call.report(diagnostics_, entry.key,
                  concat("the block ", quoted(name), " has no such parameter; it takes ",
                         parameters.empty() ? "none" : join(parameters),
                         nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
    }
    for (const BlockParameter& parameter : block.parameters) {
      if (parameter.default_value || call.find(parameter.name) != nullptr) continue;
      call.report(diagnostics_, parameter.name,
                  concat("required parameter of the block ", quoted(name), " is missing"));
    }
  }

  /// `repeat` is 0 where the key is absent: then the names have no index.
  void repeat_block(const Section& call, const std::string& block_name, const Block& block, std::int64_t repeat,
                    const Names& from, const Scope& around) {
    const std::size_t skip = block.head->name().size() + 1;
    previous_ = from;
    for (std::int64_t i = 0; i < std::max<std::int64_t>(repeat, 1); ++i) {
      if (too_many(call)) return;
      const std::string name = repeat == 0 ? call.name() : concat(call.name(), ".", i);
      Scope scope;
      scope.prefix = name + ".";
      scope.arguments = arguments(call, block, i == 0);
      scope.input = previous_;
      scope.chain = around.chain;
      scope.chain.push_back(block_name);
      for (const Section* layer : block.layers) {
        expand_item(*layer, scope.prefix + layer->name().substr(skip), scope);
      }
      outputs_[name] = previous_;
      block_names_.insert(name);
    }
    outputs_[call.name()] = previous_;
    block_names_.insert(call.name());
  }

  std::map<std::string, Entry> arguments(const Section& call, const Block& block, bool first) {
    std::map<std::string, Entry> result;
    for (const BlockParameter& parameter : block.parameters) {
      const Entry* given = call.find(parameter.name);
      Entry entry;
      if (given != nullptr && (first || block.first_only.count(parameter.name) == 0)) {
        entry = *given;
      } else if (parameter.default_value) {
        entry.key = "parameters";
        entry.source = block.head->find("parameters")->source;
        entry.value = *parameter.default_value;
        put_in_arguments(*block.head, entry, result);  // a default may use the parameters before it
      } else {
        entry.broken = true;
      }
      result.emplace(parameter.name, entry);
    }
    return result;
  }

  /// What may be meant by a name in `from` or `share` that no layer has: one that is close, or a result of a layer, or
  /// "".
  std::string likely_meant(const std::string& key, const std::string& name, const std::string& prefix) const {
    Names known = sources_;
    for (const auto& [output, flat] : outputs_) {
      known.push_back(starts_with(output, prefix) ? output.substr(prefix.size()) : output);
    }
    if (!prefix.empty()) known.push_back("input");
    const std::string nearest = nearest_match(name, known);
    const std::size_t dot = name.rfind('.');
    if (!nearest.empty() || key != "from" || dot == std::string::npos) return nearest;
    const std::string layer = name.substr(0, dot);
    const bool is_layer = layers_.count(prefix + layer) != 0 || layers_.count(layer) != 0;
    return is_layer ? layer + ":" + name.substr(dot + 1) : "";
  }

  void report_unresolved(const Unresolved& unresolved) {
    const auto& [item, key, name, prefix] = unresolved;
    if (outputs_.count(prefix + name) != 0 || outputs_.count(name) != 0) {
      return item.report(diagnostics_, key, concat(quoted(name), " does not stand before this layer"));
    }
    const std::string nearest = likely_meant(key, name, prefix);
    item.report(
        diagnostics_, key,
        concat("there is no layer ", quoted(name), nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
  }

  /// A `[layer.X]` that names no layer: `section` stands below a block, or on the command line only.
  void report_unknown_layer(const Section& section) {
    Names known;
    for (const Section* layer : top_) known.push_back(layer->name());
    for (const std::string& layer : layers_) known.push_back(concat("layer.", layer));
    const std::string nearest = nearest_match(section.name(), known);
    const bool overridden = section.source().file.empty();
    section.report(diagnostics_, overridden ? section.entries().front().key : "",
                   concat("there is no such layer", nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
  }

  void check_type_defaults() {
    for (const Section& section : config_.sections()) {
      if (!starts_with(section.name(), "type.")) continue;
      for (const char* key : {"type", "block", "repeat", "from", "share"}) {
        if (section.find(key) == nullptr) continue;
        section.report(diagnostics_, key, "belongs to a single layer and cannot be a default of a type");
      }
    }
  }

  /// Reports once when repetitions within repetitions grow beyond all reason.
  bool too_many(const Section& call) {
    if (expanded_ <= kMostLayers) return false;
    if (!too_many_) call.report(diagnostics_, "block", concat("the network has more than ", kMostLayers, " layers"));
    too_many_ = true;
    return true;
  }

  Config& config_;
  Diagnostics& diagnostics_;
  const Names& sources_;
  const std::map<std::string, Block> blocks_;
  std::vector<const Section*> top_;                ///< `[layer.X]`
  std::map<std::string, const Section*> changes_;  ///< `[layer.X.REST]` below a block, by flat name; used ones leave
  std::vector<const Section*> unknown_layers_;

  std::vector<Section> flat_;
  std::set<std::string> layers_;          ///< names in flat_
  std::map<std::string, Names> outputs_;  ///< flat names that the name of a layer, block or repetition stands for
  std::set<std::string> block_names_;     ///< names of blocks and repetitions
  Names previous_;                        ///< the layer before
  std::vector<Unresolved> unresolved_;
  std::size_t expanded_ = 0;  ///< layers and calls of blocks, also those that came to nothing
  Growth growth_;
  bool too_many_ = false;
};

}  // namespace

std::vector<Section> expand_layers(Config& config, const std::vector<std::string>& sources) {
  return Expander(config, sources).run();
}

void add_type_defaults(const Config& config, Section& layer) {
  const Entry* type = layer.find("type");
  if (type == nullptr || type->broken) return;
  if (const Section* defaults = config.find(concat("type.", type->value))) layer.add_missing(*defaults);
}

void check_type_sections(Config& config, const std::vector<std::string>& types) {
  for (const Section& section : config.sections()) {
    if (!starts_with(section.name(), "type.")) continue;
    const std::string type = section.name().substr(5);
    if (contains(types, type)) continue;
    section.report(config.diagnostics(), section.source().file.empty() ? section.entries().front().key : "",
                   concat("unknown layer type ", quoted(type), suggestion(type, types, "known types")));
  }
}

}  // namespace sluice
