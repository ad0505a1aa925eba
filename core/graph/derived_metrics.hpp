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

/// One is 1 minus the other, as a density and a sparsity are: for people one of them says it.
bool are_complements(double a, double b);

/// The types of metrics_of() without those that are 1 minus an earlier one, whatever is counted.
std::vector<const MetricType*> metrics_said_once(const Network& network);

/// The metrics of these types.
std::vector<DerivedMetric> said_once(const Network& network, const std::vector<DerivedMetric>& metrics);

}  // namespace sluice
