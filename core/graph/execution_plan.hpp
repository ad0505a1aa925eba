// From a network to a list of operations: which layers are fused, which tensors exist, how long each lives. Internal to
// the executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"
#include "core/graph/memory_plan.hpp"

namespace sluice {

/// A tensor of the plan. `request` is its place in the memory plan; several tensors may share one. -1: it has none, it
/// lies where the program gives it.
struct PlannedTensor {
  TensorDesc desc;
  int producer = -1;  ///< operation, or -1: an input of the graph
  int request = -1;
  int last_use = -1;  ///< time
};

/// One layer with the layers it does as post-ops. Tensors are named by index, -1 means none.
struct PlannedOperation {
  std::vector<int> nodes;  ///< the layer's own node, then the fused ones in order
  const Layer* layer = nullptr;
  std::vector<const Layer*> fused;
  std::vector<PostOp> post_ops;  ///< of the fused ones
  Declarations declared;
  OpNeeds needs;
  std::unique_ptr<Op> op;
  std::vector<int> src;
  std::vector<int> inputs;  ///< as declared
  std::optional<NodeResult> addend_source;
  int addend = -1;
  int dst = -1;
  std::vector<int> more_dst;
  int levels_of = -1;  ///< the node in whose levels the result is written (Declarations::src_levels)

  bool needs_gradient = false;  ///< it or a layer before it has parameters
  bool has_backward = false;    ///< ... and its result reaches a loss
  std::vector<int> diff_src;
  std::vector<int> diff_dst;       ///< as Context has it
  std::vector<int> more_diff_dst;  ///< for each of more_dst; empty where has_backward is false
  /// Several gradients of one result, which the executor adds into their first before backward.
  std::vector<std::vector<int>> diff_dst_sums;
  int diff_addend = -1;
  std::vector<int> saved_requests;

  bool has_one_result() const { return declared.more_dst.empty(); }
};

/// Something that the network reads.
struct PlannedInput {
  TensorDesc given;  ///< as the program has it
  int tensor = -1;   ///< as layers read it: of another type or layout, it has memory of its own
};

/// Times: operation i runs forward at time i and backward at time 2 * count - 1 - i; inputs are written at -1.
struct ExecutionPlan {
  ExecutionPlan(const Network& n, const ExecutorOptions& o) : network(&n), options(o) {}

  const Network* network;
  ExecutorOptions options;
  std::vector<PlannedInput> inputs;        ///< as Network::inputs
  std::vector<std::vector<Shape>> shapes;  ///< by node and result, for the batch
  std::vector<PlannedOperation> operations;
  bool blocked = false;  ///< activations are in blocks of 16 channels
  std::vector<PlannedTensor> tensors;
  std::vector<std::vector<int>> result_tensors;  ///< by node and result; -1 for nodes fused away
  MemoryPlan memory;
  std::int64_t scratch_bytes = 0;

  bool training() const { return options.mode == Mode::kTraining; }
  const Node& node(int index) const { return network->nodes()[static_cast<std::size_t>(index)]; }
  const Node& own_node(const PlannedOperation& op) const { return node(op.nodes[0]); }
  const PlannedTensor& tensor(int index) const { return tensors[static_cast<std::size_t>(index)]; }
  PlannedTensor& tensor(int index) { return tensors[static_cast<std::size_t>(index)]; }
  const Shape& shape_of(const NodeResult& source) const;
  int tensor_of(const NodeResult& source) const;  ///< -1 for nodes fused away
  int add_tensor(const TensorDesc& desc, int producer);
  int backward_time(std::size_t operation) const {
    return 2 * static_cast<int>(operations.size()) - 1 - static_cast<int>(operation);
  }
};

/// All passes (core/graph/passes/passes.hpp) one after the other.
ExecutionPlan plan_execution(const Network& network, const ExecutorOptions& options);

}  // namespace sluice
