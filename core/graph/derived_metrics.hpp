// Figures that plug-ins make of their layers' counts (Registry::add_metric), for a network and for each layer.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// One metric of a network.
struct DerivedMetric {
  const MetricType* type = nullptr;           ///< in the network's registry
  double value = 0;                           ///< of the network: sum of the parts over sum of the wholes
  std::vector<std::optional<double>> layers;  ///< by node; nothing where it does not apply
};

/// The metrics that apply: some layer has one, and has counted something.
std::vector<DerivedMetric> derive_metrics(const Network& network, const CountsByNode& counts);

/// The types of metrics that some layer of the network has, whatever was counted.
std::vector<const MetricType*> metrics_of(const Network& network);

/// The same for people: without complements of others (Registry::add_complement).
std::vector<DerivedMetric> said_once(const std::vector<DerivedMetric>& metrics);
std::vector<const MetricType*> metrics_said_once(const Network& network);

}  // namespace sluice
