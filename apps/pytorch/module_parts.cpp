#include "apps/pytorch/module_parts.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// The nodes that the answer depends on, in order.
std::vector<int> answering(const Network& network) {
  std::vector<bool> used(network.nodes().size());
  if (network.answer().node >= 0) used[static_cast<std::size_t>(network.answer().node)] = true;
  std::vector<int> nodes;
  for (int n = static_cast<int>(used.size()); n-- > 0;) {
    if (!used[static_cast<std::size_t>(n)]) continue;
    nodes.push_back(n);
    for (const NodeResult& src : network.nodes()[static_cast<std::size_t>(n)].src) {
      if (!src.is_input()) used[static_cast<std::size_t>(src.node)] = true;
    }
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

constexpr std::size_t kMostInChain = 1000;

int first_node(const TorchPart& part) {
  return part.is_layer() ? part.node : first_node(part.parts.front());
}

class Builder {
 public:
  Builder(const Network& network, const TorchLayers& layers) : network_(network), layers_(layers) {}

  TorchParts build() {
    const std::vector<int> nodes = answering(network_);
    TorchParts all;
    for (int n : nodes) {
      all.layers.push_back(node(n).name);
      for (const NodeResult& src : node(n).src) users_[{src.node, src.result}].push_back(n);
    }
    const NodeResult answer = network_.answer();
    users_[{answer.node, answer.result}].push_back(static_cast<int>(network_.nodes().size()));
    all.network.parts = parts_of(nodes, "");
    all.network.src = {{kDataSource, 0}};
    all.network.dst = {{answer.node, answer.result}};
    for (TorchPart& part : all.network.parts) name_in_classes(part);
    share(all.network, all.shared);
    return all;
  }

 private:
  const Node& node(int n) const { return network_.nodes()[static_cast<std::size_t>(n)]; }

  TorchPart layer_part(int n) const {
    const Node& own = node(n);
    PortableLayer described{network_, own, own.layer->attributes(), {}, {}};
    TorchPart part;
    part.name = own.name;
    part.node = n;
    for (const NodeResult& src : own.src) {
      if (src == kLabelsSource)
        throw Error(ExitCode::kUsage, concat(own.section.where("from"),
                                             ": the network's answer depends on the labels, which are not there"));
      described.src_shapes.push_back(network_.shape(src));
      part.src.emplace_back(src.node, src.result);
    }
    for (int result = 0; result <= static_cast<int>(own.declared.more_dst.size()); ++result)
      part.dst.emplace_back(n, result);
    part.layer = layers_.write(described);
    return part;
  }

  /// Of nodes whose names begin with `prefix`, which ends with a dot or is empty.
  std::vector<TorchPart> parts_of(const std::vector<int>& nodes, const std::string& prefix) const {
    std::vector<TorchPart> parts;
    std::map<std::string, std::vector<int>> groups;
    std::set<std::string> modules;
    for (int n : nodes) {
      const std::string& name = node(n).name;
      const std::size_t dot = name.find('.', prefix.size());
      if (dot != std::string::npos) {
        groups[name.substr(0, dot)].push_back(n);
        continue;
      }
      parts.push_back(layer_part(n));
      if (parts.back().layer.has_state()) modules.insert(name);
    }
    for (const auto& [name, members] : groups) {
      if (modules.count(name) != 0)
        throw Error(ExitCode::kUsage, concat("layer ", name, " is a module of PyTorch's, which cannot have ",
                                             node(members.front()).name, " as a part; rename one of them"));
      add_group(name, members, parts);
    }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const TorchPart& a, const TorchPart& b) { return first_node(a) < first_node(b); });
    return parts;
  }

  bool has_no_tensors(const TorchPart& part) const {
    return part.is_layer() && node(part.node).params.empty() && node(part.node).buffers.empty();
  }

  /// As a part with one source and one result; else its parts stand in its place. A layer alone that has no tensors,
  /// and so no name in a state_dict, takes the group's name.
  void add_group(const std::string& name, const std::vector<int>& members, std::vector<TorchPart>& parts) const {
    TorchPart group;
    group.name = name;
    group.parts = parts_of(members, name + ".");
    const std::set<int> inside(members.begin(), members.end());
    std::set<TorchValue> src, dst;
    for (int n : members) {
      for (const NodeResult& from : node(n).src) {
        if (inside.count(from.node) == 0) src.insert({from.node, from.result});
      }
    }
    for (int n : members) {
      for (int result = 0; result <= static_cast<int>(node(n).declared.more_dst.size()); ++result) {
        const auto users = users_.find({n, result});
        if (users != users_.end() &&
            std::any_of(users->second.begin(), users->second.end(), [&](int user) { return inside.count(user) == 0; }))
          dst.insert({n, result});
      }
    }
    if (src.size() != 1 || dst.size() != 1) {
      for (TorchPart& part : group.parts) parts.push_back(std::move(part));
      return;
    }
    if (group.parts.size() == 1 && has_no_tensors(group.parts[0])) {
      group.parts[0].name = name;
      parts.push_back(std::move(group.parts[0]));
      return;
    }
    group.src = {*src.begin()};
    group.dst = {*dst.begin()};
    group.is_chain = is_chain(group);
    parts.push_back(std::move(group));
  }

  /// Modules whose names are numbers, of which each is called with the result of the one before.
  static bool is_chain(const TorchPart& group) {
    TorchValue before = group.src[0];
    std::size_t next = 0;
    for (const TorchPart& part : group.parts) {
      const bool is_call = !part.is_layer() || !part.layer.has_state() || part.layer.call == TorchLayer().call;
      while (next < kMostInChain && part.name != concat(group.name, ".", next)) ++next;
      if (next++ == kMostInChain || (part.is_layer() && part.layer.type.empty()) || !is_call) return false;
      if (part.src != std::vector<TorchValue>{before} || part.dst.size() != 1) return false;
      before = part.dst[0];
    }
    return before == group.dst[0];
  }

  /// Paths of the parts of a class, and in a chain its parts' numbers.
  void name_in_classes(TorchPart& part, const std::string& prefix = "") const {
    part.path = part.name.substr(prefix.size());
    for (TorchPart& inner : part.parts) name_in_classes(inner, part.name + ".");
  }

  /// Layers that take all parameters of one like them in the same class are the same module; others take parameters.
  void share(TorchPart& part, std::vector<SharedParameter>& shared) const {
    for (TorchPart& inner : part.parts) {
      if (!inner.is_layer()) {
        share(inner, shared);
        continue;
      }
      for (int p : node(inner.node).params) {
        const Parameter& parameter = network_.parameters()[static_cast<std::size_t>(p)];
        if (parameter.layer == inner.name) continue;
        if (const TorchPart* same = twin(inner, part, parameter.layer); same != nullptr) {
          inner.same_as = same->path;
          break;
        }
        shared.push_back({inner.name, parameter.layer, parameter.name});
      }
    }
  }

  /// The layer `owner` in the same class, where one module can stand for both.
  const TorchPart* twin(const TorchPart& part, const TorchPart& whole, const std::string& owner) const {
    const Node& own = node(part.node);
    const auto found = std::find_if(whole.parts.begin(), whole.parts.end(),
                                    [&](const TorchPart& other) { return other.is_layer() && other.name == owner; });
    if (whole.is_chain || found == whole.parts.end() || !own.buffers.empty()) return nullptr;
    const auto text = [](const TorchLayer& layer) {
      std::string all = layer.type;
      for (const TorchArgument& argument : layer.arguments) all += "," + argument.name + "=" + argument.value;
      return all;
    };
    const bool equal = node(found->node).params == own.params && text(found->layer) == text(part.layer);
    return equal ? &*found : nullptr;
  }

  const Network& network_;
  const TorchLayers& layers_;
  std::map<TorchValue, std::vector<int>> users_;  ///< nodes
};

}  // namespace

TorchParts torch_parts(const Network& network, const TorchLayers& layers) {
  return Builder(network, layers).build();
}

}  // namespace sluice
