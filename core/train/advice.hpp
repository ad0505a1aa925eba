// What a person who trains would want to be told, before an afternoon is spent. All return texts of warnings.
#pragma once

#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/graph/executor.hpp"
#include "core/train/early_stopping.hpp"
#include "core/train/optimizer.hpp"

namespace sluice {

/// Where `no_decay` leaves out a group of parameters by which layers decide what they compute.
std::vector<std::string> advice_on_decay(const Network& network, const OptimizerOptions& options);

/// Where an improvement of an accuracy that counts would be large: somebody thinks of per cent.
std::vector<std::string> advice_on_min_delta(const EarlyStoppingOptions& options);

/// Where the metric to choose by is that of validation images, and there are none.
std::vector<std::string> advice_on_validation(const EarlyStoppingOptions& options, const Dataset* validation);

/// Where the network tells more classes apart than the set has.
std::vector<std::string> advice_on_classes(const Network& network, const Dataset& dataset);

/// Layers that decided alike on every image of an evaluation with these counts.
std::vector<std::string> advice_on_decisions(const Network& network, const CountsByNode& counts);

/// Layers whose decisions save multiply-adds in counts alone, because these operations, of an inference that skips,
/// compute all of their work.
std::vector<std::string> advice_on_skipping(const Network& network, const std::vector<OperationInfo>& operations);

}  // namespace sluice
