#include "tests/layers/harness/reference.hpp"

#include "core/base/error.hpp"

namespace sluice {
namespace {

std::size_t idx(int i) {
  return static_cast<std::size_t>(i);
}

bool is_rounded(const std::vector<bool>& rounded, int node) {
  return node >= 0 && !rounded.empty() && rounded[idx(node)];
}

}  // namespace

std::int64_t ReferenceKeys::integer(const std::string& key, std::int64_t otherwise) const {
  const Entry* entry = section_.find(key);
  return entry == nullptr ? otherwise : std::stoll(entry->value);
}

double ReferenceKeys::number(const std::string& key, double otherwise) const {
  const Entry* entry = section_.find(key);
  return entry == nullptr ? otherwise : std::stod(entry->value);
}

std::string ReferenceKeys::text(const std::string& key, const std::string& otherwise) const {
  const Entry* entry = section_.find(key);
  return entry == nullptr ? otherwise : entry->value;
}

ReferenceGraph::ReferenceGraph(const Network& network, const ReferenceTable& references) : network_(network) {
  for (const Node& node : network.nodes()) {
    const auto found = references.find(node.type);
    if (found == references.end())
      throw Error(ExitCode::kInternal, concat("layer type '", node.type, "' has no reference; give the case one"));
    ops_.push_back(found->second(ReferenceKeys(node.section)));
  }
  scores.resize(ops_.size());
  open.resize(ops_.size());
  diff_open.resize(ops_.size());
  load();
}

void ReferenceGraph::load() {
  params.clear();
  buffers.clear();
  for (const Parameter& p : network_.parameters())
    params.push_back(to_array(p.shape, network_.parameter_data() + p.offset));
  for (const StateBuffer& b : network_.buffers())
    buffers.push_back(to_array(b.shape, network_.buffer_data() + b.offset));
}

const Array& ReferenceGraph::result(const NodeResult& which) const {
  if (which == kDataSource) return data;
  if (which == kLabelsSource) return labels;
  return results_[idx(which.node)][idx(which.result)];
}

ReferenceCall ReferenceGraph::make_call(int node_index, bool training) {
  const Node& node = network_.nodes()[idx(node_index)];
  ReferenceCall call;
  call.training = training;
  call.seed = seed;
  call.step = step;
  call.node = node_index;
  call.rounded = is_rounded(rounded, node_index);
  call.scores = &scores[idx(node_index)];
  call.held = held;
  for (const NodeResult& s : node.src) call.src.push_back(&result(s));
  for (int p : node.params) call.param[network_.parameters()[idx(p)].name] = &params[idx(p)];
  for (int b : node.buffers) call.buffer[network_.buffers()[idx(b)].name] = &buffers[idx(b)];
  return call;
}

void ReferenceGraph::forward(bool training) {
  results_.assign(ops_.size(), {});
  for (int v = 0; v < static_cast<int>(ops_.size()); ++v) {
    ReferenceCall call = make_call(v, training);
    ops_[idx(v)]->forward(call);
    open[idx(v)] = call.open;
    std::vector<Array>& results = results_[idx(v)];
    results = std::move(call.more_dst);
    results.insert(results.begin(), std::move(call.dst));
    for (Array& result : results) {
      if (is_rounded(rounded, v)) round_to_bf16(result);
    }
  }
}

void ReferenceGraph::backward() {
  diff_params.clear();
  for (const Array& p : params) diff_params.emplace_back(p.shape);
  std::vector<std::vector<Array>> diff(ops_.size());
  for (std::size_t v = 0; v < ops_.size(); ++v) {
    for (const Array& result : results_[v]) diff[v].emplace_back(result.shape);
    if (network_.nodes()[v].declared.is_loss) diff[v][0][0] = 1;
  }
  for (int v = static_cast<int>(ops_.size()) - 1; v >= 0; --v) {
    const Node& node = network_.nodes()[idx(v)];
    ReferenceCall call = make_call(v, true);
    call.dst = results_[idx(v)][0];
    call.diff_dst = diff[idx(v)][0];
    call.more_dst.assign(results_[idx(v)].begin() + 1, results_[idx(v)].end());
    call.more_diff_dst.assign(diff[idx(v)].begin() + 1, diff[idx(v)].end());
    for (const Array* src : call.src) call.diff_src.emplace_back(src->shape);
    for (int p : node.params) call.diff_param[network_.parameters()[idx(p)].name] = &diff_params[idx(p)];
    call.diff_open = diff_open[idx(v)];
    ops_[idx(v)]->backward(call);
    for (std::size_t k = 0; k < node.src.size(); ++k) {
      const NodeResult& source = node.src[k];
      if (source.is_input()) continue;
      if (is_rounded(rounded, source.node)) round_to_bf16(call.diff_src[k]);
      Array& sum = diff[idx(source.node)][idx(source.result)];
      for (std::int64_t i = 0; i < sum.count(); ++i) sum[i] += call.diff_src[k][i];
    }
  }
}

double ReferenceGraph::loss() const {
  double total = 0;
  for (std::size_t v = 0; v < ops_.size(); ++v) {
    if (network_.nodes()[v].declared.is_loss) total += results_[v][0][0];
  }
  return total;
}

}  // namespace sluice
