// What happens to a portable graph as a whole: where int8 rounds, and normalisation put into convolutions.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/graph/execution_plan.hpp"
#include "core/graph/portable.hpp"

namespace sluice {
namespace {

/// The way that an operation runs: the chosen one, or the operation's own choice.
std::string chosen_way(const PlannedOperation& op, const std::string& layer, const std::vector<KernelChoice>& kernels) {
  const std::vector<std::string>& ways = op.needs.alternatives;
  if (ways.empty()) return "";
  for (const auto& [name, way] : kernels) {
    if (name == layer && std::find(ways.begin(), ways.end(), way) != ways.end()) return way;
  }
  return ways[static_cast<std::size_t>(op.needs.alternative)];
}

/// Of operations that can multiply int8, some have ways in floats as well, and some no other.
bool multiplies_int8(const PlannedOperation& op, const std::string& way, bool skip) {
  if (way.rfind("int8", 0) == 0) return true;
  return !way.empty() && way != "fp32" && op.layer->int8_wish(skip) == Int8Wish::kMultiplies;
}

const std::vector<float>& floats_of(const PortableTensor& tensor) {
  return std::get<std::vector<float>>(tensor.values);
}

}  // namespace

std::vector<Int8Rounding> int8_rounding(const Network& network, const ExecutorOptions& options,
                                        const std::vector<KernelChoice>& kernels) {
  std::vector<Int8Rounding> rounding(network.nodes().size());
  if (!options.int8) return rounding;
  const ExecutionPlan plan = plan_execution(network, options);
  for (const PlannedOperation& op : plan.operations) {
    const Node& node = plan.own_node(op);
    const TensorDesc& dst = plan.tensor(op.dst).desc;
    if (dst.type == DataType::kU8 && !op.declared.like_src)
      rounding[static_cast<std::size_t>(op.nodes.back())].result_scale = dst.scale;
    if (op.src.empty() || !multiplies_int8(op, chosen_way(op, node.name, kernels), options.skip)) continue;
    const TensorDesc& src = plan.tensor(op.src[0]).desc;
    const NodeResult& source = node.src[0];
    const bool nonnegative = !source.is_input() && source.result == 0 && plan.node(source.node).declared.nonnegative;
    const double range = network.calibration().range(node.name);
    Int8Rounding& own = rounding[static_cast<std::size_t>(op.nodes[0])];
    own.multiplies_int8 = src.type == DataType::kU8 || (nonnegative && range > 0);
    if (own.multiplies_int8 && src.type != DataType::kU8) own.src_scale = static_cast<float>(range / kMostInt8Level);
  }
  return rounding;
}

void PortableGraph::fold_normalization() {
  std::map<std::string, PortableNode*> convolutions;  // by result
  std::map<std::string, std::string> replaced;        // results of normalisations that are no more
  std::vector<PortableNode> kept;
  kept.reserve(nodes_.size());
  for (PortableNode& node : nodes_) {
    for (std::string& input : node.inputs) {
      if (const auto other = replaced.find(input); other != replaced.end()) input = other->second;
    }
    const auto found = node.op == "BatchNormalization" ? convolutions.find(node.inputs[0]) : convolutions.end();
    if (found == convolutions.end() || names_.at(node.inputs[0]) != 1) {
      kept.push_back(std::move(node));
      PortableNode& own = kept.back();
      const auto weights = own.op == "Conv" ? constants_.find(own.inputs[1]) : constants_.end();
      const bool in_floats =
          weights != constants_.end() && std::holds_alternative<std::vector<float>>(weights->second.values);
      if (in_floats) convolutions[own.result] = &own;
      continue;
    }
    fold(*found->second, node);
    if (node.result == answer_) {
      found->second->result = answer_;
    } else {
      replaced[node.result] = found->second->result;
      names_.at(found->second->result) = names_.at(node.result);
    }
    convolutions.erase(found);
  }
  nodes_ = std::move(kept);
}

/// W[o] scale[o], and shift[o] + scale[o] bias[o], in double.
void PortableGraph::fold(PortableNode& convolution, const PortableNode& normalization) {
  const auto number = [&](std::size_t input, std::size_t channel) {
    return static_cast<double>(floats_of(constants_.at(normalization.inputs[input]))[channel]);
  };
  const PortableTensor& weights = constants_.at(convolution.inputs[1]);
  const auto channels = static_cast<std::size_t>(weights.shape[0]);
  const std::size_t filter = floats_of(weights).size() / channels;
  const double eps = std::get<double>(normalization.attributes.at("epsilon"));
  std::vector<float> folded = floats_of(weights), shift(channels);
  for (std::size_t o = 0; o < channels; ++o) {
    const double scale = number(1, o) / std::sqrt(number(4, o) + eps);
    const double bias =
        convolution.inputs.size() > 2 ? static_cast<double>(floats_of(constants_.at(convolution.inputs[2]))[o]) : 0.0;
    shift[o] = static_cast<float>(number(2, o) + (bias - number(3, o)) * scale);
    for (std::size_t i = o * filter; i < (o + 1) * filter; ++i)
      folded[i] = static_cast<float>(static_cast<double>(folded[i]) * scale);
  }
  const std::string own = convolution.name;
  convolution.inputs = {convolution.inputs[0], constant(own + ".folded_weight", weights.shape, std::move(folded)),
                        constant(own + ".folded_bias", {weights.shape[0]}, std::move(shift))};
  for (std::size_t i = 1; i < 3; ++i) ++names_.at(convolution.inputs[i]);
}

}  // namespace sluice
