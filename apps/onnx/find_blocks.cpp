#include "apps/onnx/find_blocks.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// A part of the model, and those in it.
struct Part {
  std::string name;
  std::size_t begin = 0, end = 0, count = 0;  ///< the first layer, behind the last one, how many there are
  std::vector<std::size_t> parts;
  std::optional<LayerSource> input;  ///< where it can be a use of a block
  std::string form;                  ///< equal for uses of one block
};

/// Its layers stand side by side and read one value from outside.
std::optional<LayerSource> input_of(const LayerList& list, const Part& part) {
  if (part.count != part.end - part.begin || part.count < 2) return std::nullopt;
  std::set<LayerSource> outside;
  for (std::size_t i = part.begin; i < part.end; ++i) {
    for (const LayerSource& src : list.layers[i].src) {
      if (src.layer < static_cast<int>(part.begin)) outside.insert(src);
    }
  }
  if (outside.size() != 1) return std::nullopt;
  return *outside.begin();
}

std::string form_of(const LayerList& list, const Part& part) {
  std::string form;
  for (std::size_t i = part.begin; i < part.end; ++i) {
    const ListedLayer& layer = list.layers[i];
    form += concat("\n", layer.name.substr(part.name.size()), " ", layer.type);
    for (const LayerKey& key : layer.keys) form += " " + key.name;
    for (const LayerSource& src : layer.src) {
      const int place = src.layer - static_cast<int>(part.begin);
      form += place < 0 ? " input" : concat(" ", place, ":", src.result);
    }
  }
  return form;
}

std::vector<Part> parts_of(const LayerList& list) {
  std::vector<Part> parts(1);
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    const std::string& name = list.layers[i].name;
    std::size_t in = 0;
    for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const std::string prefix = name.substr(0, dot);
      const auto [found, isnew] = index.try_emplace(prefix, parts.size());
      if (isnew) {
        parts[in].parts.push_back(parts.size());
        parts.push_back({prefix, i, i, 0, {}, {}, {}});
      }
      in = found->second;
      parts[in].end = i + 1;
      ++parts[in].count;
    }
  }
  for (std::size_t p = 1; p < parts.size(); ++p) {
    parts[p].input = input_of(list, parts[p]);
    if (parts[p].input) parts[p].form = form_of(list, parts[p]);
  }
  return parts;
}

/// About how many lines a layer takes.
double lines_of(const ListedLayer& layer) {
  return 3.5 + static_cast<double>(
                   std::count_if(layer.keys.begin(), layer.keys.end(), [](const LayerKey& key) { return !key.usual; }));
}

class Search {
 public:
  explicit Search(const LayerList& list) : list_(list), parts_(parts_of(list)) {
    for (std::size_t p = 1; p < parts_.size(); ++p) {
      if (parts_[p].input) uses_[parts_[p].form].push_back(p);
    }
  }

  RepeatedBlocks run() {
    // A block with one use is none: choose again without it.
    for (bool again = true; again;) {
      for (auto use = uses_.begin(); use != uses_.end();)
        use = use->second.size() < 2 ? uses_.erase(use) : std::next(use);
      chosen_.clear();
      choose(0);
      std::map<std::string, std::vector<std::size_t>> uses;
      for (std::size_t p : chosen_) uses[parts_[p].form].push_back(p);
      again = std::any_of(uses.begin(), uses.end(), [](const auto& use) { return use.second.size() < 2; });
      uses_ = std::move(uses);
    }
    return blocks();
  }

 private:
  double own_lines(const Part& part) const {
    double lines = 0;
    for (std::size_t i = part.begin; i < part.end; ++i) lines += lines_of(list_.layers[i]);
    return lines;
  }

  /// Lines of a part, which chooses blocks in it or makes it one.
  double choose(std::size_t p) {
    const Part& part = parts_[p];
    const std::size_t before = chosen_.size();
    double lines = 0;
    std::size_t within = 0;
    for (std::size_t child : part.parts) {
      lines += choose(child);
      within += parts_[child].count;
    }
    if (p == 0) return lines;
    // Layers that are in no smaller part.
    if (within < part.count) {
      double all = own_lines(part);
      for (std::size_t child : part.parts) {
        for (std::size_t i = parts_[child].begin; i < parts_[child].end; ++i) all -= lines_of(list_.layers[i]);
      }
      lines += all;
    }
    const auto uses = part.input ? uses_.find(part.form) : uses_.end();
    if (uses == uses_.end()) return lines;
    const double as_block = 5 + own_lines(part) / static_cast<double>(uses->second.size());
    if (as_block >= lines) return lines;
    chosen_.resize(before);
    chosen_.push_back(p);
    return as_block;
  }

