#include "core/graph/derived_metrics.hpp"

#include <algorithm>

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

std::vector<DerivedMetric> said_once(const std::vector<DerivedMetric>& metrics) {
  std::vector<DerivedMetric> said;
  for (const DerivedMetric& metric : metrics)
    if (metric.type->complement.empty()) said.push_back(metric);
  return said;
}

std::vector<const MetricType*> metrics_said_once(const Network& network) {
  std::vector<const MetricType*> said;
  for (const MetricType* type : metrics_of(network))
    if (type->complement.empty()) said.push_back(type);
  return said;
}

}  // namespace sluice
