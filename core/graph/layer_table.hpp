// The table of a network's layers that `--dry-run` prints.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"

namespace sluice {

/// Prints a row for each layer (name, type, shapes for one image, parameters, multiply-adds, memory for the executor's
/// batch, kernel) and totals with the memory of a step. A fused layer's row names the layer that does its work.
/// `width`: of the lines (Table::print).
void print_layer_table(std::ostream& out, const Network& network, const Executor& executor, std::optional<int> width);

/// Each kernel once, where forward and both backward passes run alike: "brgconv jit" for "brgconv brgconv jit".
std::string named_once(const std::string& kernels);

/// A line for each layer that wants an activation behind it and has none.
std::vector<std::string> missing_activations(const Network& network);

/// A line for each layer that nobody reads and that is neither a loss nor the network's answer.
std::vector<std::string> unread_layers(const Network& network);

/// A line for each layer whose convolution fell to a reference kernel, which is hundreds of times slower.
std::vector<std::string> slow_kernels(const Executor& executor);

}  // namespace sluice