  RepeatedBlocks blocks() const {
    RepeatedBlocks found;
    std::map<std::string, std::size_t> index;
    std::vector<std::size_t> chosen = chosen_;
    std::sort(chosen.begin(), chosen.end(),
              [&](std::size_t a, std::size_t b) { return parts_[a].begin < parts_[b].begin; });
    for (std::size_t p : chosen) {
      const Part& part = parts_[p];
      const auto [block, isnew] = index.try_emplace(part.form, found.blocks.size());
      if (isnew) found.blocks.push_back({free_name(part.name, found.blocks), {}, {}});
      found.blocks[block->second].uses.push_back(found.units.size());
      found.units.push_back({part.name, part.begin, part.end, *part.input, block->second});
    }
    for (FoundBlock& block : found.blocks) block.arguments = arguments(found, block);
    return found;
  }

  /// "layer" of "layer1.0", "denselayer" of "features.denseblock1.denselayer2".
  static std::string free_name(const std::string& part, const std::vector<FoundBlock>& blocks) {
    std::string name = part;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    for (std::size_t dot = name.rfind('.'); dot != std::string::npos; dot = name.rfind('.')) {
      if (!std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(), is_digit)) break;
      name.resize(dot);
    }
    name = name.substr(name.rfind('.') + 1);
    while (name.size() > 1 && (is_digit(name.back()) || name.back() == '_' || name.back() == '-')) name.pop_back();
    const std::string wanted = name;
    const auto is_taken = [&](const FoundBlock& block) { return block.name == name; };
    for (int number = 2; std::any_of(blocks.begin(), blocks.end(), is_taken); ++number)
      name = wanted + "_" + std::to_string(number);
    return name;
  }

  /// What differs from use to use; what always has the same value is one argument.
  std::vector<BlockArgument> arguments(const RepeatedBlocks& found, const FoundBlock& block) const {
    std::vector<BlockArgument> arguments;
    const Unit& first = found.units[block.uses[0]];
    for (std::size_t layer = 0; layer < first.size(); ++layer) {
      for (std::size_t key = 0; key < list_.layers[first.begin + layer].keys.size(); ++key) {
        std::vector<std::string> values;
        std::string usual;
        for (std::size_t use : block.uses) {
          const LayerKey& k = list_.layers[found.units[use].begin + layer].keys[key];
          values.push_back(k.value);
          if (k.usual) usual = k.value;
        }
        if (std::all_of(values.begin(), values.end(), [&](const std::string& value) { return value == values[0]; }))
          continue;
        const auto same = std::find_if(arguments.begin(), arguments.end(),
                                       [&](const BlockArgument& a) { return a.values == values; });
        if (same != arguments.end()) {
          same->places.push_back({layer, key});
          continue;
        }
        arguments.push_back({argument_name(list_.layers[first.begin + layer], first.name, key, arguments),
                             usual,
                             {{layer, key}},
                             values});
      }
    }
    // Defaults stand at the end of the list.
    std::stable_partition(arguments.begin(), arguments.end(), [](const BlockArgument& a) { return a.usual.empty(); });
    return arguments;
  }

  static std::string argument_name(const ListedLayer& layer, const std::string& unit, std::size_t key,
                                   const std::vector<BlockArgument>& arguments) {
    std::string name = layer.keys[key].name;
    const auto is_taken = [&](const BlockArgument& a) { return a.name == name; };
    if (std::none_of(arguments.begin(), arguments.end(), is_taken)) return name;
    std::string of = layer.name.substr(unit.size() + 1);
    std::replace_if(
        of.begin(), of.end(), [](char c) { return c == '.' || c == '-'; }, '_');
    const std::string wanted = layer.type.substr(0, layer.type.find('_')) == of.substr(0, of.find('_'))
                                   ? of + "_" + name
                                   : layer.type + "_" + of + "_" + name;
    name = wanted;
    for (int number = 2; std::any_of(arguments.begin(), arguments.end(), is_taken); ++number)
      name = wanted + "_" + std::to_string(number);
    return name;
  }

  const LayerList& list_;
  std::vector<Part> parts_;
  std::map<std::string, std::vector<std::size_t>> uses_;  ///< parts, by their form
  std::vector<std::size_t> chosen_;                       ///< parts
};

}  // namespace

RepeatedBlocks find_blocks(const LayerList& list) {
  return Search(list).run();
}

}  // namespace sluice
