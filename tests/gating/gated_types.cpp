#include "tests/gating/gated_types.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

/// Half the width of the gap around the edge of a decision over one channel: results differ by a unit in the last place
/// of bf16 where the executor and the reference round to different sides.
constexpr double kClear = 0.02;

/// The scores of one decision's channels in one mode.
using Scores = std::vector<double>;

Scores of_slice(const Array& scores, std::int64_t slice) {
  Scores values;
  for (std::int64_t n = 0; n < scores.shape[kN]; ++n) {
    for (std::int64_t h = 0; h < scores.shape[kH]; ++h) {
      for (std::int64_t w = 0; w < scores.shape[kW]; ++w) values.push_back(scores.at(n, slice, h, w));
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

/// The middle of the widest gap that has values of training on both sides; with `both`, of evaluation too.
double widest_gap(const Scores& training, const Scores& evaluation, bool both, double needed,
                  const std::string& where) {
  Scores all = training;
  all.insert(all.end(), evaluation.begin(), evaluation.end());
  std::sort(all.begin(), all.end());
  double half = 0, middle = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const double least = both ? std::max(training.front(), evaluation.front()) : training.front();
    const double most = both ? std::min(training.back(), evaluation.back()) : training.back();
    const bool inside = all[i - 1] >= least && all[i] <= most;
    if (!inside || (all[i] - all[i - 1]) / 2 <= half) continue;
    half = (all[i] - all[i - 1]) / 2;
    middle = all[i - 1] + half;
  }
  if (half < needed)
    throw Error(ExitCode::kInternal,
                concat(where, ": the widest gap between scores is ", 2 * half, ", needed is ", 2 * needed));
  return middle;
}

float* find_parameter(Network& network, const Node& node, const std::string& name) {
  for (const int p : node.params) {
    const Parameter& parameter = network.parameters()[static_cast<std::size_t>(p)];
    if (parameter.name == name) return network.parameter_data() + parameter.offset;
  }
  return nullptr;
}

void move_running_means(Network& network, const Node& node) {
  for (const int b : node.buffers) {
    const StateBuffer& buffer = network.buffers()[static_cast<std::size_t>(b)];
    if (buffer.name != "gate_running_mean") continue;
    float* const values = network.buffer_data() + buffer.offset;
    for (std::int64_t i = 0; i < buffer.shape.count(); ++i) values[i] *= 0.25F;
  }
}

Array scores_of(const Network& network, const CaseBatch& batch, std::size_t node, bool training) {
  ReferenceTable references = standard_references();
  references.merge(gated_references());
  ReferenceGraph graph(network, references);
  graph.data = batch.data;
  graph.labels = batch.label_array;
  graph.forward(training);
  return graph.scores[node];
}

}  // namespace

void register_gated_types(Registry& registry) {
  register_layers(registry);
  register_plugin(gating_plugin(), registry);
}

GatedNetwork::GatedNetwork(const std::string& text) {
  register_gated_types(registry);
  Config config = Config::parse(text, "net.ini");
  network = std::make_unique<Network>(config, registry);
  config.check();
}

void clear_edges(Network& network, const CaseBatch& batch) {
  for (std::size_t v = 0; v < network.nodes().size(); ++v) {
    const Node& node = network.nodes()[v];
    float* const threshold = find_parameter(network, node, "threshold");
    if (threshold == nullptr) continue;
    move_running_means(network, node);
    const Array training = scores_of(network, batch, v, true), evaluation = scores_of(network, batch, v, false);
    const Shape& dst = node.declared.dst;
    const std::int64_t pixels = dst.rank() == 4 ? dst[kH] * dst[kW] / (training.shape[kH] * training.shape[kW]) : 1;
    for (std::int64_t slice = 0; slice < training.shape[kC]; ++slice) {
      const SliceRange range = slice_range(slice, training.shape[kC], dst[kC]);
      const double needed = kClear / std::sqrt(static_cast<double>(range.width() * pixels));
      // Means over images differ little within a mode, and more between the modes.
      const double middle = widest_gap(of_slice(training, slice), of_slice(evaluation, slice), pixels == 1, needed,
                                       concat(node.name, ", slice ", slice));
      for (std::int64_t o = range.begin; o < range.end; ++o) threshold[o] += static_cast<float>(middle);
    }
  }
}

}  // namespace sluice
