#include "core/model/converted_weights.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace sluice {
namespace {

bool has_flag(const Node& node, const char* name) {
  return node.layer->attributes().get<bool>(name).value_or(false);
}

/// The one of these tensors (Parameter, StateBuffer) of a node's that has the name, or null.
template <class Tensor>
const Tensor* find_tensor(const std::vector<Tensor>& all, const std::vector<int>& own, const std::string& name) {
  for (const int i : own) {
    const Tensor& tensor = all[static_cast<std::size_t>(i)];
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

const Parameter* find_parameter(const Network& network, const Node& node, const std::string& name) {
  return find_tensor(network.parameters(), node.params, name);
}

const StateBuffer* find_buffer(const Network& network, const Node& node, const std::string& name) {
  return find_tensor(network.buffers(), node.buffers, name);
}

/// The source's channel that each input of a layer's filters reads.
std::vector<std::int64_t> source_order(const Node& node, std::int64_t inputs) {
  const std::int64_t wanted = node.layer->attributes().get<std::int64_t>("partitions").value_or(1);
  const std::int64_t groups = has_flag(node, "shuffle") && wanted > 0 && inputs % wanted == 0 ? wanted : 1;
  std::vector<std::int64_t> order;
  for (std::int64_t k = 0; k < inputs; ++k) order.push_back(k % groups * (inputs / groups) + k / groups);
  return order;
}

/// Filters O x I x KH x KW of a layer that reads its source as `from` does, for one that does so as `to`. Returns
/// whether there is a difference.
bool reorder(const Node& from, const Node& to, const Shape& shape, float* filters) {
  const std::int64_t inputs = shape[1], taps = shape.count() / (shape[0] * inputs);
  const std::vector<std::int64_t> held = source_order(from, inputs), wanted = source_order(to, inputs);
  if (held == wanted) return false;
  std::vector<std::int64_t> place(held.size());
  for (std::size_t k = 0; k < held.size(); ++k) place[static_cast<std::size_t>(held[k])] = static_cast<std::int64_t>(k);
  std::vector<float> before(static_cast<std::size_t>(inputs * taps));
  for (std::int64_t o = 0; o < shape[0]; ++o, filters += inputs * taps) {
    std::copy_n(filters, inputs * taps, before.data());
    for (std::int64_t k = 0; k < inputs; ++k) {
      const std::int64_t channel = wanted[static_cast<std::size_t>(k)];
      std::copy_n(before.data() + place[static_cast<std::size_t>(channel)] * taps, taps, filters + k * taps);
    }
  }
  return true;
}

/// The batch normalisation that reads a node as the only one, or null.
const Node* norm_behind(const Network& network, int node) {
  const Node* norm = nullptr;
  for (const Node& reader : network.nodes()) {
    if (std::find(reader.src.begin(), reader.src.end(), NodeResult(node)) == reader.src.end()) continue;
    if (norm != nullptr || reader.layer->attributes().kind() != "batch_normalization") return nullptr;
    norm = &reader;
  }
  return norm;
}

/// Copies tensors of a normalisation to those of a layer that stands for it.
class NormCopy {
 public:
  NormCopy(const Network& other, const Node& norm, Network& network, const Node& node, ConvertedLayer& converted)
      : other_(other), norm_(norm), network_(network), node_(node), converted_(converted) {}

  void run() {
    for (const char* name : {"weight", "bias"}) {
      for (const char* prefix : {"full_", "base_"})
        copy(find_parameter(other_, norm_, name), other_.parameter_data(),
             find_parameter(network_, node_, std::string(prefix) + name), network_.parameter_data());
    }
    for (const char* name : {"running_mean", "running_var"})
      copy(find_buffer(other_, norm_, name), other_.buffer_data(),
           find_buffer(network_, node_, std::string("full_") + name), network_.buffer_data());
    adapt_eps();
  }

 private:
  template <class Tensor>
  void copy(const Tensor* from, const float* from_data, const Tensor* to, float* to_data) {
    if (from == nullptr || to == nullptr || from->shape != to->shape) return;
    std::copy_n(from_data + from->offset, from->shape.count(), to_data + to->offset);
    converted_.set.push_back(to->path());
    if (std::find(converted_.taken.begin(), converted_.taken.end(), from->path()) == converted_.taken.end())
      converted_.taken.push_back(from->path());
  }

  /// weight / sqrt(variance + eps) stays what it was.
  void adapt_eps() {
    const auto eps_of = [](const Node& node) { return node.layer->attributes().get<double>("eps").value_or(0); };
    const double old_eps = eps_of(norm_), eps = eps_of(node_);
    const Parameter* const weight = find_parameter(network_, node_, "full_weight");
    const StateBuffer* const variance = find_buffer(network_, node_, "full_running_var");
    if (eps == old_eps || weight == nullptr || variance == nullptr) return;
    float* const weights = network_.parameter_data() + weight->offset;
    const float* const variances = network_.buffer_data() + variance->offset;
    for (std::int64_t c = 0; c < weight->shape.count(); ++c) {
      const auto v = static_cast<double>(variances[c]);
      weights[c] = static_cast<float>(static_cast<double>(weights[c]) * std::sqrt((v + eps) / (v + old_eps)));
    }
  }

  const Network& other_;
  const Node& norm_;
  Network& network_;
  const Node& node_;
  ConvertedLayer& converted_;
};

}  // namespace

bool has_own_forms(const Network& network) {
  return std::any_of(network.nodes().begin(), network.nodes().end(),
                     [](const Node& node) { return has_flag(node, "shuffle") || has_flag(node, "two_norms"); });
}

std::vector<ConvertedLayer> convert_weights(const Network& other, Network& network) {
  std::vector<ConvertedLayer> all;
  std::set<const Parameter*> reordered;  // several layers may share one
  for (const Node& node : network.nodes()) {
    const int place = other.find(node.name);
    if (place == Network::kNotFound) continue;
    const Node& old = other.nodes()[static_cast<std::size_t>(place)];
    ConvertedLayer converted{node.name, false, "", {}, {}};
    const Parameter* const weight = find_parameter(network, node, "weight");
    if (weight != nullptr && weight->shape.rank() == 4 && reordered.insert(weight).second)
      converted.reordered = reorder(old, node, weight->shape, network.parameter_data() + weight->offset);
    const Node* const norm =
        has_flag(node, "two_norms") && !has_flag(old, "two_norms") ? norm_behind(other, place) : nullptr;
    if (norm != nullptr && network.find(norm->name) == Network::kNotFound) {
      converted.norm = norm->name;
      NormCopy(other, *norm, network, node, converted).run();
    }
    if (converted.reordered || !converted.norm.empty()) all.push_back(std::move(converted));
  }
  return all;
}

}  // namespace sluice
