// What a network costs: multiply-adds and bit operations for one image, dense and as executed.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

class Network;
struct CostTerm;
struct Node;

/// Cost of one image. `macs` counts multiply-adds; `bit_operations` weighs each by weight bits x activation bits (32 x
/// 32 in floating point). The dense columns count every term a layer declares; the executed ones count conditional
/// terms by the share of the layer's counts that was open.
struct Cost {
  double macs_dense = 0;
  double macs_executed = 0;
  double bit_operations_dense = 0;
  double bit_operations_executed = 0;
  double activation_bits_executed = 0;  ///< sum over the executed multiply-adds of their activations' bits

  /// How many times fewer multiply-adds than dense; 1 where there are none at all, infinite where all were skipped.
  double flop_reduction() const;
  /// Mean bits of the activations that were multiplied; 0 where none was.
  double average_bits() const;
};

/// Adds a term of which `share` was done.
void add_term(Cost& cost, const CostTerm& term, double share);

/// One row for each node of the network. `counts`: the statistics of each node, in the order of its declaration; where
/// they are zero or absent, conditional terms count as done.
std::vector<Cost> layer_costs(const Network& network, const std::vector<std::vector<std::int64_t>>& counts);
Cost total(const std::vector<Cost>& costs);
/// What one more of a node's count `open` adds to the executed columns of its row (the others mean nothing).
Cost cost_of_one_more(const Node& node, const std::int64_t* counts, int open);

/// Some term depends on counts; some activations have fewer than 32 bits.
bool has_conditional_cost(const Network& network);
bool has_narrow_activations(const Network& network);

}  // namespace sluice
