// Expands the layer, block and type sections of a network's description into a flat list of layers.
#include "core/config/blocks.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/block_arguments.hpp"
#include "core/config/block_library.hpp"
#include "core/config/edits.hpp"
#include "core/config/expression.hpp"
#include "core/config/ini.hpp"
#include "core/config/substitute.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Names = std::vector<std::string>;

constexpr int kMostRepetitions = 1000;
constexpr std::size_t kMostLayers = 20000;

class Expander {
 public:
  Expander(Config& config, const Names& sources)
      : config_(config),
        diagnostics_(config.diagnostics()),
        sources_(sources),
        blocks_(read_blocks(config)),
        arguments_(config.diagnostics()),
        edits_(config) {}

  std::vector<Section> run() {
    check_type_defaults();
    outputs_[sources_.front()] = previous_ = {sources_.front()};
    put_behind(sources_.front());
    for (const Section* section : edits_.layers()) expand_item(*section, section->name().substr(kLayerPrefix), {});
    for (const Unresolved& unresolved : unresolved_) report_unresolved(unresolved);
    report_idle(edits_.end_insertions(0), {});
    for (const Section* section : edits_.idle()) report_unknown_layer(*section);
    return std::move(flat_);
  }

 private:
  /// A name in `from` or `share` that no earlier layer has.
  struct Unresolved {
    Section item;
    std::string key, name, prefix;
  };

  /// A layer or a call of a block, standing in `section`, under the flat name `name`, with what stands behind it.
  void expand_item(const Section& section, const std::string& name, const Scope& scope) {
    ++expanded_;
    Section item = bind(section, name, scope);
    const bool changed_from = edits_.change(item);
    if (!claim_name(item)) return;
    const bool removed = switched_on(item, "remove", diagnostics_);
    if (!removed) item = without(item, "remove");
    const Entry* type = item.find("type");
    const Entry* block = item.find("block");
    if (type != nullptr && block != nullptr) {
      item.report(diagnostics_, "block", "a layer has either 'type' or 'block', not both");
    } else if (type == nullptr && block == nullptr) {
      item.report(diagnostics_, "", "the layer needs 'type' (what it is) or 'block' (a group of layers)");
    }
    const Names from = sources_of(item, changed_from ? Scope{} : scope);
    if (removed) {
      leave_out(item, from);
    } else if (block != nullptr && type == nullptr) {
      expand_block(item, from, scope);
    } else {
      emit_layer(item, from, scope);
    }
    put_behind(name);
  }

  /// Who reads the layer gets what it reads.
  void leave_out(const Section& item, const Names& from) {
    if (from.size() != 1)
      item.report(diagnostics_, "remove",
                  concat("the layer reads ", join(from), "; name the one that its readers get by 'from'"));
    outputs_[item.name()] = previous_ = from;
    removed_.insert(item.name());
  }

  /// Expands what is to stand behind the layer or block of this name. From there on the name means its result.
  void put_behind(const std::string& name) {
    const std::optional<LayerEdits::Placed> placed = edits_.behind(name);
    if (!placed) return;
    if (++inserting_ > kDeepest) {
      placed->section.report(diagnostics_, "", concat("more than ", kDeepest, " layers are put behind one another"));
    } else if (!too_many(placed->section, "")) {
      previous_ = outputs_[name];
      expand_item(placed->section, placed->section.name(), placed->scope == nullptr ? Scope{} : *placed->scope);
      outputs_[name] = previous_;
    }
    --inserting_;
    edits_.done(placed->index);
  }

