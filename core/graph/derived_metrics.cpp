#include "core/graph/derived_metrics.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {

std::vector<DerivedMetric> derive_metrics(const Network& network, const CountsByNode& counts) {
  std::vector<DerivedMetric> metrics;
  for (const MetricType& type : network.registry().metrics()) {
    DerivedMetric metric{&type, 0, {}};
    Ratio sum;
    for (std::size_t i = 0; i < network.nodes().size(); ++i) {
      const std::optional<Ratio> ratio = type.of_layer(network.nodes()[i], counts[i].data());
      const bool counted = ratio && ratio->whole != 0;
      metric.layers.push_back(counted ? std::optional<double>(ratio->value()) : std::nullopt);
      if (!counted) continue;
      sum.part += ratio->part;
      sum.whole += ratio->whole;
    }
    if (sum.whole == 0) continue;
    metric.value = sum.value();
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

std::vector<const MetricType*> metrics_of(const Network& network) {
  std::vector<const MetricType*> types;
  for (const MetricType& type : network.registry().metrics()) {
    const bool applies = std::any_of(network.nodes().begin(), network.nodes().end(), [&](const Node& node) {
      const std::vector<std::int64_t> zeros(node.declared.counts.size(), 0);
      return type.of_layer(node, zeros.data()).has_value();
    });
    if (applies) types.push_back(&type);
  }
  return types;
}

bool are_complements(double a, double b) {
  return std::abs(a + b - 1) < 1e-9;
}

namespace {

/// Counts of every node that have other quotients in each `trial`.
CountsByNode made_up_counts(const Network& network, std::int64_t trial) {
  CountsByNode counts;
  for (const Node& node : network.nodes()) {
    counts.emplace_back(node.declared.counts.size());
    for (std::size_t k = 0; k < counts.back().size(); ++k) counts.back()[k] = trial + 3 * static_cast<std::int64_t>(k);
  }
  return counts;
}

double value_of(const MetricType* type, const std::vector<DerivedMetric>& metrics) {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const DerivedMetric& metric) { return metric.type == type; });
  return found == metrics.end() ? std::nan("") : found->value;
}

}  // namespace

std::vector<const MetricType*> metrics_said_once(const Network& network) {
  std::vector<std::vector<DerivedMetric>> trials;
  for (const std::int64_t trial : {1, 2}) trials.push_back(derive_metrics(network, made_up_counts(network, trial)));
  std::vector<const MetricType*> said;
  for (const MetricType* type : metrics_of(network)) {
    const bool again = std::any_of(said.begin(), said.end(), [&](const MetricType* other) {
      return std::all_of(trials.begin(), trials.end(), [&](const std::vector<DerivedMetric>& metrics) {
        return are_complements(value_of(type, metrics), value_of(other, metrics));
      });
    });
    if (!again) said.push_back(type);
  }
  return said;
}

std::vector<DerivedMetric> said_once(const Network& network, const std::vector<DerivedMetric>& metrics) {
  const std::vector<const MetricType*> types = metrics_said_once(network);
  std::vector<DerivedMetric> said;
  for (const DerivedMetric& metric : metrics)
    if (std::find(types.begin(), types.end(), metric.type) != types.end()) said.push_back(metric);
  return said;
}

}  // namespace sluice
