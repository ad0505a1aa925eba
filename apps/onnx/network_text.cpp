// The text of a network: layers as a person would write them, and blocks for what repeats.
#include <algorithm>

#include "apps/onnx/find_blocks.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

class NetworkText {
 public:
  explicit NetworkText(const LayerList& list) : list_(list), found_(find_blocks(list)) {}

  std::string write() {
    text_ = concat("[network]\ninput = ", list_.image[0], "x", list_.image[1], "x", list_.image[2], "\n");
    std::size_t unit = 0;
    for (std::size_t i = 0; i < list_.layers.size();) {
      if (unit < found_.units.size() && found_.units[unit].begin == i) {
        const std::size_t repeated = write_use(unit);
        i = found_.units[unit + repeated - 1].end;
        unit += repeated;
      } else {
        write_layer(i++);
      }
    }
    text_ += concat("\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = ", name_of(list_.answer), ", labels\n");
    for (const FoundBlock& block : found_.blocks) write_block(block);
    for (const auto& [type, keys] : list_.defaults) {
      text_ += concat("\n[type.", type, "]\n");
      for (const LayerKey& key : keys) set(key.name, key.value);
    }
    return text_;
  }

 private:
  std::string name_of(const LayerSource& source) const {
    if (source.layer == LayerSource::kImages) return "data";
    const std::string& name = list_.layers[static_cast<std::size_t>(source.layer)].name;
    return source.result.empty() ? name : name + ":" + source.result;
  }

  /// What a layer reads that says nothing of it.
  static bool is_before(const LayerSource& source, std::size_t layer) {
    return source.layer == static_cast<int>(layer) - 1 && source.result.empty();
  }

  template <class T>
  void set(const std::string& key, const T& value) {
    text_ += concat(key, " = ", value, "\n");
  }

  void write_layer(std::size_t i) {
    const ListedLayer& layer = list_.layers[i];
    text_ += concat("\n[layer.", layer.name, "]\n");
    set("type", layer.type);
    for (const LayerKey& key : layer.keys) {
      if (!key.usual) set(key.name, key.value);
    }
    if (layer.src.size() == 1 && is_before(layer.src[0], i)) return;
    std::vector<std::string> names;
    for (const LayerSource& src : layer.src) names.push_back(name_of(src));
    set("from", join(names));
  }

  std::string value_of(const BlockArgument& argument, const FoundBlock& block, std::size_t unit) const {
    const auto use = std::find(block.uses.begin(), block.uses.end(), unit);
    return argument.values[static_cast<std::size_t>(use - block.uses.begin())];
  }

  /// Whether a unit is repetition number `number` of the block that the unit `first` begins: "layer1.3" of "layer1.0".
  bool repeats(std::size_t first, std::size_t unit, std::size_t number) const {
    if (unit >= found_.units.size() || found_.units[unit].block != found_.units[first].block) return false;
    const Unit &a = found_.units[first], &b = found_.units[unit];
    const std::string stem = a.name.substr(0, a.name.size() - 1);
    if (b.name != stem + std::to_string(number)) return false;
    if (unit > first && (b.begin != found_.units[unit - 1].end || !is_before(b.input, b.begin))) return false;
    const FoundBlock& block = found_.blocks[a.block];
    return std::all_of(block.arguments.begin(), block.arguments.end(), [&](const BlockArgument& argument) {
      return value_of(argument, block, unit) == value_of(argument, block, first);
    });
  }

  /// All layers under the name stand in these units.
  bool is_all_of(const std::string& stem, std::size_t begin, std::size_t end) const {
    for (std::size_t i = 0; i < list_.layers.size(); ++i) {
      if (starts_with(list_.layers[i].name, stem) && (i < begin || i >= end)) return false;
    }
    return true;
  }

  /// Returns how many units it stands for.
  std::size_t write_use(std::size_t first) {
    const Unit& unit = found_.units[first];
    const FoundBlock& block = found_.blocks[unit.block];
    std::size_t count = 1;
    const std::string end = ".0";
    const bool counted = unit.name.size() > end.size() && ends_with(unit.name, end);
    const std::string stem = unit.name.substr(0, unit.name.size() - 1);
    while (counted && repeats(first, first + count, count)) ++count;
    if (count > 1 && !is_all_of(stem, unit.begin, found_.units[first + count - 1].end)) count = 1;
    text_ += concat("\n[layer.", count > 1 ? stem.substr(0, stem.size() - 1) : unit.name, "]\n");
    set("block", block.name);
    if (count > 1) set("repeat", count);
    for (const BlockArgument& argument : block.arguments) {
      const std::string value = value_of(argument, block, first);
      if (value != argument.usual) set(argument.name, value);
    }
    if (!is_before(unit.input, unit.begin)) set("from", name_of(unit.input));
    return count;
  }

  void write_block(const FoundBlock& block) {
    const Unit& unit = found_.units[block.uses[0]];
    text_ += concat("\n[block.", block.name, "]\n");
    std::vector<std::string> parameters;
    for (const BlockArgument& argument : block.arguments)
      parameters.push_back(argument.usual.empty() ? argument.name : argument.name + "=" + argument.usual);
    if (!parameters.empty()) set("parameters", join(parameters));
    for (std::size_t i = 0; i < unit.size(); ++i) write_block_layer(block, unit, i);
  }

  void write_block_layer(const FoundBlock& block, const Unit& unit, std::size_t i) {
    const ListedLayer& layer = list_.layers[unit.begin + i];
    text_ += concat("\n[block.", block.name, layer.name.substr(unit.name.size()), "]\n");
    set("type", layer.type);
    for (std::size_t key = 0; key < layer.keys.size(); ++key) {
      const auto takes = [&](const BlockArgument& argument) {
        return std::any_of(argument.places.begin(), argument.places.end(),
                           [&](const KeyPlace& place) { return place.layer == i && place.key == key; });
      };
      const auto argument = std::find_if(block.arguments.begin(), block.arguments.end(), takes);
      if (argument != block.arguments.end())
        set(layer.keys[key].name, "${" + argument->name + "}");
      else if (!layer.keys[key].usual)
        set(layer.keys[key].name, layer.keys[key].value);
    }
    std::vector<std::string> names;
    for (const LayerSource& src : layer.src) {
      const bool inside = src.layer >= static_cast<int>(unit.begin);
      names.push_back(inside ? name_of(src).substr(unit.name.size() + 1) : "input");
    }
    const bool before = i == 0 ? names[0] == "input" : is_before(layer.src[0], unit.begin + i);
    if (names.size() > 1 || !before) set("from", join(names));
  }

  const LayerList& list_;
  const RepeatedBlocks found_;
  std::string text_;
};

}  // namespace

std::string network_text(const LayerList& list) {
  return NetworkText(list).write();
}

}  // namespace sluice
