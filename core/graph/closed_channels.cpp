#include "core/graph/closed_channels.hpp"

#include "core/graph/channel_factors.hpp"
#include "core/graph/open_products.hpp"

namespace sluice {
namespace {

/// Who closes channels of results, by node: a walk along the edges in each direction.
class ClosedChannels {
 public:
  explicit ClosedChannels(const Network& network)
      : nodes_(network.nodes()), readers_(nodes_.size()), zeros_(nodes_.size(), -1), needless_(nodes_.size(), -1) {
    for (std::size_t v = 0; v < nodes_.size(); ++v) {
      for (std::size_t k = 0; k < nodes_[v].src.size(); ++k) note_reader(nodes_[v].src[k], {v, k});
    }
    note_reader(network.answer(), {nodes_.size(), 0});  // the program
    for (std::size_t v = 0; v < nodes_.size(); ++v) zeros_[v] = find_zeros(v);
    for (std::size_t v = nodes_.size(); v-- > 0;) needless_[v] = find_needless(v);
  }

  /// Channels of the node's source 0 are zero where this node closes them.
  int inputs(std::size_t node) const {
    const std::vector<NodeResult>& src = nodes_[node].src;
    return src.empty() ? -1 : zeros_of(src[0]);
  }
  /// Nobody needs channels of the node's result where this node closes them.
  int outputs(std::size_t node) const { return needless_[node]; }

 private:
  struct Reader {
    std::size_t node, source;
  };

  void note_reader(const NodeResult& source, Reader reader) {
    if (!source.is_input()) readers_[static_cast<std::size_t>(source.node)].push_back(reader);
  }

  int zeros_of(const NodeResult& source) const {
    return source.is_input() || source.result != 0 ? -1 : zeros_[static_cast<std::size_t>(source.node)];
  }

  int find_zeros(std::size_t v) const {
    const Node& node = nodes_[v];
    const int closes = closing_node(nodes_, node);
    if (closes >= 0) return closes;
    return node.declared.by_channel && node.declared.keeps_zeros ? zeros_of(node.src[0]) : -1;
  }

  int find_needless(std::size_t v) const {
    if (readers_[v].size() != 1 || readers_[v][0].node == nodes_.size()) return -1;
    const Reader reader = readers_[v][0];
    const Node& node = nodes_[reader.node];
    const int closes = reader.source == 0 ? closing_node(nodes_, node) : -1;
    if (closes >= 0) return closes;
    return node.declared.by_channel ? needless_[reader.node] : -1;
  }

  const std::vector<Node>& nodes_;
  std::vector<std::vector<Reader>> readers_;
  std::vector<int> zeros_, needless_;
};

}  // namespace

int closing_node(const std::vector<Node>& nodes, const Node& node) {
  const int factors = node.declared.channel_factors;
  if (factors < 0) return -1;
  const NodeResult& source = node.src[static_cast<std::size_t>(factors)];
  if (source.is_input() || source.result != 0) return -1;
  return nodes[static_cast<std::size_t>(source.node)].declared.closes_channels ? source.node : -1;
}

std::vector<ChannelProducts> count_channel_products(const Network& network, std::vector<Node>& nodes) {
  std::vector<ChannelProducts> found;
  const ClosedChannels closed(network);
  for (std::size_t v = 0; v < nodes.size(); ++v) {
    Declarations& declared = nodes[v].declared;
    if (!declared.multiplies_channels) continue;
    ChannelProducts products;
    products.node = static_cast<int>(v);
    products.closes_inputs = closed.inputs(v);
    products.closes_outputs = closed.outputs(v);
    if (products.closes_inputs < 0 && products.closes_outputs < 0) continue;
    products.inputs = network.shape(nodes[v].src[0])[kC];
    products.outputs = declared.dst[kC];
    products.open = declared.count(kOpenProducts);
    products.total = declared.count(kProducts);
    for (CostTerm& term : declared.costs) {
      term.open = products.open;
      term.total = products.total;
    }
    found.push_back(products);
  }
  return found;
}

}  // namespace sluice
