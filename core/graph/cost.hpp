// What a network costs: multiply-adds and bit operations for one image, dense and as executed.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

class Network;

/// Cost of one image. `macs` counts multiply-adds; `bit_operations` weighs each by weight bits x activation bits (32 x
/// 32 in floating point). The dense columns count every term a layer declares; the executed ones count conditional
/// terms by the share of the layer's counts that was open.
struct Cost {
  double macs_dense = 0;
  double macs_executed = 0;
  double bit_operations_dense = 0;
  double bit_operations_executed = 0;
};

/// One row for each node of the network. `counts`: the statistics of each node, in the order of its declaration; where
/// they are zero or absent, conditional terms count as done.
std::vector<Cost> layer_costs(const Network& network, const std::vector<std::vector<std::int64_t>>& counts);
Cost total(const std::vector<Cost>& costs);

}  // namespace sluice
