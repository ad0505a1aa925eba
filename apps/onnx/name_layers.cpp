// Names for the layers of a foreign model.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "apps/onnx/layer_list.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Parts = std::vector<std::string>;

constexpr std::ptrdiff_t kMostParts = 12;
constexpr std::size_t kMostCharacters = 64;  // of a part

/// The parts between dots, of characters that names may have.
Parts parts_of(const std::string& name) {
  Parts parts(1);
  for (char c : name) {
    const bool usable =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += usable ? c : '_';
  }
  parts.erase(std::remove(parts.begin(), parts.end(), ""), parts.end());
  if (static_cast<std::ptrdiff_t>(parts.size()) > kMostParts) parts.erase(parts.begin(), parts.end() - kMostParts);
  for (std::string& part : parts) part.resize(std::min(part.size(), kMostCharacters));
  return parts;
}

/// Takes off what all names begin with.
void drop_common(std::vector<Parts>& names) {
  while (!names.empty() && std::all_of(names.begin(), names.end(), [&](const Parts& name) {
    return name.size() > 1 && name.front() == names.front().front();
  })) {
    for (Parts& name : names) name.erase(name.begin());
  }
}

Parts first(const Parts& name, std::size_t count) {
  return {name.begin(), name.begin() + static_cast<std::ptrdiff_t>(count)};
}

/// Names of parts that have others in them.
std::set<std::string> containers_of(const std::vector<Parts>& names) {
  std::set<std::string> containers;
  for (const Parts& name : names) {
    for (std::size_t count = 1; count < name.size(); ++count) containers.insert(join(first(name, count), "."));
  }
  return containers;
}

/// A layer that the model puts nowhere belongs to the part that all who read it belong to.
void place_nameless(const LayerList& list, std::vector<Parts>& names) {
  const std::set<std::string> containers = containers_of(names);
  std::vector<std::optional<Parts>> common(names.size());
  for (std::size_t i = names.size(); i-- > 0;) {
    if (names[i].empty() && common[i]) {
      Parts& place = *common[i];
      while (!place.empty() && containers.count(join(place, ".")) == 0) place.pop_back();
      names[i] = place;
    }
    for (const LayerSource& src : list.layers[i].src) {
      if (src.layer == LayerSource::kImages) continue;
      std::optional<Parts>& of = common[static_cast<std::size_t>(src.layer)];
      if (!of) of = names[i];
      const auto [end, other] = std::mismatch(of->begin(), of->end(), names[i].begin(), names[i].end());
      of->erase(end, of->end());
    }
  }
}

/// What joins the input of a part and its result ends that part, wherever the model has it: DenseNet has it in the part
/// that comes next.
void close_parts(const LayerList& list, std::vector<Parts>& names) {
  for (std::size_t i = 1; i < names.size(); ++i) {
    const ListedLayer& layer = list.layers[i];
    if (layer.type != "concat" || layer.src.size() != 2 || names[i - 1].size() < 2) continue;
    const Parts part(names[i - 1].begin(), names[i - 1].end() - 1);
    std::size_t begin = i;
    while (begin > 0 && names[begin - 1].size() > part.size() && first(names[begin - 1], part.size()) == part) --begin;
    const std::vector<LayerSource>& input = list.layers[begin].src;
    const LayerSource result{static_cast<int>(i) - 1, ""};
    if (input.size() == 1 && input[0] == layer.src[0] && result == layer.src[1]) names[i] = part;
  }
}

bool is_reserved(const std::string& part) {
  return part == "data" || part == "labels" || part == "loss" || part == "input";
}

}  // namespace

void name_layers(LayerList& list) {
  std::vector<Parts> names;
  for (const ListedLayer& layer : list.layers) names.push_back(parts_of(layer.name));
  place_nameless(list, names);
  close_parts(list, names);
  drop_common(names);
  const std::set<std::string> containers = containers_of(names);
  std::set<std::string> taken;
  std::map<std::string, int> further;  ///< numbers that names have got already
  for (std::size_t i = 0; i < names.size(); ++i) {
    ListedLayer& layer = list.layers[i];
    Parts& name = names[i];
    if (name.empty() || containers.count(join(name, ".")) != 0) name.push_back(layer.type);
    if (is_reserved(name.back())) name.back() += "_";
    const std::string wanted = join(name, ".");
    layer.name = wanted;
    for (int& more = further[wanted]; containers.count(layer.name) != 0 || !taken.insert(layer.name).second;)
      layer.name = wanted + "_" + std::to_string(++more);
  }
}

LayerList list_layers(const ForeignModel& model) {
  LayerList list = translate_model(model);
  name_layers(list);
  return list;
}

}  // namespace sluice