  /// A copy of the section with the scope's arguments in its values.
  Section bind(const Section& section, const std::string& name, const Scope& scope) {
    if (replaces_nothing(section, diagnostics_))
      section.report(diagnostics_, "replace", "no file before this one describes the layer");
    Section item(name, section.source());
    item.set_title(section.title());
    for (Entry entry : section.entries()) {
      if (scope.in_block()) arguments_.put_in(section, entry, scope.arguments);
      if (entry.key != "replace") item.set(std::move(entry));
    }
    return item;
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

  /// The flat name of the layer itself that `name` means, whatever stands behind it; "" where it means another thing.
  std::string layer_named(const std::string& name, const Scope& scope) const {
    if (scope.in_block() && name == "input") return "";
    for (const std::string& flat : {scope.prefix + name, name}) {
      if (layers_.count(flat) != 0) return flat;
      if (outputs_.count(flat) != 0) return "";
    }
    return "";
  }

  bool is_removed(const std::string& name, const Scope& scope) const {
    return removed_.count(scope.prefix + name) != 0 || removed_.count(name) != 0;
  }

  /// LAYER:RESULT: `result` begins with the colon, which no layer has in its name.
  Names resolve_result(const Section& item, const std::string& key, const std::string& layer, const std::string& result,
                       const Scope& scope) {
    const std::string own = layer_named(layer, scope);
    if (!own.empty()) return {own + result};
    Names layers = resolve(item, key, layer, scope);
    if (is_removed(layer, scope)) {
      item.report(diagnostics_, key, concat(quoted(layer), " is removed"));
    } else if (layers.size() != 1) {
      item.report(diagnostics_, key,
                  concat(quoted(layer), " stands for ", join(layers), "; name the one whose result is meant"));
    }
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
    const Scope& around = share->section.empty() ? scope : outside_;
    const std::string wanted = share->value;
    share->value = layer_named(wanted, around);
    if (!share->value.empty()) return;
    share->value = wanted;
    const std::size_t unresolved = unresolved_.size();
    resolve(item, "share", wanted, around);
    if (unresolved != unresolved_.size()) return;
    item.report(diagnostics_, "share",
                concat(quoted(wanted), is_removed(wanted, around) ? " is removed" : " is no layer",
                       "; name a single earlier layer"));
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
    arguments_.check(call, found->first, block);
    repeat_block(call, found->first, block, call.find("repeat") == nullptr ? 0 : repeat, from, scope);
  }

  /// `repeat` is 0 where the key is absent: then the names have no index.
  void repeat_block(const Section& call, const std::string& block_name, const Block& block, std::int64_t repeat,
                    const Names& from, const Scope& around) {
    const std::size_t skip = block.head->name().size() + 1;
    previous_ = from;
    for (std::int64_t i = 0; i < std::max<std::int64_t>(repeat, 1); ++i) {
      if (too_many(call, "block")) return;
      const std::string name = repeat == 0 ? call.name() : concat(call.name(), ".", i);
      Scope scope;
      scope.prefix = name + ".";
      scope.arguments = arguments_.read(call, block, i);
      scope.input = previous_;
      scope.chain = around.chain;
      scope.chain.push_back(block_name);
      const std::size_t insertions = edits_.insertions();
      for (const Section* layer : block.layers) add_insertion(*layer, scope.prefix + layer->name().substr(skip), scope);
      for (const Section* layer : block.layers) {
        if (layer->find("after") == nullptr) expand_item(*layer, scope.prefix + layer->name().substr(skip), scope);
      }
      report_idle(edits_.end_insertions(insertions), scope.prefix);
      outputs_[name] = previous_;
      if (repeat != 0) put_behind(name);
    }
    outputs_[call.name()] = previous_;
  }

  /// Of a block's layer with the key `after`.
  void add_insertion(const Section& layer, const std::string& name, const Scope& scope) {
    if (layer.find("after") == nullptr) return;
    Entry after = *layer.find("after");
    arguments_.put_in(layer, after, scope.arguments);
    if (!after.broken) edits_.add(layer, scope.prefix + after.value, name, &scope);
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

  void report_idle(const std::vector<LayerEdits::Insertion>& insertions, const std::string& prefix) {
    for (const LayerEdits::Insertion& insertion : insertions) {
      const std::string place = insertion.after.substr(prefix.size());
      std::string nearest = likely_meant("after", place, prefix);
      if (nearest == place) nearest.clear();  // labels
      const bool several = place.find('*') != std::string::npos;
      insertion.section->report(diagnostics_, "after",
                                concat(several ? "no layer fits " : "there is no layer ", quoted(place),
                                       nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
    }
  }

  /// A `[layer.X]` that names no layer: `section` stands below a block, or on the command line only.
  void report_unknown_layer(const Section& section) {
    Names known;
    for (const Section* layer : edits_.layers()) known.push_back(layer->name());
    for (const std::string& layer : layers_) known.push_back(concat("layer.", layer));
    const std::string nearest = nearest_match(section.name(), known);
    const bool overridden = section.source().file.empty();
    section.report(diagnostics_, overridden ? section.entries().front().key : "",
                   concat("there is no such layer", nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
  }

  void check_type_defaults() {
    for (const Section& section : config_.sections()) {
      if (!starts_with(section.name(), "type.")) continue;
      for (const char* key : {"type", "block", "repeat", "from", "share", "after", "remove", "replace"}) {
        if (section.find(key) == nullptr) continue;
        section.report(diagnostics_, key, "belongs to a single layer and cannot be a default of a type");
      }
    }
  }

  /// Reports once when repetitions within repetitions grow beyond all reason.
  bool too_many(const Section& section, const char* key) {
    if (expanded_ <= kMostLayers) return false;
    if (!too_many_) section.report(diagnostics_, key, concat("the network has more than ", kMostLayers, " layers"));
    too_many_ = true;
    return true;
  }

  Config& config_;
  Diagnostics& diagnostics_;
  const Names& sources_;
  const std::map<std::string, Block> blocks_;
  ArgumentReader arguments_;
  LayerEdits edits_;
  const Scope outside_;

  std::vector<Section> flat_;
  std::set<std::string> layers_;          ///< names in flat_
  std::map<std::string, Names> outputs_;  ///< flat names that the name of a layer, block or repetition stands for
  std::set<std::string> removed_;
  Names previous_;  ///< the layer before
  std::vector<Unresolved> unresolved_;
  std::size_t expanded_ = 0;   ///< layers and calls of blocks, also those that came to nothing
  std::size_t inserting_ = 0;  ///< layers that are being put behind one another
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
